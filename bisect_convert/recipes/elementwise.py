# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for ops that work on each element: drop-ins in TensorFlow code for ops that the converter does not take."""

from __future__ import annotations

import math

import tensorflow as tf


def Erfc(x):
    """write erfc as 1 - erf (where an exact GELU makes it, `approximate=True` does too, with slightly other values)"""
    return 1.0 - tf.math.erf(x)


def Erfinv(x):
    """write erfinv as a polynomial (M. Giles, single precision)"""
    return _erfinv(x)


def Ndtri(x):
    """write the normal quantile with a polynomial for erfinv (M. Giles, single precision)"""
    return math.sqrt(2.0) * _erfinv(2.0 * x - 1.0)


def _erfinv(x):
    w = -tf.math.log((1.0 - x) * (1.0 + x))
    near, far = w - 2.5, tf.sqrt(tf.maximum(w, 5.0)) - 3.0
    a = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
         -0.00417768164, 0.246640727, 1.50140941]  # fmt: skip
    b = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
         0.00943887047, 1.00167406, 2.83297682]  # fmt: skip
    p, q = a[0] + 0.0 * x, b[0] + 0.0 * x
    for s, t in zip(a[1:], b[1:], strict=True):
        p, q = s + p * near, t + q * far
    return x * tf.where(w < 5.0, p, q)


def Expm1(x):
    """write expm1 as exp(x) - 1"""
    return tf.exp(x) - 1.0


def Asinh(x):
    """write asinh with log and sqrt"""
    return tf.sign(x) * tf.math.log(tf.abs(x) + tf.sqrt(x * x + 1.0))


def Acosh(x):
    """write acosh with log and sqrt"""
    return tf.math.log(x + tf.sqrt(x * x - 1.0))


def Atan2(y, x):
    """write atan2 with atan and the quadrant"""
    y, x = _floats(y, x)
    if y.shape.rank != x.shape.rank or y.shape.as_list() != x.shape.as_list():
        nothing = tf.zeros(tf.shape(y + x), x.dtype)  # a choice in Core ML is between values of one shape
        y, x = y + nothing, x + nothing
    flat = tf.equal(x, 0.0)
    angle = tf.atan(y / tf.where(flat, 1.0, x))
    turn = math.pi * (1.0 - 2.0 * tf.cast(y < 0.0, x.dtype)) * tf.cast(x < 0.0, x.dtype)
    return tf.where(flat, tf.sign(y) * (math.pi / 2.0), angle + turn)


def Lgamma(x):
    """write lgamma for x > 0 by its series at 2, reached by steps of 1 below 9, and by Stirling's series above"""
    near = tf.less(x, 9.0)
    y = tf.where(near, x, 2.0)
    above, below, from_2 = 1.0, 1.0, y - 2.0
    for _ in range(2):
        low = tf.less(y, 1.25)
        below = below * tf.where(low, y, 1.0)
        from_2 = tf.where(low, y - 1.0, from_2)  # not y + 1 - 2, which rounds: lgamma is zero at 1
        y = tf.where(low, y + 1.0, y)
    for _ in range(7):
        high = tf.greater_equal(y, 2.75)
        y = tf.where(high, y - 1.0, y)
        from_2 = tf.where(high, y - 2.0, from_2)
        above = above * tf.where(high, y, 1.0)
    close = tf.less(tf.abs(below - 1.0), 0.25)
    u = tf.where(close, (below - 1.0) / (below + 1.0), 0.0)
    log_of_close = 2.0 * u * (1.0 + u**2 * (1.0 / 3.0 + u**2 * (0.2 + u**2 * (1.0 / 7.0 + u**2 / 9.0))))
    log_below = tf.where(close, log_of_close, tf.math.log(below))
    series = 0.0
    for term in (
        2.12071848e-07, -4.4924692e-07, 9.55141213e-07, -2.03921575e-06, 4.37486679e-06, -9.43948828e-06, 2.05072128e-05,
        -4.49262367e-05, 9.94575128e-05, -0.000223154758, 0.000509669525, -0.00119275391, 0.00289051033, -0.00738555103,
        0.0205808084, -0.0673523011, 0.322467033, 0.422784335,
    ):  # fmt: skip
        series = (series + term) * from_2
    z = tf.where(near, 9.0, x)
    stirling = (z - 0.5) * tf.math.log(z) - z + 0.5 * math.log(2.0 * math.pi) + 1.0 / (12.0 * z) - 1.0 / (360.0 * z**3)
    return tf.where(near, series + tf.math.log(above) - log_below, stirling)


def Digamma(x):
    """write digamma for x > 0 by its asymptotic series at x + 6"""
    z = x + 6.0
    below = sum(1.0 / (x + float(k)) for k in range(6))
    return tf.math.log(z) - 0.5 / z - 1.0 / (12.0 * z**2) + 1.0 / (120.0 * z**4) - 1.0 / (252.0 * z**6) - below


def Xlogy(x, y):
    """write xlogy as x * log(y) with a guard for x = 0"""
    x, y = _floats(x, y)
    zero = tf.equal(x, 0.0)
    return tf.where(zero, 0.0, x * tf.math.log(tf.where(zero, 1.0, y)))


def Xlog1py(x, y):
    """write xlog1py as x * log(1 + y) with a guard for x = 0"""
    x, y = _floats(x, y)
    zero = tf.equal(x, 0.0)
    return tf.where(zero, 0.0, x * tf.math.log(1.0 + tf.where(zero, 0.0, y)))


def Xdivy(x, y):
    """write xdivy as x / y with a guard for x = 0"""
    x, y = _floats(x, y)
    zero = tf.equal(x, 0.0)
    return tf.where(zero, 0.0, x / tf.where(zero, 1.0, y))


def _floats(*values):
    return [tf.convert_to_tensor(value, dtype_hint=tf.float32) for value in values]


def Rint(x):
    """use tf.round, which rounds halves to even too"""
    return tf.round(x)


def Inv(x):
    """use tf.math.reciprocal"""
    return tf.math.reciprocal(x)


def IsNan(x):
    """NaN is what differs from itself: compare x with x"""
    return tf.not_equal(x, x)


def IsInf(x):
    """compare with the largest finite number"""
    return tf.abs(x) > x.dtype.max


def IsFinite(x):
    """compare with the largest finite number"""
    return tf.abs(x) <= x.dtype.max


def OnesLike(input):
    """fill the shape of the input with ones"""
    return tf.fill(tf.shape(input), tf.ones([], input.dtype))


def Cast__bool(x):
    """compare with zero in place of the cast to bool"""
    return tf.not_equal(x, tf.zeros([], x.dtype))


def Cast__uint8_int8_uint16_int16_uint32(x, *, DstT):
    """keep the values in int32, which Core ML has; whole numbers go round at the ends of the other type as they do there"""
    x, low, high = tf.convert_to_tensor(x), DstT.min, DstT.max
    if DstT.size > 2:
        return tf.cast(x, tf.int32)
    if x.dtype.is_floating:  # past the ends TensorFlow leaves open what it makes of floats: of many, the ends
        return tf.cast(tf.clip_by_value(x, float(low), float(high)), tf.int32)
    return tf.math.floormod(tf.cast(x, tf.int32) - low, high - low + 1) + low


def Cast__bfloat16(x):
    """keep the values in float32: there is no bfloat16 in Core ML"""
    return tf.cast(x, tf.float32)


def Cast__complex64(x):
    """make the complex number with tf.complex of the values and zeros"""
    real = tf.cast(x, tf.float32)
    return tf.complex(real, 0.0 * real)


def Equal__bool(x, y):
    """compare two bool tensors by xor"""
    return tf.logical_not(tf.math.logical_xor(x, y))


def NotEqual__bool(x, y):
    """compare two bool tensors by xor"""
    return tf.math.logical_xor(x, y)


def TruncateDiv(x, y):
    """divide the absolute values and put the sign back"""
    return tf.sign(x) * tf.sign(y) * (tf.abs(x) // tf.abs(y))


def TruncateMod(x, y):
    """take the remainder of the absolute values and put the sign of x back"""
    return tf.sign(x) * tf.math.floormod(tf.abs(x), tf.abs(y))


def Mod(x, y):
    """take the remainder of the absolute values and put the sign of x back"""
    return tf.sign(x) * tf.math.floormod(tf.abs(x), tf.abs(y))


def LeftShift(x, y):
    """multiply by a power of two"""
    return x * tf.cast(tf.pow(2.0, tf.cast(y, tf.float32)), x.dtype)


def RightShift(x, y):
    """divide by a power of two and round down"""
    return x // tf.cast(tf.pow(2.0, tf.cast(y, tf.float32)), x.dtype)


def Invert(x):
    """invert the bits of a signed integer by arithmetic"""
    return -1 - x


def _both(x, y, halves):
    """The bits that both have: of the lower half, and of the upper one, which bears the sign."""
    if not halves:
        return sum(2**k * (x // 2**k % 2) * (y // 2**k % 2) for k in range(16))
    up, down = x // 65536, y // 65536
    low = _both(x - up * 65536, y - down * 65536, False)
    high = _both(up % 65536, down % 65536, False)
    high = tf.where(high > 32767, high - 65536, high)
    return high * 65536 + low


def BitwiseAnd(x, y):
    """work on the bits by arithmetic, in two halves of 16"""
    return _both(x, y, True)


def BitwiseOr(x, y):
    """work on the bits by arithmetic, in two halves of 16"""
    return x + (y - _both(x, y, True))


def BitwiseXor(x, y):
    """work on the bits by arithmetic, in two halves of 16"""
    return (x - _both(x, y, True)) + (y - _both(x, y, True))


def Bucketize(input, *, boundaries):
    """count the boundaries that do not exceed each value"""
    return sum(tf.cast(input >= tf.cast(b, input.dtype), tf.int32) for b in boundaries)


def LinSpace(start, stop, num):
    """write the steps as a range"""
    steps = tf.cast(tf.range(num), start.dtype) / tf.cast(tf.maximum(num - 1, 1), start.dtype)
    return start + (stop - start) * steps


def L2Loss(t):
    """write it as half the sum of squares"""
    return tf.reduce_sum(t * t) / 2.0


def FakeQuantWithMinMaxVars(inputs, min, max, *, num_bits, narrow_range):
    """write the quantization as arithmetic: a range that is computed cannot become a constant"""
    return _quantized(inputs, min, max, num_bits, narrow_range)


def FakeQuantWithMinMaxVarsPerChannel(inputs, min, max, *, num_bits, narrow_range):
    """write the quantization as arithmetic, with the range of each channel"""
    return _quantized(inputs, min, max, num_bits, narrow_range)


def FakeQuantWithMinMaxArgs(inputs, *, min, max, num_bits, narrow_range):
    """write the quantization as arithmetic"""
    return _quantized(inputs, tf.constant(min), tf.constant(max), num_bits, narrow_range)


def _quantized(x, low, high, num_bits, narrow_range):
    (low, high), first, last = _floats(low, high), float(narrow_range), float(2**num_bits - 1)
    scale = (high - low) / (last - first)
    zero = tf.clip_by_value(tf.round(first - low / scale), first, last)
    bottom, top = (first - zero) * scale, (last - zero) * scale
    made = tf.round((tf.minimum(tf.maximum(x, bottom), top) - bottom) / scale) * scale + bottom
    return tf.where(tf.equal(low, high), 0.0, made)


def FusedBatchNormV3(x, scale, offset, mean, variance, *, epsilon, is_training, data_format):
    """write the normalization as arithmetic: a scale that is computed cannot become a constant"""
    if is_training or data_format != "NHWC":
        raise ValueError("for inference in the layout NHWC only")
    mean, variance = _floats(mean, variance)
    return (x - mean) * tf.math.rsqrt(variance + epsilon) * scale + offset
