# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for tensors that are given as the places of their entries, and for lists of tensors of unlike sizes."""

from __future__ import annotations

import tensorflow as tf


def SparseReshape(input_indices, input_shape, new_shape):
    """number the places in the old shape, and find these numbers in the new one"""
    indices, old, new = (tf.cast(t, tf.int32) for t in (input_indices, input_shape, new_shape))
    old, new = ([t[n] for n in range(t.shape[0])] for t in (old, new))
    total, known = tf.reduce_prod(tf.stack(old)), tf.abs(tf.reduce_prod(tf.stack(new)))
    new = [tf.where(size < 0, total // tf.maximum(known, 1), size) for size in new]
    at = tf.zeros_like(indices[:, 0])
    for axis, size in enumerate(old):
        at = at * size + indices[:, axis]
    places = []
    for size in reversed(new):
        places.append(at % size)
        at = at // size
    return tf.cast(tf.stack(places[::-1], 1), tf.int64), tf.cast(tf.stack(new), tf.int64)


def SparseFillEmptyRows(indices, values, dense_shape, default_value):
    """count for each entry what comes before it, a default for each empty row included, and scatter them all there"""
    indices, count = tf.cast(indices, tf.int32), tf.cast(dense_shape[0], tf.int32)
    rows, every = indices[:, 0], tf.range(count)
    present = tf.cast(tf.equal(every[:, None], rows[None, :]), tf.int32)
    empty = tf.cast(tf.equal(tf.reduce_sum(present, 1), 0), tf.int32)
    held = tf.reduce_sum(present, 1) + empty
    first = tf.cumsum(held) - held
    order = tf.cumsum(present, 1) - present
    moved = tf.gather(first, rows) + tf.reduce_sum(present * order, 0)
    bare = tf.where(empty > 0)[:, 0]
    bare = tf.cast(bare, tf.int32)
    places = tf.concat([moved, tf.gather(first, bare)], 0)[:, None]
    fresh = tf.concat([bare[:, None]] + [0 * bare[:, None]] * (indices.shape[1] - 1), 1)
    total = tf.reduce_sum(held)
    found = tf.scatter_nd(places, tf.concat([indices, fresh], 0), tf.stack([total, indices.shape[1]]))
    kept = tf.cast(values, tf.int32) if values.dtype == tf.int64 else values
    given = tf.cast(default_value, kept.dtype) + tf.cast(0 * bare, kept.dtype)
    filled = tf.scatter_nd(places, tf.concat([kept, given], 0), tf.stack([total]))
    return tf.cast(found, tf.int64), tf.cast(filled, values.dtype), empty > 0, tf.cast(moved, tf.int64)


def TensorListConcatV2(input_handle, element_shape, leading_dims, *, element_dtype):
    """join what was written into the list, item by item, at places that are known"""
    items = {}
    op = input_handle.op
    while op.type in ("TensorListSetItem", "Identity"):
        if op.type == "TensorListSetItem" and _number(op.inputs[1]) not in items:
            items[_number(op.inputs[1])] = op.inputs[2]
        op = op.inputs[0].op
    if op.type != "TensorListReserve" or sorted(items) != list(range(_number(op.inputs[1]))) or not items:
        raise ValueError("for lists of which each item is seen to be written only")
    joined = [items[n] for n in sorted(items)]
    return tf.concat(joined, 0), tf.cast(tf.stack([tf.shape(item)[0] for item in joined]), tf.int64)


def _number(constant):
    value = tf.get_static_value(constant)
    if value is None and constant.op.type in ("Add", "AddV2"):  # as the turns of a loop are counted
        return sum(_number(term) for term in constant.op.inputs)
    if value is None and constant.op.type == "Identity":
        return _number(constant.op.inputs[0])
    if value is None:
        raise ValueError("for constant numbers only")
    return int(value)


def XlaGather(operand, start_indices, slice_sizes, *, dimension_numbers):
    """number the elements of each slice, and gather them out of the flat tensor"""
    from tensorflow.compiler.xla import xla_data_pb2

    how = xla_data_pb2.GatherDimensionNumbers()
    how.ParseFromString(dimension_numbers.encode() if isinstance(dimension_numbers, str) else dimension_numbers)
    sizes, slices, starts = operand.shape.as_list(), tf.get_static_value(slice_sizes), start_indices
    if None in sizes or slices is None or starts.shape.rank is None:
        raise ValueError("for known sizes only")
    if how.index_vector_dim == starts.shape.rank:
        starts = tf.expand_dims(starts, -1)
    elif how.index_vector_dim != starts.shape.rank - 1:
        raise ValueError("for index vectors along the last axis only")
    batch, spread = starts.shape.rank - 1, [d for d in range(len(sizes)) if d not in how.collapsed_slice_dims]
    at = tf.zeros([1] * (batch + len(spread)), tf.int32)
    for axis, size in enumerate(sizes):
        at = at * size
        if axis in how.start_index_map:
            first = tf.cast(starts[..., list(how.start_index_map).index(axis)], tf.int32)
            first = tf.minimum(tf.maximum(first, 0), size - int(slices[axis]))
            at = at + tf.reshape(
                first, tf.concat([tf.shape(first), [1] * len(spread)], 0) if spread else tf.shape(first)
            )
        if axis in spread:
            behind = [1] * (len(spread) - 1 - spread.index(axis))
            at = at + tf.reshape(tf.range(int(slices[axis])), [-1, *behind])
    made = tf.gather(tf.reshape(operand, [-1]), at)
    rank = batch + len(spread)
    outer = iter(range(batch))
    order = [batch + list(how.offset_dims).index(d) if d in how.offset_dims else next(outer) for d in range(rank)]
    return made if order == list(range(rank)) else tf.transpose(made, order)
