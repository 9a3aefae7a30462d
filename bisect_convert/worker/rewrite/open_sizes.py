"""Inputs whose sizes a model leaves open, given some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.edits import Edit

__all__ = ["given_sizes", "of_one", "sized"]


def given_sizes(options: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the sizes that the packed arguments give to inputs."""
    return {i["name"]: i["static"] for i in options.get("inputs", ()) if i.get("name") and i.get("static")}


def sized(program: Any, given: Mapping[str, Sequence[int]]) -> list[Edit]:
    """Return the edits by which inputs that leave sizes open have these."""
    shapes = _shapes(program)
    return [
        Edit((), name, "Placeholder", "sized_input", {"sizes": list(sizes)})
        for name, sizes in given.items()
        if name in shapes and not shapes[name].is_fully_defined() and shapes[name].is_compatible_with(sizes)
    ]


def of_one(program: Any) -> dict[str, list[int]]:
    """Return the sizes that inputs have with a batch of one, of those that leave that size open alone."""
    return {
        name: [1, *shape.as_list()[1:]]
        for name, shape in _shapes(program).items()
        if shape.rank and shape[0] is None and None not in shape[1:].as_list()
    }


def _shapes(program: Any) -> dict[str, Any]:
    return {n.name: tf.TensorShape(n.attr["shape"].shape) for n in program.node if n.op == "Placeholder"}
