# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for random numbers that Core ML draws by another generator: other numbers, of the same distribution."""

from __future__ import annotations

import tensorflow as tf


def StatelessRandomUniformV2(shape, key, counter, alg, *, dtype):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return tf.cast(_uniform(shape), dtype)


def StatelessRandomUniform(shape, seed, *, dtype):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return tf.cast(_uniform(shape), dtype)


def StatelessRandomNormalV2(shape, key, counter, alg, *, dtype):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return tf.cast(_normal(shape), dtype)


def StatelessRandomNormal(shape, seed, *, dtype):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return tf.cast(_normal(shape), dtype)


def StatelessTruncatedNormalV2(shape, key, counter, alg, *, dtype):
    """draw by Core ML's own generator, within two deviations: other numbers, of the same distribution"""
    return tf.cast(_within_two(shape), dtype)


def StatelessTruncatedNormal(shape, seed, *, dtype):
    """draw by Core ML's own generator, within two deviations: other numbers, of the same distribution"""
    return tf.cast(_within_two(shape), dtype)


def TruncatedNormal(shape, *, dtype):
    """draw by Core ML's own generator, within two deviations: other numbers, of the same distribution"""
    return tf.cast(_within_two(shape), dtype)


def StatelessRandomUniformIntV2(shape, key, counter, alg, minval, maxval):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return _whole(shape, minval, maxval)


def StatelessRandomUniformInt(shape, seed, minval, maxval):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return _whole(shape, minval, maxval)


def RandomUniformInt(shape, minval, maxval):
    """draw by Core ML's own generator: other numbers, of the same distribution"""
    return _whole(shape, minval, maxval)


def StatelessRandomGammaV3(shape, key, counter, alg, alpha):
    """draw by Core ML's own generator, the first that fits of a few draws: other numbers, of the same distribution"""
    return _gamma(shape, alpha)


def StatelessRandomGammaV2(shape, seed, alpha):
    """draw by Core ML's own generator, the first that fits of a few draws: other numbers, of the same distribution"""
    return _gamma(shape, alpha)


def RandomGamma(shape, alpha):
    """draw by Core ML's own generator, the first that fits of a few draws: other numbers, of the same distribution"""
    return _gamma(tf.concat([shape, tf.shape(alpha)], 0), alpha)


def _gamma(shape, alpha):
    """by Marsaglia and Tsang: a draw is taken in at least 95 of 100 cases, so that of eight none is never seen"""
    alpha = tf.cast(alpha, tf.float32) + tf.zeros(shape)
    d = tf.where(alpha < 1.0, alpha + 1.0, alpha) - 1.0 / 3.0
    drawn, c = d, tf.math.rsqrt(9.0 * d)
    found = tf.zeros_like(alpha)
    for _ in range(8):
        x = _normal(shape)
        v = (1.0 + c * x) ** 3.0
        u, positive = _uniform(shape), tf.cast(c * x > -1.0, tf.float32)
        log_v = tf.math.log(tf.where(v > 0.0, v, tf.ones(shape)))
        fits = tf.cast(tf.math.log(u + 1e-30) < 0.5 * x * x + d * (1.0 - v + log_v), tf.float32) * positive
        fresh = fits * (1.0 - found)
        drawn, found = fresh * d * tf.where(v > 0.0, v, tf.ones(shape)) + (1.0 - fresh) * drawn, found + fresh
    below = tf.exp(tf.math.log(_uniform(shape) + 1e-30) / tf.where(alpha < 1.0, alpha, tf.ones(shape)))
    return tf.where(alpha < 1.0, drawn * below, drawn)


def _uniform(shape):
    return _anew(tf.random.uniform, shape)


def _normal(shape):
    return _anew(tf.random.normal, shape)


def _anew(draw, shape):
    """of a size that an input's values seem to have a part in: else the converter draws once, and keeps that as a constant"""
    known = tf.get_static_value(tf.convert_to_tensor(shape))
    ops = tf.compat.v1.get_default_graph().get_operations() if known is not None else []
    inputs = [op.outputs[0] for op in ops if op.type == "Placeholder" and op.outputs[0].shape.rank]
    given = [x for kind in (tf.float32, tf.int32) for x in inputs if x.dtype == kind]
    if not given:
        return draw(shape)
    first = tf.reshape(given[0], [-1])[0]
    none = tf.cast(tf.less(first, first), tf.int32)  # 0, for NaN too
    return tf.reshape(draw(tf.cast(shape, tf.int32) + none), tf.constant(known, tf.int32))


def _whole(shape, minval, maxval):
    low, high = tf.convert_to_tensor(minval), tf.convert_to_tensor(maxval)
    width = tf.cast(high - low, tf.float32)
    drawn = tf.minimum(tf.floor(_uniform(shape) * width), width - 1.0)
    return tf.cast(drawn, low.dtype) + low


def _within_two(shape):
    """where the first of a few draws lies outside the two deviations, the next one stands, and 0 at last"""
    drawn = _normal(shape)
    for _ in range(6):
        drawn = tf.where(tf.abs(drawn) < 2.0, drawn, _normal(shape))
    return tf.where(tf.abs(drawn) < 2.0, drawn, tf.zeros([]))


def RandomShuffle(value):
    """order the rows by numbers drawn for them: another order, as likely"""
    count = value.shape[0]
    if count is None:
        raise ValueError("for a known number of rows only")
    return tf.gather(value, tf.math.top_k(_uniform([count]), count).indices)
