# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for factors of small matrices, whose sizes are known."""

from __future__ import annotations

import tensorflow as tf


def Qr(input, *, full_matrices):
    """unroll the reflections over the columns of the known size, within 1e-5 of scale"""
    rows, columns = _sizes(input, 32)
    if full_matrices and rows > columns:
        raise ValueError("for the reduced form only")
    right, left = input, tf.eye(rows, dtype=input.dtype) + 0.0 * _at(input, -1, 0, 1)
    for j in range(min(rows - 1, columns)):
        column = _at(right, -1, j, j + 1)
        below = column * tf.constant([[float(i > j)] for i in range(rows)], input.dtype)
        head, rest = _at(column, -2, j, j + 1), tf.reduce_sum(below * below, -2, keepdims=True)
        norm = tf.sqrt(head * head + rest)
        turned = tf.where(head >= 0.0, -norm, norm)
        done = tf.equal(rest, 0.0)
        unit = tf.constant([[float(i == j)] for i in range(rows)], input.dtype)
        normal = unit + below / tf.where(done, 1.0, head - turned)
        size = tf.where(done, 0.0, (turned - head) / tf.where(done, 1.0, turned))
        right = right - size * normal * tf.matmul(normal, right, transpose_a=True)
        left = left - size * tf.matmul(left, normal) * tf.linalg.matrix_transpose(normal)
    count = min(rows, columns)
    upper = tf.constant([[float(j >= i) for j in range(columns)] for i in range(count)], input.dtype)
    return _at(left, -1, 0, count), _at(right, -2, 0, count) * upper


def Svd(input, *, compute_uv, full_matrices):
    """turn pairs of columns until they are orthogonal (up to 8), within 1e-4 of scale; vectors may have the other sign"""
    rows, columns = _sizes(input, 64)
    if (compute_uv and full_matrices and rows != columns) or min(rows, columns) > 8:
        raise ValueError("for the reduced form of matrices with up to 8 rows or columns only")
    wide = columns > rows
    x, count = (tf.linalg.matrix_transpose(input), rows) if wide else (input, columns)
    left = tf.split(x, count, -1)
    right = tf.split(tf.eye(count, dtype=x.dtype) + 0.0 * _at(x, -2, 0, 1), count, -1)
    for _ in range(1 if count == 2 else 4 + count // 3):
        for p in range(count):
            for q in range(p + 1, count):
                a, b, c = (
                    _dot(one, other) for one, other in ((left[p], left[p]), (left[q], left[q]), (left[p], left[q]))
                )
                cos, sin = _turn(a, b, c)
                for side in (left, right):
                    side[p], side[q] = cos * side[p] - sin * side[q], sin * side[p] + cos * side[q]
    sizes = [tf.sqrt(_dot(column, column)) for column in left]
    values, order = tf.math.top_k(tf.squeeze(tf.concat(sizes, -1), -2), count)
    if not compute_uv:
        return values, tf.zeros([0], x.dtype), tf.zeros([0], x.dtype)
    picks = tf.one_hot(order, count, dtype=x.dtype)
    units = []
    for place, (column, size) in enumerate(zip(left, sizes, strict=True)):  # where there is nothing, an axis
        none, axis = tf.cast(tf.equal(size, 0.0), x.dtype), [[float(row == place)] for row in range(max(rows, columns))]
        units.append(column / (size + none) + none * tf.constant(axis, x.dtype))
    u, v = (tf.matmul(tf.concat(side, -1), picks, transpose_b=True) for side in (units, right))
    return (values, v, u) if wide else (values, u, v)


def SelfAdjointEigV2(input, *, compute_v):
    """turn pairs of rows and columns until the rest is zero (up to 6), within 1e-4 of scale; vectors may have the other sign"""
    rows, _ = _sizes(input, 6)
    lower = tf.constant([[float(i > j) for j in range(rows)] for i in range(rows)], input.dtype)
    below, unit = input * lower, tf.eye(rows, dtype=input.dtype)
    x = input * unit + below + tf.linalg.matrix_transpose(below)
    vectors = unit + 0.0 * x
    for _ in range(1 if rows == 2 else 4 + rows // 3):
        for p in range(rows):
            for q in range(p + 1, rows):
                row, other = _at(x, -2, p, p + 1), _at(x, -2, q, q + 1)
                cos, sin = _turn(_at(row, -1, p, p + 1), _at(other, -1, q, q + 1), _at(row, -1, q, q + 1))
                turn = unit + (cos - 1.0) * _places(rows, {(p, p): 1.0, (q, q): 1.0})
                turn = turn + sin * _places(rows, {(p, q): 1.0, (q, p): -1.0})
                x = tf.matmul(tf.matmul(turn, x, transpose_a=True), turn)
                vectors = tf.matmul(vectors, turn)
    negative, order = tf.math.top_k(-tf.reduce_sum(x * unit, -1), rows)
    if not compute_v:
        return -negative, tf.zeros([0], x.dtype)
    return -negative, tf.matmul(vectors, tf.one_hot(order, rows, dtype=x.dtype), transpose_b=True)


def _places(count, numbers):
    return tf.constant([[numbers.get((i, j), 0.0) for j in range(count)] for i in range(count)])


def _at(x, axis, start, end):
    part = [slice(None)] * len(x.shape)  # no ellipsis, which the converter does not take where it stands for nothing
    part[axis] = slice(start, end)
    return x[tuple(part)]


def _dot(one, other):
    return tf.reduce_sum(one * other, -2, keepdims=True)


def _turn(a, b, c):
    """cosine and sine of the turn after which the product c of the two, whose own are a and b, is zero"""
    flat = tf.equal(c, 0.0)
    ratio = (b - a) / (2.0 * tf.where(flat, 1.0, c))
    sign = 1.0 - 2.0 * tf.cast(ratio < 0.0, ratio.dtype)
    slope = tf.where(flat, 0.0, sign / (tf.abs(ratio) + tf.sqrt(1.0 + ratio * ratio)))
    cos = 1.0 / tf.sqrt(1.0 + slope * slope)
    return cos, cos * slope


def _sizes(matrix, most):
    rows, columns = matrix.shape[-2:]
    if rows is None or columns is None or max(rows, columns) > most:
        raise ValueError(f"for matrices of known sizes up to {most} only")
    return rows, columns
