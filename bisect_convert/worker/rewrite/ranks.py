"""Tensors of rank above 5, which Core ML does not have, done without. Scripts that apply edits hold the text of these.

Each such tensor is carried by one with the same elements in the same order and fewer axes: reshapes cost nothing then, ops on
each element do not care, and an op along one axis needs three: what is before it, itself, what is behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker.rewrite.editing import fresh_nodes, imported

__all__ = ["known_sizes", "low_ranks", "sized_input"]

MOST_AXES = 5
#: Ops that work on each element by itself.
_EACH = frozenset(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Cos Cosh Elu Erf Erfc Exp Expm1 Floor Identity Inv LeakyRelu Log Log1p
    LogicalNot Neg Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square Tan Tanh
    """.split()
)
_PAIRS = frozenset(
    """
    Add AddV2 Sub Mul RealDiv Div DivNoNan Maximum Minimum Pow SquaredDifference FloorDiv FloorMod Greater GreaterEqual Less
    LessEqual Equal NotEqual LogicalAnd LogicalOr
    """.split()
)
_SUMS = frozenset({"Sum", "Mean", "Max", "Min", "Prod", "All", "Any"})


def low_ranks(graph_def: Any, name: str) -> Any:
    """Tensors of rank above 5 between reshapes are carried by tensors of fewer axes with the same elements."""
    graph = imported(graph_def)
    carried: dict[str, Any] = {}
    gone: dict[str, Any] = {}
    with graph.as_default():
        for op in [op for op in graph.get_operations() if any(_high(t) for t in (*op.inputs, *op.outputs))]:
            if op.type == "Const":
                carried[op.outputs[0].name] = tf.constant(tf.get_static_value(op.outputs[0]).reshape(-1))
                continue
            with tf.name_scope(f"{op.name}/low_rank/"):
                given = [carried.get(t.name, t) for t in op.inputs]
                made = _carried_out(graph, op, given)
            for tensor, result in zip(op.outputs, made, strict=True):
                if _high(tensor):
                    carried[tensor.name] = result
                else:
                    gone[op.name] = tf.reshape(result, _sizes(tensor)) if result.shape != tensor.shape else result
    made_def = tf.compat.v1.GraphDef()
    made_def.versions.CopyFrom(graph_def.versions)
    made_def.library.CopyFrom(graph_def.library)
    dead = {t.partition(":")[0] for t in carried}
    made_def.node.extend(n for n in graph_def.node if n.name not in gone and n.name not in dead)
    made_def.node.extend(fresh_nodes(graph_def, graph))
    for old, tensor in gone.items():
        node = made_def.node.add(name=old, op="Identity", input=[tensor.name.removesuffix(":0")])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
    return made_def


def _high(tensor: Any) -> bool:
    return tensor.shape.rank is not None and tensor.shape.rank > MOST_AXES


def _sizes(tensor: Any) -> list[int]:
    """The shape with -1 for the one size that is not known."""
    sizes = [-1 if s is None else s for s in tensor.shape.as_list()]
    if sizes.count(-1) > 1:
        raise ValueError("two sizes are not known")
    return sizes


def _product(sizes: Sequence[int]) -> int:
    return -1 if -1 in sizes else int(np.prod(sizes, dtype=np.int64))


def _around(x: Any, sizes: Sequence[int], first: int, last: int) -> Any:
    """The tensor with three axes: what is before the axes from first to last, these, what is behind them."""
    return tf.reshape(x, [_product(sizes[:first]), _product(sizes[first:last]), _product(sizes[last:])])


def _carried_out(graph: Any, op: Any, given: list[Any]) -> list[Any]:
    """What the op makes, each result with its elements in their order, in whatever shape."""
    attributes = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
    if op.type in ("Reshape", "ExpandDims", "Squeeze"):
        return given[:1]
    if op.type in _EACH:
        return [graph.create_op(op.type, given, [op.outputs[0].dtype], attrs=attributes, name=op.type).outputs[0]]
    if op.type in _PAIRS:
        pair = _alike(op, given)
        return [graph.create_op(op.type, pair, [op.outputs[0].dtype], attrs=attributes, name=op.type).outputs[0]]
    if op.type == "Transpose":
        return [_moved(given[0], _sizes(op.inputs[0]), tf.get_static_value(op.inputs[1]).tolist())]
    if op.type in _SUMS:
        return [_summed(graph, op, given, attributes)]
    if op.type in ("Pack", "ConcatV2"):
        return [_joined(op, given)]
    if op.type == "StridedSlice":
        return [_sliced(op, given[0])]
    if op.type == "Softmax":
        last = _sizes(op.inputs[0])[-1]
        return [tf.nn.softmax(tf.reshape(given[0], [-1, last]))]
    raise ValueError(f"{op.type} is not known to work on fewer axes")


def _alike(op: Any, given: Sequence[Any]) -> list[Any]:
    """Both tensors with the same few axes, the smaller one to be repeated along what it lacks."""
    sizes = _sizes(op.outputs[0])
    shapes = [_sizes(t) for t in op.inputs]
    full = [[1] * (len(sizes) - len(s)) + s for s in shapes]
    parts = [0]
    for axis in range(1, len(sizes)):
        kinds = [[f[a] == 1 and sizes[a] != 1 for f in full] for a in (axis - 1, axis)]
        if kinds[0] != kinds[1] and sizes[axis] != 1:
            parts.append(axis)
    if len(parts) > MOST_AXES:
        return [tf.reshape(_repeated(x, f, sizes), [-1]) for x, f in zip(given, full, strict=True)]
    ends = [*parts[1:], len(sizes)]
    return [
        tf.reshape(x, [_product(f[a:b]) for a, b in zip(parts, ends, strict=True)])
        for x, f in zip(given, full, strict=True)
    ]


def _repeated(x: Any, own: Sequence[int], sizes: Sequence[int]) -> Any:
    """The tensor repeated along each axis that it lacks."""
    held = list(own)
    for axis, size in enumerate(sizes):
        if held[axis] == 1 and size != 1:
            x = tf.tile(_around(x, held, axis, axis + 1), [1, size, 1])
            held[axis] = size
    return x


def _summed(graph: Any, op: Any, given: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    sizes, x, dtype = _sizes(op.inputs[0]), given[0], op.outputs[0].dtype
    for axis in sorted({a % len(sizes) for a in np.ravel(tf.get_static_value(op.inputs[1])).tolist()}):
        x = _around(x, sizes, axis, axis + 1)
        x = graph.create_op(op.type, [x, tf.constant(1)], [dtype], attrs=dict(attributes), name=op.type).outputs[0]
        sizes = [*sizes[:axis], 1, *sizes[axis + 1 :]]
    return x


def _joined(op: Any, given: Sequence[Any]) -> Any:
    if op.type == "Pack":
        axis = op.get_attr("axis") % len(op.outputs[0].shape)
        return tf.concat([_around(x, _sizes(t), axis, axis) for x, t in zip(given, op.inputs, strict=True)], 1)
    axis = int(tf.get_static_value(op.inputs[-1])) % len(op.outputs[0].shape)
    parts = list(zip(given[:-1], op.inputs[:-1], strict=True))
    return tf.concat([_around(x, _sizes(t), axis, axis + 1) for x, t in parts], 1)


def _sliced(op: Any, x: Any) -> Any:
    """The slice taken axis by axis."""
    sizes = _sizes(op.inputs[0])
    begin, end, step = (tf.get_static_value(t).tolist() for t in op.inputs[1:4])
    masks = {n: op.get_attr(f"{n}_mask") for n in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    if masks["ellipsis"] or masks["new_axis"]:
        raise ValueError("an ellipsis or a new axis is in the slice")
    for axis in range(len(begin)):
        if masks["shrink_axis"] >> axis & 1:
            part = slice(begin[axis], begin[axis] + 1 or None, 1)
        else:
            first = None if masks["begin"] >> axis & 1 else begin[axis]
            part = slice(first, None if masks["end"] >> axis & 1 else end[axis], step[axis])
        if part == slice(None, None, 1):
            continue
        if sizes[axis] < 0:
            raise ValueError("a size along which is sliced is not known")
        taken = range(sizes[axis])[part]
        x = _around(x, sizes, axis, axis + 1)[:, part, :]
        sizes = [*sizes[:axis], len(taken), *sizes[axis + 1 :]]
    return x


def _moved(x: Any, sizes: list[int], order: list[int]) -> Any:
    """What `tf.transpose(tf.reshape(x, sizes), order)` holds: a block of axes is brought forward at a time."""
    axes = list(range(len(sizes)))
    for place, wanted in enumerate(order):
        at = axes.index(wanted)
        last = at + 1
        while last < len(axes) and order[place : place + last + 1 - at] == axes[at : last + 1]:
            last += 1
        if at == place:
            continue
        parts = [axes[:place], axes[place:at], axes[at:last], axes[last:]]
        x = tf.transpose(tf.reshape(x, [_product([sizes[a] for a in part]) for part in parts]), [0, 2, 1, 3])
        axes = [a for part in (parts[0], parts[2], parts[1], parts[3]) for a in part]
    return x


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


def sized_input(graph_def: Any, name: str, sizes: Sequence[int]) -> Any:
    """The input has the sizes that it is given with."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    node = next(n for n in made.node if n.name == name)
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(list(sizes)).as_proto())
    return made
