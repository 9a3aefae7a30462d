"""A package that was made elsewhere, and not of this model: what tells so, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bisect_convert.worker.numbers.agreement import fed
from bisect_convert.worker.numbers.causes import Search
from bisect_convert.worker.numbers.original import Original

__all__ = ["of_another_model", "other_values", "unlike_inputs", "unlike_sizes"]


def unlike_inputs(program: Any, feeds: Mapping[str, Any]) -> str:
    """Return that the program asks for inputs that the model has not, or ""."""
    block = program.functions["main"]
    missing = [name for name in block.inputs if name not in fed(block, feeds)]
    if not missing:
        return ""
    own = ", ".join(name.removesuffix(":0") for name in feeds)
    return (
        f"the package asks for the input {', '.join(missing)}, and the model has {own}: it was made of something else"
    )


def unlike_sizes(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> str:
    """Return which outputs have other sizes in the package than in the model, or ""."""
    apart = [
        f"{name.removesuffix(':0')} is {_sizes(value)} in the model and {_sizes(got[name])} as converted"
        for name, value in wanted.items()
        if name in got and np.size(got[name]) != np.size(value)
    ]
    absent = [
        f"{name.removesuffix(':0')} is no output of what it was converted to" for name in wanted if name not in got
    ]
    return "; ".join((apart + absent)[:3])


def other_values(search: Search, original: Original) -> str:
    """Return where the package computes something else, given the model's own inputs there, as far as that is known."""
    said = "the package computes something else in float32 too"
    if not search.strangers:
        return said
    op = search.strangers[0].rpartition(":")[0]
    return f"{said}, such as at {original.type_of(op)} {op}, and a conversion of the model does not"


def of_another_model(message: str) -> dict[str, Any]:
    """Return the causes of the answer where no op is at fault but the package as a whole."""
    return {"causes": [], "remedies": [], "kind": "package", "message": message}


def _sizes(value: Any) -> list[int]:
    return list(np.shape(value))
