"""Calls and conditionals of a level replaced by what they call. Scripts that apply edits hold the text of these."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import imported, inside, replaced

__all__ = ["both_branches", "inlined", "known_branch"]


def inlined(graph_def: Any, name: str) -> Any:
    """The call is replaced by what it calls, within 1e-5 of scale: where XLA compiled it, sums are in another order."""
    graph = imported(graph_def)
    call = graph.get_operation_by_name(name)
    with graph.as_default():
        made = inside(graph_def, call, "f", list(call.inputs), f"{name}/called")
    return replaced(graph_def, graph, name, made)


def known_branch(graph_def: Any, name: str) -> Any:
    """The conditional, whose predicate is a constant, is replaced by the branch that it takes."""
    graph = imported(graph_def)
    call = graph.get_operation_by_name(name)
    taken = tf.get_static_value(call.inputs[0])
    if taken is None:
        raise ValueError("the predicate is no constant")
    with graph.as_default():
        role = "then_branch" if taken else "else_branch"
        made = inside(graph_def, call, role, list(call.inputs)[1:], f"{name}/taken")
    return replaced(graph_def, graph, name, made)


def both_branches(graph_def: Any, name: str) -> Any:
    """Both branches of the conditional are computed, and `tf.where` chooses between their results."""
    graph = imported(graph_def)
    call = graph.get_operation_by_name(name)
    with graph.as_default():
        given = list(call.inputs)[1:]
        one = inside(graph_def, call, "then_branch", given, f"{name}/then")
        other = inside(graph_def, call, "else_branch", given, f"{name}/else")
        with tf.name_scope(f"{name}/chosen/"):
            flag = call.inputs[0]
            flag = flag if flag.dtype == tf.bool else tf.not_equal(flag, tf.zeros([], flag.dtype))
            flag = flag if flag.shape.rank == 0 else tf.reshape(flag, [])  # which is no scalar to the converter
            made = [_where(flag, a, b) for a, b in zip(one, other, strict=True)]
    return replaced(graph_def, graph, name, made)


def _where(flag: Any, one: Any, other: Any) -> Any:
    if one.dtype in (tf.variant, tf.resource, tf.string):
        raise ValueError(f"nothing chooses between two of {one.dtype.name}")
    if one.shape.rank is None or one.shape.as_list() != other.shape.as_list():
        raise ValueError(f"the branches make {one.shape} and {other.shape}")
    if one.dtype == tf.complex64:
        return tf.complex(*[tf.where(flag, part(one), part(other)) for part in (tf.math.real, tf.math.imag)])
    if one.dtype == tf.bool:
        return tf.logical_or(tf.logical_and(flag, one), tf.logical_and(tf.logical_not(flag), other))
    return tf.where(flag, one, other)
