# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for Fourier transforms: those of two axes, and those of one where a size is left open."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def FFT(input):
    """multiply by matrices of cosines and sines, which the converter writes for known sizes only, within 5e-6 of scale"""
    return _open(input, input.shape[-1], lambda x: _fourier(x, -1.0))


def IFFT(input):
    """multiply by matrices of cosines and sines, which the converter writes for known sizes only, within 5e-6 of scale"""
    return _open(input, input.shape[-1], lambda x: _fourier(x, 1.0))


def RFFT(input_tensor, fft_length):
    """multiply by matrices of cosines and sines, which the converter writes for known sizes only, within 5e-6 of scale"""
    (width,) = _numbers(fft_length)
    cos, sin = _waves(width, width // 2 + 1)
    return _open(input_tensor, width, lambda x: tf.complex(x @ cos, 0.0 - x @ sin))


def IRFFT(input_tensor, fft_length):
    """multiply by matrices of cosines and sines, which the converter writes for known sizes only, within 5e-6 of scale"""
    (width,) = _numbers(fft_length)
    return _open(input_tensor, width // 2 + 1, lambda x: _real(x, width))


def _open(x, width, transformed):
    """what the transform makes of the first `width` entries"""
    if width is None:
        raise ValueError("for transforms of a known length only")
    if x.shape[-1] == width:
        return transformed(x)
    if not x.dtype.is_complex:
        return transformed(x[..., :width])
    return transformed(tf.complex(tf.math.real(x)[..., :width], tf.math.imag(x)[..., :width]))


def _real(x, width):
    twice = [[1.0 if k in (0, width / 2) else 2.0] for k in range(width // 2 + 1)]
    cos, sin = (tf.transpose(wave) * tf.constant(twice) / width for wave in _waves(width, width // 2 + 1))
    return tf.math.real(x) @ cos - tf.math.imag(x) @ sin


def FFT2D(input):
    """transform the last axis twice, with both parts transposed between"""
    return _swapped(_fourier(_swapped(_fourier(input, -1.0)), -1.0))


def IFFT2D(input):
    """transform the last axis twice, with both parts transposed between"""
    return _swapped(_fourier(_swapped(_fourier(input, 1.0)), 1.0))


def RFFT2D(input_tensor, fft_length):
    """transform the last axis, then the one before it, with both parts transposed between"""
    if input_tensor.shape[-2:].as_list() != _numbers(fft_length):
        raise ValueError("for transforms of the full size only")
    if None not in input_tensor.shape:
        return _swapped(_fourier(_swapped(tf.signal.rfft(input_tensor)), -1.0))
    width = input_tensor.shape[-1]
    cos, sin = _waves(width, width // 2 + 1)
    return _swapped(_fourier(_swapped(tf.complex(input_tensor @ cos, -(input_tensor @ sin))), -1.0))


def IRFFT2D(input_tensor, fft_length):
    """transform the axis before the last, with both parts transposed between, then the last"""
    height, width = _numbers(fft_length)
    if input_tensor.shape[-2:].as_list() != [height, width // 2 + 1]:
        raise ValueError("for transforms of the full size only")
    x = _swapped(_fourier(_swapped(input_tensor), 1.0))
    if None not in input_tensor.shape:
        return tf.signal.irfft(x, [width])
    return _real(x, width)


def _fourier(x, sign):
    if None not in x.shape:
        return tf.signal.fft(x) if sign < 0.0 else tf.signal.ifft(x)
    n = x.shape[-1]  # with a size open the converter does not take tf.signal.fft
    (cos, sin), real, imag = _waves(n, n), tf.math.real(x), tf.math.imag(x)
    scale = 1.0 if sign < 0.0 else 1.0 / n
    return tf.complex(scale * (real @ cos - sign * (imag @ sin)), scale * (imag @ cos + sign * (real @ sin)))


def _waves(rows, columns):
    if rows > 4096:
        raise ValueError("for transforms of up to 4096 values only")
    steps = np.outer(np.arange(rows), np.arange(columns)) % rows
    turns = 2.0 * np.pi / rows * steps
    sines = np.where(2 * steps % rows == 0, 0.0, np.sin(turns))  # the sign of a part that is 0 is that of an angle
    return tf.constant(np.cos(turns), tf.float32), tf.constant(sines, tf.float32)


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()


def _swapped(x):
    order = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    return tf.complex(tf.transpose(tf.math.real(x), order), tf.transpose(tf.math.imag(x), order))
