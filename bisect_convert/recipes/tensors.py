# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for ops that move elements about: shifts, segments, scatters, diagonals, bins, running products."""

from __future__ import annotations

import tensorflow as tf


def Roll(x, shift, axis):
    """roll by joining the two slices the other way round"""
    shifts, axes = tf.get_static_value(shift).reshape(-1), tf.get_static_value(axis).reshape(-1)
    for by, at in zip(shifts.tolist(), axes.tolist(), strict=True):
        at %= len(x.shape)
        by = by % x.shape[at] if x.shape[at] else by
        if by:
            behind, before = [slice(None)] * len(x.shape), [slice(None)] * len(x.shape)
            behind[at], before[at] = slice(-by, None), slice(None, -by)
            x = tf.concat([x[tuple(behind)], x[tuple(before)]], at)
    return x


def ShapeN(*tensors):
    """take the shapes one by one"""
    return [tf.shape(t) for t in tensors]


def EnsureShape(x, *, shape):
    """leave the check out: it changes no value"""
    known = [-1 if size is None else size for size in shape.as_list()]
    return tf.reshape(x, known) if known.count(-1) <= 1 else tf.reshape(x, tf.shape(x))


def BroadcastTo(x, shape):
    """add zeros of the wanted shape"""
    return x + tf.zeros(shape, x.dtype)


def UnsortedSegmentSum(data, ids, count):
    """sum the segments by a product with their one-hot matrix"""
    if data.dtype.is_integer:
        raise ValueError("for floats only")
    picks = _picks(tf.reshape(tf.cast(ids, tf.int32), [-1]), tf.cast(count, tf.int32), data.dtype)
    rows = tf.reshape(data, [-1, *data.shape[len(ids.shape) :]])
    flat = tf.reshape(rows, [-1, max(1, rows.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *rows.shape[1:]])


def _picks(ids, count, dtype):
    return tf.cast(tf.equal(tf.range(count)[:, None], ids[None, :]), dtype)


def UnsortedSegmentMax(data, ids, count):
    """take each segment's maximum over a mask of its rows"""
    return tf.reduce_max(_masked(data, ids, count, data.dtype.min), 1)


def UnsortedSegmentMin(data, ids, count):
    """take each segment's minimum over a mask of its rows"""
    return tf.reduce_min(_masked(data, ids, count, data.dtype.max), 1)


def _masked(data, ids, count, other):
    if len(ids.shape) != 1:
        raise ValueError("for ids of rank 1 only")
    mask = tf.equal(tf.range(count)[:, None], ids[None, :])
    mask = tf.reshape(mask, [-1, ids.shape[0] or -1, *[1] * (len(data.shape) - 1)])
    return tf.where(mask, data[None], other)


def SegmentSum(data, ids):
    """sum the segments by a product with their one-hot matrix (better still: give it a constant number of segments)"""
    ids = tf.cast(ids, tf.int32)
    picks = _picks(ids, tf.reduce_max(ids) + 1, data.dtype)
    flat = tf.reshape(data, [-1, max(1, data.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *data.shape[1:]])


def SegmentMax(data, ids):
    """take each segment's maximum over a mask of its rows (better still: give it a constant number of segments)"""
    return tf.reduce_max(_masked(data, ids, tf.reduce_max(ids) + 1, data.dtype.min), 1)


def SegmentMin(data, ids):
    """take each segment's minimum over a mask of its rows (better still: give it a constant number of segments)"""
    return tf.reduce_min(_masked(data, ids, tf.reduce_max(ids) + 1, data.dtype.max), 1)


def SegmentMean(data, ids):
    """average the segments by a product with their one-hot matrix (better: a constant number of segments)"""
    ids = tf.cast(ids, tf.int32)
    picks = _picks(ids, tf.reduce_max(ids) + 1, data.dtype)
    picks = picks / tf.maximum(tf.reduce_sum(picks, 1, keepdims=True), 1.0)
    flat = tf.reshape(data, [-1, max(1, data.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *data.shape[1:]])


def XlaDynamicUpdateSlice(x, update, indices):
    """take each element from the update or from what is there, by its place"""
    inside = None
    for axis, (size, width) in enumerate(zip(x.shape, update.shape, strict=True)):
        first = tf.minimum(tf.maximum(indices[axis], 0), size - width)
        place = tf.range(size) - first
        within = tf.logical_and(place >= 0, place < width)
        within = tf.reshape(within, [-1 if at == axis else 1 for at in range(len(x.shape))])
        inside = within if inside is None else tf.logical_and(inside, within)
        if size != width:
            update = tf.gather(update, tf.minimum(tf.maximum(place, 0), width - 1), axis=axis)
    return tf.where(inside, update, x)


def TensorScatterUpdate(x, indices, updates):
    """add what the update differs by (indices must be unique)"""
    return tf.tensor_scatter_nd_add(x, indices, updates - tf.gather_nd(x, indices))


def TensorScatterSub(x, indices, updates):
    """add the negative"""
    return tf.tensor_scatter_nd_add(x, indices, -updates)


def TensorScatterMax(x, indices, updates):
    """take the maximum with the updates where there are any (indices must be unique)"""
    return tf.where(
        _scattered(x, indices, tf.ones_like(updates)) > 0.5, tf.maximum(x, _scattered(x, indices, updates)), x
    )


def TensorScatterMin(x, indices, updates):
    """take the minimum with the updates where there are any (indices must be unique)"""
    return tf.where(
        _scattered(x, indices, tf.ones_like(updates)) > 0.5, tf.minimum(x, _scattered(x, indices, updates)), x
    )


def _scattered(x, indices, updates):
    return tf.tensor_scatter_nd_add(0.0 * x, indices, updates)


def SparseTensorDenseMatMul(indices, values, shape, dense, *, adjoint_a, adjoint_b):
    """multiply by the matrix written out, with zeros where the sparse one has nothing"""
    rows, columns = tf.get_static_value(shape).tolist()
    matrix = tf.scatter_nd(tf.cast(indices, tf.int32), values, [rows, columns])
    return tf.matmul(matrix, dense, transpose_a=adjoint_a, transpose_b=adjoint_b)


def SparseToDense(indices, shape, values, default):
    """scatter what the values differ by from the default"""
    indices = tf.reshape(indices, [-1, shape.shape[0]])
    return tf.scatter_nd(indices, tf.broadcast_to(values - default, tf.shape(indices)[:1]), shape) + default


def MatrixSetDiagV3(x, diagonal, k):
    """choose between the matrix and its new main diagonal by a mask"""
    if tf.get_static_value(k) is None or tf.get_static_value(k).any():
        raise ValueError("for the main diagonal only")
    return tf.where(tf.eye(x.shape[-2], x.shape[-1], dtype=tf.bool), diagonal[..., :, None] + tf.zeros_like(x), x)


def MatrixDiagV3(diagonal, k, rows, columns, padding):
    """multiply by the identity matrix"""
    if tf.get_static_value(k) is None or tf.get_static_value(k).any():
        raise ValueError("for the main diagonal only")
    return diagonal[..., None] * tf.eye(diagonal.shape[-1], dtype=diagonal.dtype)


def MatrixDiagPartV3(x, k, padding):
    """mask with the identity matrix and sum"""
    if tf.get_static_value(k) is None or tf.get_static_value(k).any() or x.shape[-1] != x.shape[-2]:
        raise ValueError("for the main diagonal of square matrices only")
    return tf.reduce_sum(x * tf.eye(x.shape[-1], dtype=x.dtype), -1)


def MatrixBandPart(x, lower, upper):
    """mask by the distance of row and column: a bandwidth that is computed cannot become a constant"""
    rows, columns = tf.range(x.shape[-2])[:, None], tf.range(x.shape[-1])[None, :]
    lower, upper = tf.cast(lower, tf.int32), tf.cast(upper, tf.int32)
    below = tf.logical_or(lower < 0, rows - columns <= lower)
    above = tf.logical_or(upper < 0, columns - rows <= upper)
    return tf.where(tf.logical_and(below, above), x, tf.zeros_like(x))


def UnravelIndex(indices, dims):
    """divide by the strides of the dimensions, which must be constant"""
    rows, sizes = [], tf.get_static_value(dims).tolist()
    for size in reversed(sizes):
        rows.append(indices % size)
        indices = indices // size
    return tf.stack(rows[::-1])


def DenseBincount(values, size, weights, *, binary_output):
    """sum the one-hot rows, or take their maximum"""
    rows = tf.one_hot(values, size, dtype=weights.dtype)
    if binary_output:
        return tf.reduce_max(rows, -2)
    return tf.reduce_sum(rows if weights.shape.num_elements() == 0 else rows * weights[..., None], -2)


def LowerBound(sorted_rows, values):
    """count the entries that are smaller"""
    return tf.reduce_sum(tf.cast(sorted_rows[:, None, :] < values[:, :, None], tf.int32), -1)


def UpperBound(sorted_rows, values):
    """count the entries that are not greater"""
    return tf.reduce_sum(tf.cast(sorted_rows[:, None, :] <= values[:, :, None], tf.int32), -1)


def DynamicPartition(data, partitions, *, num_partitions):
    """gather each part by its mask"""
    return [tf.gather(data, tf.where(tf.equal(partitions, i))[:, 0]) for i in range(num_partitions)]


def DynamicStitch(*lists):
    """join the parts and gather them by their sorted indices, each of which must come once"""
    half = len(lists) // 2
    indices = tf.concat([tf.reshape(i, [-1]) for i in lists[:half]], 0)
    data = tf.concat(list(lists[half:]), 0)
    order = tf.math.top_k(-tf.cast(indices, tf.float32), tf.size(indices)).indices
    return tf.gather(data, order)


def Cumprod(x, axis, *, exclusive, reverse):
    """take products over a triangular mask"""
    at = int(tf.get_static_value(axis)) % len(x.shape)
    n = x.shape[at]
    mask = tf.linalg.band_part(tf.ones([n, n]), 0, -1) if reverse else tf.linalg.band_part(tf.ones([n, n]), -1, 0)
    mask = mask - tf.eye(n) if exclusive else mask
    mask = tf.reshape(mask > 0.5, [*[1] * at, n, n, *[1] * (len(x.shape) - at - 1)])
    return tf.reduce_prod(tf.where(mask, tf.expand_dims(x, at), tf.ones([], x.dtype)), at + 1)


def CumulativeLogsumexp(x, axis, *, exclusive, reverse):
    """sum the exponentials of what is left after the maximum"""
    top = tf.reduce_max(x, axis, keepdims=True)
    return tf.math.log(tf.cumsum(tf.exp(x - top), int(tf.get_static_value(axis)), exclusive, reverse)) + top


def InvertPermutation(x):
    """sort the numbers: their order is the inverse"""
    return tf.math.top_k(-tf.cast(x, tf.float32), x.shape[0]).indices


def Einsum(*operands, equation):
    """write the equation out: no ellipsis, no letter twice in one operand, a sum and a transpose where that is the only one"""
    left, right = equation.split("->")
    terms = left.split(",")
    for number, operand in enumerate(operands):
        dots = "ABCDEFGH"[: len(operand.shape) - len(terms[number].replace("...", ""))]
        terms[number] = terms[number].replace("...", dots)
        right = right.replace("...", dots) if dots else right
    plain = [_diagonal(operand, term) for operand, term in zip(operands, terms, strict=True)]
    operands, terms = tuple(operand for operand, _ in plain), [term for _, term in plain]
    if len(operands) == 2:
        return tf.einsum(f"{','.join(terms)}->{right}", *operands)
    summed = [i for i, letter in enumerate(terms[0]) if letter not in right]
    kept = [letter for letter in terms[0] if letter in right]
    return tf.transpose(tf.reduce_sum(operands[0], summed), [kept.index(letter) for letter in right])


def _diagonal(x, term):
    for at in reversed(range(len(term))):
        first = term.index(term[at])
        if first < at:
            sizes = [x.shape[at] if i in (first, at) else 1 for i in range(len(term))]
            x, term = tf.reduce_sum(x * tf.reshape(tf.eye(x.shape[at]), sizes), at), term[:at] + term[at + 1 :]
    return x, term


def MirrorPad(x, paddings, *, mode):
    """join reversed slices axis by axis; the paddings must be constant"""
    edge = 1 if mode == "REFLECT" else 0
    for at, (before, after) in enumerate(tf.get_static_value(paddings).tolist()):
        head = tf.reverse(tf.gather(x, tf.range(edge, before + edge), axis=at), [at])
        last = x.shape[at] - edge
        tail = tf.reverse(tf.gather(x, tf.range(last - after, last), axis=at), [at])
        x = tf.concat([t for t, n in ((head, before), (x, 1), (tail, after)) if n], at) if before or after else x
    return x


def PadV2__bool(x, paddings, value):
    """pad numbers and compare with zero"""
    padded = tf.pad(tf.cast(x, tf.float32), paddings, constant_values=float(tf.get_static_value(value)))
    return tf.not_equal(padded, 0.0)


def OneHot__uint8_int8(indices, depth, on, off):
    """make the one-hot rows in int32"""
    return tf.one_hot(indices, depth, tf.cast(on, tf.int32), tf.cast(off, tf.int32))


def GatherV2__bool(x, indices, axis, *, batch_dims):
    """gather numbers and compare with zero"""
    numbers = tf.gather(tf.cast(x, tf.float32), indices, axis=int(tf.get_static_value(axis)), batch_dims=batch_dims)
    return tf.not_equal(numbers, 0.0)


def GatherNd__bool(x, indices):
    """gather numbers and compare with zero"""
    return tf.not_equal(tf.gather_nd(tf.cast(x, tf.float32), indices), 0.0)
