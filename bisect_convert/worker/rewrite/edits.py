"""One edit of a program: which recipe, in the place of which op, at which level."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import tensorflow as tf

from bisect_convert.recipes import MODULES
from bisect_convert.worker.rewrite import (
    bits,
    boundary,
    calls,
    checks,
    constants,
    dtypes,
    in_parts,
    loops,
    merges,
    ranks,
)
from bisect_convert.worker.rewrite.editing import Path, apply
from bisect_convert.worker.rewrite.splicing import spliced

__all__ = [
    "BOUNDARY",
    "CHECKS",
    "CUTS",
    "EXACT",
    "REGIONAL",
    "STRUCTURAL",
    "Edit",
    "attributes",
    "edited",
    "literal",
    "recipe_function",
    "recipe_names",
]

#: Edits that no function of an op's inputs can say, by name.
STRUCTURAL: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        calls.inlined, calls.known_branch, calls.both_branches,
        loops.without_limit, loops.own_count, loops.bridged, loops.renamed, loops.unrolled, loops.sized_item, loops.grown,
        in_parts.in_parts, in_parts.parts_taken, merges.branches_chosen,
        checks.left_out, checks.handed_on, ranks.low_ranks, dtypes.in_float32, dtypes.in_int32,
        dtypes.island, dtypes.labels_as_numbers, ranks.known_sizes, ranks.sized_input, constants.folded,
        boundary.starts_here, boundary.ends_before, boundary.passes_by, boundary.as_classifier,
        bits.sign_bit,
    )
}  # fmt: skip


#: Edits that compute what was computed with the same ops.
EXACT = frozenset({
    "inlined", "known_branch", "without_limit", "own_count", "bridged", "renamed", "unrolled", "folded", "in_parts",
    "sized_item", "sized_input", "grown", "branches_chosen",
})  # fmt: skip
#: Edits that leave out what makes no value.
CHECKS = frozenset({"left_out", "handed_on"})
#: Edits that take something away at an edge of the model, and change nothing of what is left.
CUTS = frozenset({"starts_here", "ends_before", "passes_by", "as_classifier"})
#: Edits of all ops that hang together, at one of which they stand.
REGIONAL = frozenset({"low_ranks", "parts_taken", "branches_chosen"})
#: Edits that move the model's boundary: what the app has to do then, in a sentence.
BOUNDARY: Mapping[str, str] = {
    "labels_as_numbers": "the output holds the label's number; its text is line number + 1 of the labels file beside the model",
    "starts_here": "what led to it is left to the app; `before` in the script does it in TensorFlow",
    "passes_by": "it is no output any more: the app has it already",
    "ends_before": "what is behind is left to the app: it is given what stood before",
}


@dataclass(frozen=True)
class Edit:
    """A recipe in the place of an op; `path` leads to its level: ((op, role), ...)."""

    path: tuple[tuple[str, str], ...]
    op: str
    type: str
    recipe: str
    given: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What the recipe takes beside the op's inputs: attributes of the op, for most."""
    function: Callable[..., Any] | None = field(default=None, compare=False)
    """The user's own, of that name; else the recipe is one of ours."""

    @property
    def at(self) -> str:
        """The op with the ops on the way to it."""
        return "/".join([*(name for name, _ in self.path), self.op])

    @property
    def summary(self) -> str:
        """What the recipe does, in its own words."""
        if self.function is not None:
            return f"{self.recipe} in its place"
        function = STRUCTURAL.get(self.recipe) or recipe_function(self.recipe)
        return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split()).rstrip(".")

    @property
    def tolerance(self) -> float:
        """How far, in parts of a tensor's scale, what it makes may lie from what was there, where its recipe states that."""
        stated = re.search(r"within ([\d.e-]+) of scale", self.summary)
        return float(stated[1]) if stated else 0.0

    def done(self, level: Any) -> Any:
        """Return the level's GraphDef with the edit; raises whatever a recipe raises that does not fit."""
        if self.function is not None:
            return spliced(level, self.op, self.function)
        if self.recipe in STRUCTURAL:
            return STRUCTURAL[self.recipe](level, self.op, **self.given)
        return spliced(level, self.op, recipe_function(self.recipe), **self.given)


def edited(program: Any, edits: Sequence[Edit]) -> Any:
    """Return the program with the edits, in their order; those of one level that adjoin are done in one go."""
    for path, group in groupby(edits, lambda e: e.path):
        program = apply(program, _path(path), [e.done for e in group])
    return program


def _path(path: Path) -> Path:
    return tuple(path)


def recipe_function(recipe: str) -> Callable[..., Any]:
    """Return the TensorFlow function of a recipe; raises KeyError for one that there is not."""
    for module in MODULES:
        found = getattr(importlib.import_module(f"bisect_convert.recipes.{module}"), recipe, None)
        if found is not None and not recipe.startswith("_"):
            return found  # type: ignore[no-any-return]
    raise KeyError(recipe)


def recipe_names(op: str) -> list[str]:
    """Return the names of the recipes for an op type, those with words first."""
    from bisect_convert.recipes import recipes_of

    return [r.name for r in recipes_of(op)]


def literal(value: Any) -> str:
    """Return the Python code of an attribute's value."""
    if isinstance(value, tf.TensorShape):
        return f"tf.TensorShape({None if value.rank is None else value.as_list()})"
    if isinstance(value, tf.DType):
        return f"tf.{value.name}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(v) for v in value)}]"
    return ascii(value)


def attributes(op: Any, recipe: str) -> dict[str, Any]:
    """Return the op's attributes that the recipe takes: its keyword-only parameters."""
    parameters = inspect.signature(recipe_function(recipe)).parameters.items()
    return {name: _attribute(op, name) for name, p in parameters if p.kind is p.KEYWORD_ONLY}


def _attribute(op: Any, name: str) -> Any:
    value = op.get_attr(name)
    if isinstance(value, bytes):
        return value.decode()
    return tf.TensorShape(value) if name == "shape" else value
