"""Ops carried out in another dtype than their own. Scripts that apply edits hold the text of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker.rewrite.editing import RESULT, imported, replaced, without

__all__ = ["in_float32", "in_int32", "island", "labels_as_numbers"]


def in_float32(graph_def: Any, name: str) -> Any:
    """The op is carried out in float32, between casts."""
    return _carried_out(graph_def, name, tf.float32)


def in_int32(graph_def: Any, name: str) -> Any:
    """The op is carried out in int32, between casts."""
    return _carried_out(graph_def, name, tf.int32)


def _carried_out(graph_def: Any, name: str, dtype: Any) -> Any:
    """The op's T and the tensors that have it, in that dtype."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    own = tf.as_dtype(op.get_attr("T"))
    with graph.as_default(), tf.name_scope(f"{name}/cast/"):
        given = [tf.cast(t, dtype) if t.dtype == own else t for t in op.inputs]
        attributes = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
        attributes["T"] = tf.compat.v1.AttrValue(type=dtype.as_datatype_enum)
        kinds = [dtype if t.dtype == own else t.dtype for t in op.outputs]
        again = graph.create_op(op.type, given, kinds, attrs=attributes, name=op.type)
        made = [tf.cast(t, o.dtype) for t, o in zip(again.outputs, op.outputs, strict=True)]
    return replaced(graph_def, graph, name, made)


def island(graph_def: Any, name: str) -> Any:
    """All ops that hand on what this one makes, in a dtype that Core ML lacks, have it in one that Core ML has."""
    graph = imported(graph_def)
    first = graph.get_operation_by_name(name)
    own = next(t.dtype for t in first.outputs)
    carrier = tf.float32 if own.is_floating else tf.int32
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    nodes = {n.name: n for n in made.node}
    members = _members(first, own)
    for op in members:
        if op.type == "Placeholder" and (own.is_floating or any(name.startswith(RESULT) for name in nodes)):
            raise ValueError(
                "an input has that dtype"
            )  # an app gives whole numbers as int32 in any case, a call does not
        node = nodes[op.name]
        node.attr.pop("_output_shapes", None)
        for value in node.attr.values():
            if value.type == own.as_datatype_enum:
                value.type = carrier.as_datatype_enum
            kinds = value.list.type if value.HasField("list") else []
            kinds[:] = [carrier.as_datatype_enum if k == own.as_datatype_enum else k for k in kinds]
        if op.type == "Const":
            array = tf.make_ndarray(node.attr["value"].tensor).astype(carrier.as_numpy_dtype)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array, carrier))
    for op in members:
        if own.is_integer and any(t.dtype == own for t in op.outputs) and op.type in _WRAPPING:
            made = _wrapped(made, op.name, own)
    return made


#: What may go past the ends of its dtype, and comes round at the other end then.
_WRAPPING = frozenset({"Cast", "Add", "AddV2", "Sub", "Mul", "Neg", "Sum", "Prod", "AddN", "Square", "Cumsum"})


def _members(first: Any, own: Any) -> list[Any]:
    """The ops that a tensor of that dtype enters or leaves, as far as such tensors lead."""
    found: dict[str, Any] = {}
    todo = [first]
    while todo:
        op = todo.pop()
        if op.name in found:
            continue
        found[op.name] = op
        todo += [t.op for t in op.inputs if t.dtype == own]
        todo += [reader for t in op.outputs if t.dtype == own for reader in t.consumers()]
    return list(found.values())


def _wrapped(graph_def: Any, name: str, own: Any) -> Any:
    """The int32 results of the op, brought into the range of an integer dtype: round and round, but at the ends from floats.

    TensorFlow's cast of a float past the ends is left open, and saturates where it works on many at a time.
    """
    moved = f"{name}/unwrapped"
    node = next(n for n in graph_def.node if n.name == name)
    saturates = node.op == "Cast" and tf.as_dtype(node.attr["SrcT"].type).is_floating
    kind = tf.as_dtype(node.attr["SrcT"].type) if saturates else tf.int32
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(kind, None, name="x")
        with tf.name_scope(f"{name}/wrapped/"):
            if saturates:
                y = tf.cast(tf.clip_by_value(x, tf.cast(own.min, kind), tf.cast(own.max, kind)), tf.int32)
            else:
                y = tf.math.floormod(x - own.min, own.max - own.min + 1) + own.min
        tf.identity(y, name=name)
    read = node.input[0] if saturates else moved
    node.name = moved
    made = without(graph_def, moved) if saturates else graph_def
    for fresh in graph.as_graph_def().node:
        if fresh.op != "Placeholder":
            copy = made.node.add()
            copy.CopyFrom(fresh)
            copy.input[:] = [read if i == "x" else i for i in copy.input]
    return made


def labels_as_numbers(graph_def: Any, name: str) -> Any:
    """Strings that are looked up in a constant table and handed on are given as their numbers in that table."""
    graph = imported(graph_def)
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    nodes = {n.name: n for n in made.node}
    members = _members(graph.get_operation_by_name(name), tf.string)
    tables = [op for op in members if op.type == "Const"]
    if len(tables) != 1 or any(op.type not in _HANDING_ON for op in members):
        raise ValueError("more is done with the strings than to look them up in one table")
    for op in members:
        node = nodes[op.name]
        node.attr.pop("_output_shapes", None)
        for value in node.attr.values():
            if value.type == tf.string.as_datatype_enum:
                value.type = tf.int32.as_datatype_enum
    table = nodes[tables[0].name].attr["value"].tensor
    shape = tf.TensorShape(table.tensor_shape)
    numbers = np.arange(shape.num_elements(), dtype=np.int32).reshape(shape.as_list())
    table.CopyFrom(tf.make_tensor_proto(numbers))
    return made


#: Ops that hand strings on without a look at them.
_HANDING_ON = frozenset(
    {"Const", "GatherV2", "Gather", "GatherNd", "Identity", "Reshape", "Squeeze", "ExpandDims", "Pack"}
)
