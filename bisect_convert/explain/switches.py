"""Scalar inputs that switch training on and off, with a default or without one: the cause, and what inference takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import listed
from bisect_convert.model.facts import Variant
from bisect_convert.model.graph import Graph
from bisect_convert.model.names import HANDLES
from bisect_convert.report.findings import Remedy

__all__ = ["of_scalars", "of_switches"]

_LISTED = 4
#: Names of switches that turn training on.
_TRAINS = re.compile(r"train|learning_phase", re.IGNORECASE)
#: Names of the part that dropout keeps, which is all of it in inference.
_KEEPS = re.compile(r"keep_?prob", re.IGNORECASE)


def of_switches(
    variant: Variant, graph: Graph, converts: bool, inputs: Sequence[Mapping[str, Any]] = ()
) -> tuple[str, str, Remedy]:
    """Return the cause, why it is one, and what to do about scalars that were taken for constants; inputs: the caller's."""
    held = dict(zip(variant.blamed, variant.about, strict=True))
    given = [n for n in held if graph.ops[n].type == "PlaceholderWithDefault"]
    bare = [n for n in held if n not in given]
    told = [f"the scalar input{_s(n)} {listed(n[:_LISTED])} {said}" for n, said in (
        (given, "have defaults" if len(given) > 1 else "has a default"),
        (bare, "switch training on and off" if len(bare) > 1 else "switches training on and off"),
    ) if n]  # fmt: skip
    cause = f"{', and '.join(told)}{',' * (len(told) == 1)} and Core ML has no scalar inputs"
    left_on = [n for n, value in held.items() if n in given and _leaves_training_on(n, value)]
    if left_on:
        cause += f"; the default of {listed(left_on[:_LISTED])} leaves training on"
    named = [i for i in inputs if i.get("name") in given]
    if named:
        cause += (
            f"; {listed([str(i['name']) for i in named])} cannot be named as {'inputs' if named[1:] else 'an input'}"
        )
    remedy = _remedy(held, bool(bare), converts, list(inputs), named)
    return cause, _why(given, bare, left_on), remedy


def _s(names: Sequence[str]) -> str:
    return "s" * (len(names) > 1)


def _why(given: Sequence[str], bare: Sequence[str], left_on: Sequence[str]) -> str:
    why = "TensorFlow 1 switches training on and off by such inputs"
    why += ": whoever predicts gives none, and the default is taken." if given else ", which the app has no use for."
    why += " Core ML asks for each of its inputs, and none has rank 0."
    if left_on:
        why += " Where the app is to predict, freeze the graph with the value of inference in its place."
    if bare:
        why += f" What inference takes for {listed(list(bare[:_LISTED]))} is said by the name alone: see that it is so."
    return why


def _remedy(
    held: Mapping[str, str], bare: bool, converts: bool, inputs: list[Mapping[str, Any]], named: list[Mapping[str, Any]]
) -> Remedy:
    values = listed([f"{n} = {value}" for n, value in held.items()][:_LISTED])
    of = "what inference takes" if bare else "the defaults" if len(held) > 1 else "the default"
    made = f"constants of {of}" if len(held) > 1 else f"a constant of {of}"
    left = f", and leave {listed([str(i['name']) for i in named])} out of the inputs" if named else ""
    summary = f"make {made}, {values}{left}; --fix OUT.mlpackage does"
    kept = [i for i in inputs if i not in named]
    changes = {"inputs": kept or None} if named else None
    return Remedy("rewrite", summary, converts, changes=changes, past=not converts)


def _leaves_training_on(name: str, value: str) -> bool:
    return value == "True" if _TRAINS.search(name) else bool(_KEEPS.search(name)) and value not in ("1", "1.0")


def of_scalars(case: Case) -> str:
    """Return the cause where inputs of rank 0 are all that is at fault, else an empty string."""
    if not case.culprits or any(not c.op.startswith("Placeholder") for c in case.culprits):
        return ""
    made = [t for c in case.culprits for t in c.outputs]
    if any(t.shape is None or t.shape or t.dtype in HANDLES for t in made) or "Rank-0" not in case.message:
        return ""
    names = [c.name for c in case.culprits]
    return f"the input{_s(names)} {listed(names[:_LISTED])} {'are scalars' if names[1:] else 'is a scalar'}; Core ML has none"
