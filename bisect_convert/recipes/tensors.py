# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for ops that move elements about: shifts, scatters, diagonals, bins, running products."""

from __future__ import annotations

import tensorflow as tf


def Roll(input, shift, axis):
    """roll by joining the two slices the other way round"""
    for by, at in zip(_numbers(shift), _numbers(axis), strict=True):
        at %= len(input.shape)
        by = by % input.shape[at] if input.shape[at] else by
        if by and input.shape[at] is None:  # there may be fewer than it is rolled by
            count = tf.shape(input)[at]
            input = tf.gather(input, tf.math.floormod(tf.range(count) - by, count), axis=at)
        elif by:
            behind, before = [slice(None)] * len(input.shape), [slice(None)] * len(input.shape)
            behind[at], before[at] = slice(-by, None), slice(None, -by)
            input = tf.concat([input[tuple(behind)], input[tuple(before)]], at)
    return input


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()


def ShapeN(*input):
    """take the shapes one by one"""
    return [tf.shape(t) for t in input]


def EnsureShape(x, *, shape):
    """leave the check out: it changes no value"""
    known = [-1 if size is None else size for size in tf.TensorShape(shape).as_list()]
    return tf.reshape(x, known) if known.count(-1) <= 1 else tf.reshape(x, tf.shape(x))


def BroadcastTo(input, shape):
    """add zeros of the wanted shape"""
    return input + tf.zeros(shape, input.dtype)


def XlaDynamicUpdateSlice(x, update, indices):
    """take each element from the update or from what is there, by its place"""
    inside, rank = None, len(x.shape)
    for axis in range(rank):
        known = x.shape[axis] == update.shape[axis] and x.shape[axis] is not None
        size, width = (tf.shape(t)[axis] if t.shape[axis] is None else t.shape[axis] for t in (x, update))
        first = tf.minimum(tf.maximum(indices[axis], 0), size - width)
        place = tf.range(size) - first
        within = tf.logical_and(place >= 0, place < width)
        within = tf.reshape(within, [-1 if at == axis else 1 for at in range(rank)])
        inside = within if inside is None else tf.logical_and(inside, within)
        if not known:
            update = tf.gather(update, tf.minimum(tf.maximum(place, 0), width - 1), axis=axis)
    return tf.where(inside, update, x)


def TensorStridedSliceUpdate(
    input, begin, end, strides, value, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    """take each element from the value or from what is there, by its place"""
    if ellipsis_mask or new_axis_mask or {*_numbers(strides)} != {1}:
        raise ValueError("for slices of neighbours, without an ellipsis, only")
    inside, rank = tf.ones([1] * len(input.shape), tf.bool), len(input.shape)
    for axis in range(begin.shape[0]):
        if shrink_axis_mask >> axis & 1:
            value = tf.expand_dims(value, axis)
    value = tf.reshape(value, [1] * (rank - len(value.shape)) + value.shape.as_list())
    for axis in range(begin.shape[0]):
        size, one = input.shape[axis], shrink_axis_mask >> axis & 1
        first, last = tf.cast(begin[axis], tf.int32), tf.cast(end[axis], tf.int32)
        first = (
            tf.zeros([], tf.int32) if begin_mask >> axis & 1 and not one else tf.where(first < 0, first + size, first)
        )
        last = first + 1 if one else tf.where(last < 0, last + size, last)
        place = tf.range(size)
        within = place >= first
        within = within if end_mask >> axis & 1 and not one else tf.logical_and(within, place < last)
        inside = tf.logical_and(inside, tf.reshape(within, [-1 if at == axis else 1 for at in range(rank)]))
        if value.shape[axis] != 1:
            value = tf.gather(value, tf.minimum(tf.maximum(place - first, 0), value.shape[axis] - 1), axis=axis)
    return tf.where(inside, value, input)


def TensorScatterUpdate(tensor, indices, updates):
    """take the updates where there are any (indices must be unique)"""
    there, fresh = _scattered(tensor, indices, updates)
    return tf.where(there, fresh, tensor)


def TensorScatterSub(tensor, indices, updates):
    """add the negative"""
    return tf.tensor_scatter_nd_add(tensor, indices, 0.0 - tf.convert_to_tensor(updates))


def TensorScatterMax(tensor, indices, updates):
    """take the maximum with the updates where there are any (indices must be unique)"""
    there, best = _scattered(tensor, indices, updates)
    return tf.where(there, tf.maximum(tensor, best), tensor)


def TensorScatterMin(tensor, indices, updates):
    """take the minimum with the updates where there are any (indices must be unique)"""
    there, best = _scattered(tensor, indices, updates)
    return tf.where(there, tf.minimum(tensor, best), tensor)


def _scattered(tensor, indices, updates):
    tensor, updates = tf.convert_to_tensor(tensor), tf.convert_to_tensor(updates)
    nowhere, ones = tf.zeros(tf.shape(tensor), tf.float32), tf.ones(tf.shape(updates), tf.float32)
    there = tf.tensor_scatter_nd_add(nowhere, indices, ones) > 0.5
    return there, tf.tensor_scatter_nd_add(tf.zeros(tf.shape(tensor), tensor.dtype), indices, updates)


def SparseTensorDenseMatMul(a_indices, a_values, a_shape, b, *, adjoint_a, adjoint_b):
    """multiply by the matrix written out, with zeros where the sparse one has nothing"""
    matrix = tf.scatter_nd(tf.cast(a_indices, tf.int32), a_values, _numbers(a_shape))
    return tf.matmul(matrix, b, transpose_a=adjoint_a, transpose_b=adjoint_b)


def SparseToDense(sparse_indices, output_shape, sparse_values, default_value):
    """scatter what the values differ by from the default"""
    shape = tf.convert_to_tensor(output_shape)
    indices = tf.reshape(sparse_indices, [-1, shape.shape[0]])
    apart = sparse_values - default_value + tf.cast(0 * indices[:, 0], sparse_values.dtype)  # one value may be for all
    return tf.scatter_nd(indices, apart, shape) + default_value


def MatrixSetDiagV3(input, diagonal, k):
    """choose between the matrix and its new main diagonal by a mask"""
    rows, columns = input.shape[-2:]
    if any(_numbers(k)) or rows is None or rows != columns:
        raise ValueError("for the main diagonal of square matrices only")
    return tf.where(tf.eye(rows, dtype=tf.bool), diagonal[..., :, None], input)


def MatrixDiagV3(diagonal, k, num_rows, num_cols, padding_value):
    """multiply by the identity matrix"""
    sizes = {-1, diagonal.shape[-1]}
    if any(_numbers(k)) or any(_numbers(padding_value)) or {*_numbers(num_rows), *_numbers(num_cols)} - sizes:
        raise ValueError("for the main diagonal of square matrices, with zeros around, only")
    return diagonal[..., None] * tf.eye(diagonal.shape[-1], dtype=diagonal.dtype)


def MatrixDiagPartV3(input, k, padding_value):
    """mask with the identity matrix and sum"""
    if any(_numbers(k)) or input.shape[-1] is None or input.shape[-1] != input.shape[-2]:
        raise ValueError("for the main diagonal of square matrices only")
    return tf.reduce_sum(tf.where(tf.eye(input.shape[-1], dtype=tf.bool), input, tf.zeros([], input.dtype)), -1)


def MatrixBandPart(input, num_lower, num_upper):
    """mask by the distance of row and column: a bandwidth that is computed cannot become a constant"""
    rows, columns = tf.range(tf.shape(input)[-2])[:, None], tf.range(tf.shape(input)[-1])[None, :]
    lower, upper = tf.cast(num_lower, tf.int32), tf.cast(num_upper, tf.int32)
    below = tf.logical_or(lower < 0, rows - columns <= lower)
    above = tf.logical_or(upper < 0, columns - rows <= upper)
    return tf.where(tf.logical_and(below, above), input, tf.zeros([], input.dtype))


def UnravelIndex(indices, dims):
    """divide by the strides of the dimensions, which must be constant"""
    rows, sizes = [], _numbers(dims)
    for size in reversed(sizes):
        rows.append(indices % size)
        indices = indices // size
    return tf.stack(rows[::-1])


def DenseBincount(input, size, weights, *, binary_output):
    """sum the one-hot rows, or take their maximum"""
    weights = tf.convert_to_tensor(weights)
    rows = tf.one_hot(input, size, dtype=weights.dtype)
    if binary_output:
        return tf.reduce_max(rows, -2)
    return tf.reduce_sum(rows if weights.shape.num_elements() == 0 else rows * weights[..., None], -2)


def LowerBound(sorted_sequence, values):
    """count the entries that are smaller"""
    return tf.reduce_sum(tf.cast(sorted_sequence[..., None, :] < values[..., :, None], tf.int32), -1)


def UpperBound(sorted_sequence, values):
    """count the entries that are not greater"""
    return tf.reduce_sum(tf.cast(sorted_sequence[..., None, :] <= values[..., :, None], tf.int32), -1)


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
    at = _numbers(axis)[0] % len(x.shape)
    mask = _before(x, at, exclusive, reverse)
    terms = tf.expand_dims(x, at) + 0 * tf.cast(mask, x.dtype)  # a choice in Core ML has the shape of its values
    return tf.reduce_prod(tf.where(mask, terms, tf.ones([], x.dtype)), at + 1)


def _before(x, at, exclusive, reverse):
    n = x.shape[at]
    mask = tf.linalg.band_part(tf.ones([n, n]), 0, -1) if reverse else tf.linalg.band_part(tf.ones([n, n]), -1, 0)
    mask = mask - tf.eye(n) if exclusive else mask
    return tf.reshape(mask > 0.5, [*[1] * at, n, n, *[1] * (len(x.shape) - at - 1)])


def CumulativeLogsumexp(x, axis, *, exclusive, reverse):
    """sum the exponentials of what is left after the maximum"""
    at = _numbers(axis)[0] % len(x.shape)
    if x.shape[at] is not None and x.shape[at] <= 256:  # each sum for itself: nothing is lost beside a larger value
        mask = _before(x, at, exclusive, reverse)
        terms = tf.expand_dims(x, at) + 0 * tf.cast(mask, x.dtype)  # a choice in Core ML has the shape of its values
        top = tf.reduce_max(tf.where(mask, terms, x.dtype.min), at + 1, keepdims=True)
        total = tf.reduce_sum(tf.where(mask, tf.exp(tf.minimum(terms - top, 0.0)), 0.0), at + 1)
        return tf.math.log(total) + tf.squeeze(top, [at + 1])
    top = tf.reduce_max(x, axis, keepdims=True)
    return tf.math.log(tf.cumsum(tf.exp(x - top), *_numbers(axis), exclusive, reverse)) + top


def InvertPermutation(x):
    """sort the numbers: their order is the inverse"""
    return tf.math.top_k(-tf.cast(x, tf.float32), x.shape[0]).indices


def Einsum(*inputs, equation):
    """write the equation out: no ellipsis, no letter twice in one operand, a sum and a transpose where that is the only one"""
    left, right = equation.split("->")
    terms = left.split(",")
    for number, operand in enumerate(inputs):
        dots = "ABCDEFGH"[: len(operand.shape) - len(terms[number].replace("...", ""))]
        terms[number] = terms[number].replace("...", dots)
        right = right.replace("...", dots) if dots else right
    plain = [_diagonal(operand, term) for operand, term in zip(inputs, terms, strict=True)]
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


def MirrorPad(tensor, paddings, *, mode):
    """join reversed slices axis by axis; the paddings must be constant"""
    x, edge, sizes = tensor, 1 if mode.upper() == "REFLECT" else 0, _numbers(paddings)
    for at, (before, after) in enumerate(zip(sizes[::2], sizes[1::2], strict=True)):
        if not before and not after:
            continue
        head = tf.reverse(tf.gather(x, tf.range(edge, before + edge), axis=at), [at])
        last = x.shape[at] - edge
        tail = tf.reverse(tf.gather(x, tf.range(last - after, last), axis=at), [at])
        x = tf.concat([t for t, n in ((head, before), (x, 1), (tail, after)) if n], at)
    return x


def PadV2__bool(tensor, paddings, constant_values):
    """pad numbers and compare with zero"""
    padded = tf.pad(tf.cast(tensor, tf.float32), paddings, constant_values=float(_numbers(constant_values)[0]))
    return tf.not_equal(padded, 0.0)


def OneHot__uint8_int8(indices, depth, on_value, off_value, *, axis):
    """make the one-hot rows in int32"""
    return tf.one_hot(indices, depth, tf.cast(on_value, tf.int32), tf.cast(off_value, tf.int32), axis)


def GatherV2__bool(params, indices, axis, *, batch_dims):
    """gather numbers and compare with zero"""
    numbers = tf.gather(tf.cast(params, tf.float32), indices, axis=_numbers(axis)[0], batch_dims=batch_dims)
    return tf.not_equal(numbers, 0.0)


def GatherNd__bool(params, indices):
    """gather numbers and compare with zero"""
    return tf.not_equal(tf.gather_nd(tf.cast(params, tf.float32), indices), 0.0)
