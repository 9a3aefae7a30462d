# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for complex numbers and for linear algebra of small, known sizes."""

from __future__ import annotations

import math

import tensorflow as tf


def ComplexAbs(x):
    """take the root of the sum of squares of both parts"""
    return tf.sqrt(tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x)))


def Angle(input):
    """compute the angle of both parts with atan and the quadrant"""
    re, im = tf.math.real(input), tf.math.imag(input)
    flat = tf.equal(re, 0.0)
    turn = math.pi * (1.0 - 2.0 * tf.cast(im < 0.0, re.dtype)) * tf.cast(re < 0.0, re.dtype)
    return tf.where(flat, tf.sign(im) * (math.pi / 2.0), tf.atan(im / tf.where(flat, 1.0, re)) + turn)


def Conj(x):
    """negate the imaginary part"""
    return tf.complex(tf.math.real(x), -tf.math.imag(x))


def Mul__complex64(x, y):
    """multiply the parts, and keep real and imaginary part apart from there on"""
    (a, b), (c, d) = _parts(x), _parts(y)
    return tf.complex(a * c - b * d, a * d + b * c)


def RealDiv__complex64(x, y):
    """multiply by the conjugate, and divide the parts by the square of the size"""
    (a, b), (c, d) = _parts(x), _parts(y)
    size = c * c + d * d
    return tf.complex((a * c + b * d) / size, (b * c - a * d) / size)


def AddV2__complex64(x, y):
    """add the parts, and keep real and imaginary part apart from there on"""
    (a, b), (c, d) = _parts(x), _parts(y)
    return tf.complex(a + c, b + d)


def Sub__complex64(x, y):
    """subtract the parts, and keep real and imaginary part apart from there on"""
    (a, b), (c, d) = _parts(x), _parts(y)
    return tf.complex(a - c, b - d)


def Neg__complex64(x):
    """negate both parts"""
    real, imag = _parts(x)
    return tf.complex(-real, -imag)


def _parts(x):
    value = tf.get_static_value(x)
    if value is None:
        return tf.math.real(x), tf.math.imag(x)
    return tf.constant(value.real.copy()), tf.constant(value.imag.copy())


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()


def Transpose__complex64(a, perm):
    """transpose each part"""
    real, imag = _parts(a)
    return tf.complex(tf.transpose(real, perm), tf.transpose(imag, perm))


def StridedSlice__complex64(
    input_, begin, end, strides, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    """slice each part"""
    how = dict(begin_mask=begin_mask, end_mask=end_mask, ellipsis_mask=ellipsis_mask, new_axis_mask=new_axis_mask)
    how.update(begin=begin, end=end, strides=strides, shrink_axis_mask=shrink_axis_mask)
    return tf.complex(*[tf.raw_ops.StridedSlice(input=part, **how) for part in _parts(input_)])


def Slice__complex64(input_, begin, size):
    """slice each part"""
    return tf.complex(*[tf.slice(part, begin, size) for part in _parts(input_)])


def GatherV2__complex64(params, indices, axis, *, batch_dims):
    """gather from each part"""
    at = _numbers(axis)[0]
    return tf.complex(*[tf.gather(part, indices, axis=at, batch_dims=batch_dims) for part in _parts(params)])


def Sum__complex64(input_tensor, axis, *, keep_dims):
    """sum each part"""
    return tf.complex(*[tf.reduce_sum(part, axis, keepdims=keep_dims) for part in _parts(input_tensor)])


def ExpandDims__complex64(input, axis):
    """give each part the new dimension"""
    return tf.complex(*[tf.expand_dims(part, axis) for part in _parts(input)])


def Squeeze__complex64(input, *, squeeze_dims):
    """take the dimension from each part"""
    return tf.complex(*[tf.squeeze(part, list(squeeze_dims) or None) for part in _parts(input)])


def Reshape__complex64(tensor, shape):
    """reshape each part"""
    return tf.complex(tf.reshape(tf.math.real(tensor), shape), tf.reshape(tf.math.imag(tensor), shape))


def ConcatV2__complex64(*values):
    """join the parts"""
    parts, axis = values[:-1], values[-1]
    real, imag = [tf.math.real(v) for v in parts], [tf.math.imag(v) for v in parts]
    return tf.complex(tf.concat(real, axis), tf.concat(imag, axis))


def Pack__complex64(*values, axis):
    """stack the parts"""
    real, imag = [tf.math.real(v) for v in values], [tf.math.imag(v) for v in values]
    return tf.complex(tf.stack(real, axis), tf.stack(imag, axis))


def Cholesky(input):
    """unroll the factorization over the columns of the known size"""
    x, n, columns = input, _small(input), []
    for j in range(n):
        below = tf.constant([[float(i >= j)] for i in range(n)], x.dtype)
        column = _at(x, -1, j) * below / tf.sqrt(_at(_at(x, -1, j), -2, j))
        x = x - tf.matmul(column, column, transpose_b=True)
        columns.append(column)
    return tf.concat(columns, -1)


def MatrixTriangularSolve(matrix, rhs, *, lower, adjoint):
    """unroll the substitution over the rows of the known size"""
    matrix = tf.linalg.matrix_transpose(matrix) if adjoint else matrix
    n = _small(matrix)
    rows: dict[int, tf.Tensor] = {}
    for i in range(n) if lower != adjoint else reversed(range(n)):
        column = _at(matrix, -1, i)
        rows[i] = _at(rhs, -2, i) / _at(column, -2, i)
        rhs = rhs - column * rows[i]
    return tf.concat([rows[i] for i in range(n)], -2)


def MatrixInverse(input, *, adjoint):
    """unroll the elimination over the known size, with the largest pivots, within 1e-4 of scale"""
    inverse = _eliminated(input, tf.eye(input.shape[-1], dtype=input.dtype) + 0.0 * input)
    return tf.linalg.matrix_transpose(inverse) if adjoint else inverse


def MatrixSolve(matrix, rhs, *, adjoint):
    """unroll the elimination over the known size, with the largest pivots, within 1e-4 of scale"""
    return _eliminated(tf.linalg.matrix_transpose(matrix) if adjoint else matrix, rhs)


def _eliminated(matrix, right):
    n, width = _small(matrix), matrix.shape[-1]
    both = tf.concat([matrix, right], -1)
    for i in range(n):
        both, _ = _swapped(both, i)
        column = _at(both, -1, i)
        pivot = _at(column, -2, i)
        rest = column - tf.constant([[float(k == i)] for k in range(n)], matrix.dtype)
        both = both - rest * (_at(both, -2, i) / pivot)
    return both[..., width:]


def _swapped(matrix, i):
    """Row i and the one from there on with the largest number in column i, each in the other's place; and the sign of that."""
    n = matrix.shape[-2]
    below = tf.constant([float(k >= i) for k in range(n)], matrix.dtype)
    size = tf.abs(tf.squeeze(_at(matrix, -1, i), -1)) * below - (1.0 - below)
    unit = tf.constant([[float(k == i)] for k in range(n)], matrix.dtype)
    chosen = tf.expand_dims(tf.one_hot(tf.argmax(size, -1, output_type=tf.int32), n, dtype=matrix.dtype), -1)
    other = chosen * (1.0 - unit)
    here, there = _at(matrix, -2, i), tf.reduce_sum(chosen * matrix, -2, keepdims=True)
    return (1.0 - unit - other) * matrix + unit * there + other * here, 1.0 - 2.0 * tf.reduce_sum(
        other, -2, keepdims=True
    )


def MatrixDeterminant(input):
    """expand along the first row (up to 4 x 4), else multiply the pivots of the unrolled elimination"""
    x, n = input, _small(input)
    if n <= 4:
        rows = [tf.split(row, n, -1) for row in tf.split(x, n, -2)]
        return tf.squeeze(_expanded(rows, list(range(n))), [-2, -1])
    product = None
    for i in range(n):
        x, sign = _swapped(x, i)
        column = _at(x, -1, i)
        pivot = _at(column, -2, i)
        product = sign * pivot if product is None else product * sign * pivot
        x = x - column * (_at(x, -2, i) / (pivot + tf.cast(tf.equal(pivot, 0.0), x.dtype)))
    return tf.squeeze(product, [-2, -1])


def LogMatrixDeterminant(input):
    """take the signs and sum the logarithms of the pivots of the unrolled elimination"""
    x, sign, total = input, 1.0, 0.0
    for i in range(_small(input)):
        x, swapped = _swapped(x, i)
        column = _at(x, -1, i)
        pivot = _at(column, -2, i)
        sign, total = sign * swapped * tf.sign(pivot), total + tf.math.log(tf.abs(pivot))
        x = x - column * (_at(x, -2, i) / (pivot + tf.cast(tf.equal(pivot, 0.0), x.dtype)))
    return tf.squeeze(sign, [-2, -1]), tf.squeeze(total, [-2, -1])


def MatrixSolveLs(matrix, rhs, l2_regularizer, *, fast):
    """solve the normal equations, for matrices of full rank, within 1e-4 of scale"""
    rows, columns = matrix.shape[-2:]
    if rows is None or columns is None or rows < columns:
        raise ValueError("for at least as many known rows as columns only")
    penalty = tf.cast(l2_regularizer, matrix.dtype) * tf.eye(columns, dtype=matrix.dtype) if fast else 0.0
    both = tf.matmul(matrix, matrix, transpose_a=True) + penalty
    return _eliminated(both, tf.matmul(matrix, rhs, transpose_a=True))


def _expanded(rows, columns):
    if len(columns) == 1:
        return rows[0][columns[0]]
    total = None
    for sign, column in enumerate(columns):
        term = rows[0][column] * _expanded(rows[1:], [c for c in columns if c != column])
        total = term if total is None else total - term if sign % 2 else total + term
    return total


def _at(x, axis, index):
    part = [slice(None)] * len(x.shape)
    part[axis] = slice(index, index + 1)
    return x[tuple(part)]


def _small(matrix):
    if not matrix.shape[-1] or matrix.shape[-1] > 128:
        raise ValueError("for matrices of a known size up to 128 only")
    return matrix.shape[-1]


def BatchMatMulV3(x, y, *, adj_x, adj_y):
    """use tf.matmul of two operands of one type"""
    return tf.matmul(x, y, transpose_a=adj_x, transpose_b=adj_y)
