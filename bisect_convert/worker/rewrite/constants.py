"""Constants that the converter cannot evaluate, given as their values. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.model.names import NO_VALUES
from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["folded", "from_constants", "kept_from_converter", "unevaluated"]


def folded(graph_def: Any, name: str) -> Any:
    """What follows from constants alone is given as its value."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    if not from_constants(op):
        raise ValueError(f"{name} does not follow from constants alone")
    with tf.compat.v1.Session(graph=graph) as session:
        values = session.run(list(op.outputs))
    with graph.as_default():
        return replaced(graph_def, graph, name, [tf.constant(value) for value in values])


def unevaluated(graph: Any) -> list[str]:
    """Return the ops of the graph that make of constants what the converter does not get, but can be given."""
    constant: dict[str, bool] = {}  # in one pass, over ops that stand behind what they read
    found = []
    for op in graph.get_operations():
        made = bool(op.inputs) and all(constant.get(t.op.name, False) for t in op.inputs)
        constant[op.name] = made or op.type == "Const"
        given = all(t.dtype.base_dtype.name not in NO_VALUES for t in op.outputs)
        if made and given and kept_from_converter(op):
            found.append(op.name)
    return found


def kept_from_converter(op: Any) -> bool:
    """Return whether the converter gets no value of an op that follows from constants.

    It has none for a dtype that numpy lacks, and of several results it takes the first for them all.
    """
    return len(op.outputs) > 1 or any(t.dtype.base_dtype.name in NO_VALUES for t in (*op.inputs, *op.outputs))


def from_constants(op: Any) -> bool:
    """Return whether nothing but constants goes into what the op makes."""
    todo, seen = [op], {op.name}
    while todo:
        at = todo.pop()
        if not at.inputs and at.type != "Const":
            return False
        fresh = [t.op for t in at.inputs if t.op.name not in seen]
        seen.update(o.name for o in fresh)
        todo += fresh
    return True
