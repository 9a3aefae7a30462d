"""Constants that the converter cannot evaluate, given as their values. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.model.names import NO_VALUES
from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["folded", "from_constants", "unevaluated"]


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
    """Return the ops of the graph that make of constants what the converter does not get, but can be given.

    It gets no value made of a dtype that numpy does not have, and of an op with several results none.
    """
    return [
        op.name
        for op in graph.get_operations()
        if op.inputs
        and not any(t.dtype.base_dtype.name in NO_VALUES for t in op.outputs)
        and (len(op.outputs) > 1 or any(t.dtype.base_dtype.name in NO_VALUES for t in op.inputs))
        and from_constants(op)
    ]


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
