"""Put structural edits in the place of loops, conditionals, splits and high ranks of a section; for workers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import BRANCHES, LOOPS, op_of
from bisect_convert.report.values import Compared
from bisect_convert.worker.nodes import data
from bisect_convert.worker.private_api import freeze
from bisect_convert.worker.rewrite.agreement import agreement
from bisect_convert.worker.rewrite.difference import Agreement
from bisect_convert.worker.rewrite.editing import pruned
from bisect_convert.worker.rewrite.edits import Edit, edited
from bisect_convert.worker.rewrite.levels import levels
from bisect_convert.worker.rewrite.samples import sample_inputs

__all__ = ["STRUCTURES", "restructured"]

#: How far outputs may lie apart, in parts of their scale.
_CLOSE = 1e-5
#: How often branches are taken: a condition may follow from what another one chose.
_ROUNDS = 6


def _left_open(op: Any) -> bool:
    sizes = tf.get_static_value(op.inputs[1]) if op.type == "SplitV" else None
    return sizes is not None and -1 in sizes


def _high(op: Any) -> bool:
    return any((t.shape.rank or 0) > 5 for t in op.outputs)


#: The edits that may be tried by themselves, and which ops each is for; of ops of high rank one of a level stands for all.
STRUCTURES: Mapping[str, Callable[[Any], bool]] = {
    "unrolled": lambda op: op.type in LOOPS,
    "without_limit": lambda op: op.type in LOOPS,
    "known_branch": lambda op: op.type in BRANCHES and tf.get_static_value(op.inputs[0]) is not None,
    "both_branches": lambda op: op.type in BRANCHES,
    "known_sizes": _left_open,
    "low_ranks": _high,
}


def restructured(program: Any, recipe: str, *, run: bool) -> tuple[Any, Compared | None]:
    """Return the GraphDef with the edit wherever it is for, and what its outputs were compared on; raises what edits raise.

    run: execute both on made-up inputs; None where they are not executed, or not to be.
    """
    results, made = _results(program), program
    for number in range(_ROUNDS if recipe == "known_branch" else 1):
        if edits := _edits(made, recipe):
            made = pruned(edited(made, edits), results)
        elif not number:
            raise ValueError("there is nothing that it is for")
    seen = _compared(program, made, results) if run else None
    return _traced(made, results) if recipe == "unrolled" else made, seen


def _edits(program: Any, recipe: str) -> list[Edit]:
    edits = []
    for path, _, graph in levels(program):
        found = [Edit(path, op.name, op.type, recipe) for op in graph.get_operations() if STRUCTURES[recipe](op)]
        edits += found[:1] if recipe == "low_ranks" else found
    return edits


def _traced(program: Any, results: list[str]) -> Any:
    """The GraphDef as a model that is written so would come to the converter, its constants folded."""
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(program, name=""), [])
    given = [f"{n.name}:0" for n in program.node if n.op == "Placeholder"]
    return freeze(wrapped.prune(given, [f"{name}:0" for name in results]))


def _results(program: Any) -> list[str]:
    """The ops whose values nothing reads."""
    read = {op_of(i) for node in program.node for i in data(node)}
    return [n.name for n in program.node if n.name not in read and n.op not in ("Placeholder", "Const", "NoOp")]


def _compared(program: Any, made: Any, results: list[str]) -> Compared | None:
    gap = next(
        (gap for shapes in ({}, _alike(program)) if (gap := _gap(program, made, results, shapes)) is not None), None
    )
    if gap is None or not gap.samples:
        return None
    words = ("random", "zeros")
    return Compared(words, (), gap.max_rel) if gap.max_rel <= _CLOSE else Compared((), words)


def _gap(program: Any, made: Any, results: list[str], shapes: Mapping[str, list[int]]) -> Agreement | None:
    try:
        inputs = sample_inputs(program, shapes)
        return agreement(program, made, [f"{name}:0" for name in results], inputs)
    except Exception:  # inputs that cannot be made up, or that the section refuses
        return None


def _alike(program: Any) -> dict[str, list[int]]:
    """The shapes of inputs where all open sizes are one: cut out of a model, one batch may stand at any place of them."""
    shapes = {n.name: tf.TensorShape(n.attr["shape"].shape) for n in program.node if n.op == "Placeholder"}
    return {name: [s or 2 for s in shape.as_list()] for name, shape in shapes.items() if shape.rank is not None}
