"""Bits of floats that numbers can say. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["sign_bit"]


def sign_bit(graph_def: Any, name: str) -> Any:
    """The sign bit of floats, which is all that is read of their bits, is found by comparing them with zero."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    lowest = -(2**31)
    readers = [reader for t in op.outputs for reader in t.consumers()]
    if op.inputs[0].dtype != tf.float32 or op.outputs[0].dtype != tf.int32 or not readers:
        raise ValueError("these are not the bits of float32 numbers")
    for reader in readers:
        masks = [tf.get_static_value(t) for t in reader.inputs if t.op.name != name]
        if reader.type != "BitwiseAnd" or any(m is None or (m != lowest).any() for m in masks):
            raise ValueError("more is read than the sign bit")
    with graph.as_default(), tf.name_scope(f"{name}/instead/"):
        x = op.inputs[0]
        negative = tf.logical_or(x < 0.0, tf.logical_and(tf.equal(x, 0.0), 1.0 / x < 0.0))
        bit = tf.where(negative, tf.fill(tf.shape(x), lowest), tf.zeros_like(x, tf.int32))
    for reader in readers:
        graph_def = replaced(graph_def, graph, reader.name, [bit])
    return graph_def
