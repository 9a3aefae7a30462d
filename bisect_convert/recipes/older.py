# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for ops that older graphs hold, most of which have a later form."""

from __future__ import annotations

import tensorflow as tf


def BiasAddV1(value, bias):
    """add the bias"""
    return value + bias


def AccumulateNV2(*inputs):
    """add them one by one"""
    return tf.add_n(list(inputs))


def MulNoNan(x, y):
    """write it as x * y with a guard for y = 0"""
    zero = tf.equal(y, 0.0)
    return tf.where(zero, 0.0, tf.where(zero, 1.0, x) * y)


def ApproximateEqual(x, y, *, tolerance):
    """compare the distance with the tolerance"""
    return tf.abs(x - y) < tolerance


def SparseMatMul(a, b, *, transpose_a, transpose_b):
    """multiply them as matrices that are not sparse"""
    return tf.matmul(tf.cast(a, tf.float32), tf.cast(b, tf.float32), transpose_a=transpose_a, transpose_b=transpose_b)


def MatrixDiag(diagonal):
    """multiply by the identity matrix"""
    return diagonal[..., None] * tf.eye(diagonal.shape[-1], dtype=diagonal.dtype)


def MatrixDiagPart(input):
    """mask with the identity matrix and sum"""
    return _diagonal(input)


def MatrixSetDiag(input, diagonal):
    """choose between the matrix and its new main diagonal by a mask"""
    if input.shape[-1] is None or input.shape[-1] != input.shape[-2]:
        raise ValueError("for square matrices only")
    return tf.where(tf.eye(input.shape[-1], dtype=tf.bool), diagonal[..., :, None], input)


def Diag(diagonal):
    """multiply by the identity matrix"""
    if len(diagonal.shape) != 1:
        raise ValueError("for diagonals of rank 1 only")
    return diagonal[:, None] * tf.eye(diagonal.shape[0], dtype=diagonal.dtype)


def DiagPart(input):
    """mask with the identity matrix and sum"""
    if len(input.shape) != 2:
        raise ValueError("for matrices only")
    return _diagonal(input)


def _diagonal(x):
    if x.shape[-1] is None or x.shape[-1] != x.shape[-2]:
        raise ValueError("for square matrices only")
    return tf.reduce_sum(tf.where(tf.eye(x.shape[-1], dtype=tf.bool), x, tf.zeros([], x.dtype)), -1)


def SpaceToBatch(input, paddings, *, block_size):
    """use the form of it for any number of axes"""
    return tf.space_to_batch(input, [block_size, block_size], paddings)


def BatchToSpace(input, crops, *, block_size):
    """use the form of it for any number of axes"""
    return tf.batch_to_space(input, [block_size, block_size], crops)


def InplaceUpdate(x, i, v):
    """take each row from the new values or from what is there, by its number"""
    there, fresh = _rows(x, i, v)
    return tf.where(there, fresh, x)


def InplaceAdd(x, i, v):
    """add the values where there are any"""
    return x + _rows(x, i, v)[1]


def InplaceSub(x, i, v):
    """subtract the values where there are any"""
    return x - _rows(x, i, v)[1]


def _rows(x, i, v):
    (rows, count), picks = (
        (x.shape[0], i.shape[0]),
        tf.cast(tf.equal(tf.range(x.shape[0])[:, None], i[None, :]), tf.float32),
    )
    fresh = tf.matmul(picks, tf.reshape(tf.cast(v, tf.float32), [count, -1]))
    there = tf.reshape(tf.reduce_sum(picks, 1) > 0.5, [rows, *[1] * (len(x.shape) - 1)])
    return there, tf.cast(tf.reshape(fresh, tf.shape(x)), x.dtype)


def Bincount(arr, size, weights):
    """sum the one-hot rows"""
    weights = tf.convert_to_tensor(weights)
    rows = tf.one_hot(tf.reshape(arr, [-1]), size, dtype=weights.dtype)
    if weights.shape.num_elements() == 0:
        return tf.reduce_sum(rows, 0)
    return tf.reduce_sum(rows * tf.reshape(weights, [-1, 1]), 0)


def HistogramFixedWidth(values, value_range, nbins, *, dtype):
    """count the values whose bin, held within the first and the last, is each one"""
    low, high, count = value_range[0], value_range[1], tf.cast(nbins, values.dtype)
    bins = tf.floor(count * ((tf.reshape(values, [-1]) - low) / (high - low)))
    bins = tf.cast(tf.clip_by_value(bins, tf.zeros([], values.dtype), count - 1), tf.int32)
    return tf.cast(tf.reduce_sum(tf.one_hot(bins, nbins, dtype=tf.int32), 0), dtype)


def PopulationCount(x):
    """count the bits by arithmetic"""
    x, count = tf.cast(x, tf.int32), 0
    for place in range(31):
        count = count + x // 2**place % 2
    return count + tf.cast(x < 0, tf.int32)


def NthElement(input, n, *, reverse):
    """sort by the largest, and take the one at that place"""
    places = _numbers(n)[0] + 1
    if reverse:
        return tf.math.top_k(input, places).values[..., -1]
    return -tf.math.top_k(-input, places).values[..., -1]


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()
