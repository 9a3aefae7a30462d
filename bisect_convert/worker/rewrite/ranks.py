"""Tensors of rank above 5, which Core ML does not have, done without. Scripts that apply edits hold the text of these."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["flattened", "known_sizes", "merged_transpose"]

#: Ops that work on each element by itself.
_EACH = frozenset(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Cos Cosh Elu Erf Erfc Exp Expm1 Floor Identity Inv LeakyRelu Log Log1p
    LogicalNot Neg Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square Tan Tanh
    """.split()
)


def merged_transpose(graph_def: Any, name: str) -> Any:
    """The transposition of rank above 5 between two reshapes is done in steps of rank 3 or 4."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    sizes, order = op.inputs[0].shape.as_list(), tf.get_static_value(op.inputs[1]).tolist()
    before = op.inputs[0].op
    readers = op.outputs[0].consumers()
    if before.type != "Reshape" or any(r.type != "Reshape" for r in readers) or sizes.count(None) > 1:
        raise ValueError("it does not stand between two reshapes")
    with graph.as_default(), tf.name_scope(f"{name}/in_steps/"):
        x = _moved(before.inputs[0], [-1 if s is None else s for s in sizes], order)
    made = replaced(graph_def, graph, name, [x])
    return made


def flattened(graph_def: Any, name: str) -> Any:
    """The op, which works on each element by itself, is given its tensors with the leading axes in one."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    if op.type == "Reshape":
        return _unshaped(graph_def, graph, op)
    if op.type not in _EACH or op.inputs[0].op.type != "Reshape":
        raise ValueError("it is not known to work on each element by itself, behind a reshape")
    with graph.as_default(), tf.name_scope(f"{name}/instead/"):
        source = op.inputs[0].op.inputs[0]
        attributes = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
        made = graph.create_op(op.type, [source], [op.outputs[0].dtype], attrs=attributes, name=op.type)
    return replaced(graph_def, graph, name, [made.outputs[0]])


def _unshaped(graph_def: Any, graph: Any, op: Any) -> Any:
    """Without a reshape to rank above 5 that only other reshapes read: those read what it reads."""
    if any(reader.type != "Reshape" for reader in op.outputs[0].consumers()):
        raise ValueError("not only reshapes read it")
    return replaced(graph_def, graph, op.name, [op.inputs[0]])


def _moved(x: Any, sizes: list[int], order: list[int]) -> Any:
    """What `tf.transpose(tf.reshape(x, sizes), order)` holds, in the shape of its last step: a block brought forward."""
    axes = list(range(len(sizes)))
    for place, wanted in enumerate(order):
        at = axes.index(wanted)
        last = at
        while order[place : place + last + 1 - at + 1] == axes[at : last + 2] and last + 1 < len(axes):
            last += 1
        if at == place:
            continue
        parts = [axes[:place], axes[place:at], axes[at : last + 1], axes[last + 1 :]]
        x = tf.transpose(tf.reshape(x, [_size(sizes, part) for part in parts]), [0, 2, 1, 3])
        axes = [a for part in (parts[0], parts[2], parts[1], parts[3]) for a in part]
    return x


def _size(sizes: list[int], axes: list[int]) -> int:
    size = 1
    for axis in axes:
        if sizes[axis] < 0:
            return -1
        size *= sizes[axis]
    return size


def known_sizes(graph_def: Any, name: str) -> Any:
    """The size that a split leaves open, as -1, is written down."""
    op = imported(graph_def).get_operation_by_name(name)
    sizes, axis = tf.get_static_value(op.inputs[1]).tolist(), int(tf.get_static_value(op.inputs[2]))
    whole = op.inputs[0].shape[axis]
    if whole is None or sizes.count(-1) != 1:
        raise ValueError("the size of the whole is not known")
    sizes[sizes.index(-1)] = whole - sum(sizes) - 1
    with tf.Graph().as_default() as graph:
        tf.constant(sizes, op.inputs[1].dtype, name=f"{name}/sizes")
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    made.node.extend(graph.as_graph_def().node)
    for node in made.node:
        if node.name == name:
            node.input[1] = f"{name}/sizes"
    return made
