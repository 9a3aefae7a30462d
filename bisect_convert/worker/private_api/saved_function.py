"""One function of a SavedModel without all the others, of which there may be hundreds, and without what its variables hold."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.function.capture import restore_captures
from tensorflow.python.ops import resource_variable_ops
from tensorflow.python.saved_model import function_deserialization

__all__ = ["saved_function"]

_GRADIENT = "_gradient_op_type"


def saved_function(meta_graph: Any, name: str) -> Any | None:
    """Return the concrete function as `tf.saved_model.load` makes it; None where it captures tables or the like."""
    objects = meta_graph.object_graph_def
    captured = [objects.nodes[node] for node in objects.concrete_functions[name].bound_inputs]
    if any(node.WhichOneof("kind") not in ("variable", "constant") for node in captured):
        return None
    values = {node.name: node.attr["value"].tensor for node in meta_graph.graph_def.node if node.op == "Const"}
    library = _needed(meta_graph.graph_def.library, name)
    function = function_deserialization.load_function_def_library(library, saved_object_graph=objects)[name]
    held = [
        tf.constant(tf.make_ndarray(values[node.constant.operation]))
        if node.WhichOneof("kind") == "constant" else _variable(node.variable)
        for node in captured
    ]  # fmt: skip
    restore_captures.restore_captures(function, held)
    function._bisect_convert_owner = held  # the graph holds variables weakly
    return function


def _variable(saved: Any) -> Any:
    return resource_variable_ops.UninitializedVariable(
        shape=tf.TensorShape(saved.shape), dtype=tf.as_dtype(saved.dtype), trainable=saved.trainable,
        name=saved.name or None,
    )  # fmt: skip


def _needed(library: Any, name: str) -> Any:
    """The functions that are called on the way from this one, and their gradients, in the order that they have."""
    known = {function.signature.name: function for function in library.function}
    gradients = {g.registered_op_type.encode(): g for g in library.registered_gradients}
    found, kept, todo = {name}, set(), [name]
    while todo:
        for node in known[todo.pop()].node_def:
            reached = {f.name for a in node.attr.values() for f in [a.func, *a.list.func] if f.name} | {node.op}
            if _GRADIENT in node.attr and (kind := node.attr[_GRADIENT].s) in gradients:
                kept.add(kind)
                reached.add(gradients[kind].gradient_func)
            new = reached & known.keys() - found
            found |= new
            todo += new
    made = type(library)()
    made.function.extend(function for function in library.function if function.signature.name in found)
    made.registered_gradients.extend(gradient for kind, gradient in gradients.items() if kind in kept)
    return made
