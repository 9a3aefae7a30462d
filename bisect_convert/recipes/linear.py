# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for complex numbers and for linear algebra of small, known sizes."""

from __future__ import annotations

import math

import tensorflow as tf


def ComplexAbs(x):
    """take the root of the sum of squares of both parts"""
    return tf.sqrt(tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x)))


def Angle(x):
    """compute the angle of both parts with atan and the quadrant"""
    re, im = tf.math.real(x), tf.math.imag(x)
    flat = tf.equal(re, 0.0)
    turn = tf.where(im < 0.0, -math.pi, math.pi) * tf.cast(re < 0.0, re.dtype)
    return tf.where(flat, tf.sign(im) * (math.pi / 2.0), tf.atan(im / tf.where(flat, tf.ones_like(re), re)) + turn)


def Conj(x):
    """negate the imaginary part"""
    return tf.complex(tf.math.real(x), -tf.math.imag(x))


def FFT2D(x):
    """transform the last axis twice, with both parts transposed between"""
    return _swapped(tf.signal.fft(_swapped(tf.signal.fft(x))))


def IFFT2D(x):
    """transform the last axis twice, with both parts transposed between"""
    return _swapped(tf.signal.ifft(_swapped(tf.signal.ifft(x))))


def _swapped(x):
    order = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    return tf.complex(tf.transpose(tf.math.real(x), order), tf.transpose(tf.math.imag(x), order))


def Mul__complex64(x, y):
    """multiply the parts, and keep real and imaginary part apart from there on"""
    a, b, c, d = tf.math.real(x), tf.math.imag(x), tf.math.real(y), tf.math.imag(y)
    return tf.complex(a * c - b * d, a * d + b * c)


def AddV2__complex64(x, y):
    """add the parts, and keep real and imaginary part apart from there on"""
    return tf.complex(tf.math.real(x) + tf.math.real(y), tf.math.imag(x) + tf.math.imag(y))


def Sub__complex64(x, y):
    """subtract the parts, and keep real and imaginary part apart from there on"""
    return tf.complex(tf.math.real(x) - tf.math.real(y), tf.math.imag(x) - tf.math.imag(y))


def Transpose__complex64(x, order):
    """transpose each part"""
    return tf.complex(tf.transpose(tf.math.real(x), order), tf.transpose(tf.math.imag(x), order))


def Reshape__complex64(x, shape):
    """reshape each part"""
    return tf.complex(tf.reshape(tf.math.real(x), shape), tf.reshape(tf.math.imag(x), shape))


def ConcatV2__complex64(*values):
    """join the parts"""
    parts, axis = values[:-1], values[-1]
    real, imag = [tf.math.real(v) for v in parts], [tf.math.imag(v) for v in parts]
    return tf.complex(tf.concat(real, axis), tf.concat(imag, axis))


def Pack__complex64(*values, axis):
    """stack the parts"""
    real, imag = [tf.math.real(v) for v in values], [tf.math.imag(v) for v in values]
    return tf.complex(tf.stack(real, axis), tf.stack(imag, axis))


def Cholesky(x):
    """unroll the factorization over the known size"""
    n = _small(x)
    given = [tf.split(row, n, -1) for row in tf.split(x, n, -2)]
    low = [[tf.zeros_like(given[0][0])] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = given[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = tf.sqrt(rest) if i == j else rest / low[j][j]
    return tf.concat([tf.concat(row, -1) for row in low], -2)


def MatrixTriangularSolve(matrix, right, *, lower, adjoint):
    """unroll the substitution over the known size"""
    matrix = tf.linalg.matrix_transpose(matrix) if adjoint else matrix
    n = _small(matrix)
    rows: dict[int, tf.Tensor] = {}
    given, wanted = [tf.split(row, n, -1) for row in tf.split(matrix, n, -2)], tf.split(right, n, -2)
    for i in range(n) if lower != adjoint else reversed(range(n)):
        rows[i] = (wanted[i] - sum(given[i][k] * rows[k] for k in rows)) / given[i][i]
    return tf.concat([rows[i] for i in range(n)], -2)


def MatrixInverse(x, *, adjoint):
    """unroll the elimination over the known size, without pivots: for positive definite matrices"""
    inverse = _eliminated(x, tf.eye(x.shape[-1], dtype=x.dtype) + tf.zeros_like(x))
    return tf.linalg.matrix_transpose(inverse) if adjoint else inverse


def MatrixSolve(matrix, right, *, adjoint):
    """unroll the elimination over the known size, without pivots: for positive definite matrices"""
    return _eliminated(tf.linalg.matrix_transpose(matrix) if adjoint else matrix, right)


def _eliminated(matrix, right):
    n, width = _small(matrix), right.shape[-1]
    rows = tf.split(tf.concat([matrix, right], -1), n, -2)
    for i in range(n):
        pivot = rows[i] / tf.gather(rows[i], [i], axis=-1)
        rows = [pivot if k == i else row - tf.gather(row, [i], axis=-1) * pivot for k, row in enumerate(rows)]
    return tf.split(tf.concat(rows, -2), [n, width], -1)[1]


def _small(matrix):
    if not matrix.shape[-1] or matrix.shape[-1] > 24:
        raise ValueError("for small matrices of a known size only")
    return matrix.shape[-1]


def BatchMatMulV3(x, y, *, adj_x, adj_y):
    """use tf.matmul of two operands of one type"""
    return tf.matmul(x, y, transpose_a=adj_x, transpose_b=adj_y)
