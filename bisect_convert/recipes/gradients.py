# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for gradients that a model computes itself: forces, class activation maps, losses of physics."""

from __future__ import annotations

import tensorflow as tf


def SigmoidGrad(y, dy):
    """multiply by y * (1 - y)"""
    return dy * y * (1.0 - y)


def TanhGrad(y, dy):
    """multiply by 1 - y * y"""
    return dy * (1.0 - y * y)


def SqrtGrad(y, dy):
    """divide by twice the root"""
    return dy * 0.5 / y


def RsqrtGrad(y, dy):
    """multiply by half the negative cube"""
    return dy * -0.5 * y * y * y


def ReciprocalGrad(y, dy):
    """multiply by the negative square"""
    return -(dy * y * y)


def InvGrad(y, dy):
    """multiply by the negative square"""
    return -(dy * y * y)


def ReluGrad(gradients, features):
    """let the gradients through where the features are positive"""
    return tf.where(features > 0.0, gradients, tf.zeros([], gradients.dtype))


def Relu6Grad(gradients, features):
    """let the gradients through where the features are between 0 and 6"""
    return tf.where(tf.logical_and(features > 0.0, features < 6.0), gradients, tf.zeros([], gradients.dtype))


def LeakyReluGrad(gradients, features, *, alpha):
    """let the gradients through where the features are positive, a part of them elsewhere"""
    return tf.where(features > 0.0, gradients, alpha * gradients)


def EluGrad(gradients, outputs):
    """multiply by the output + 1 where that is negative"""
    return tf.where(outputs < 0.0, gradients * (outputs + 1.0), gradients)


def SeluGrad(gradients, outputs):
    """multiply by the slope, which follows from the output"""
    scale, alpha = 1.0507009873554804934193349852946, 1.7580993408473768599402175208123
    return tf.where(outputs < 0.0, gradients * (outputs + alpha), gradients * scale)


def SoftplusGrad(gradients, features):
    """multiply by the sigmoid of the features"""
    return gradients * tf.sigmoid(features)


def SoftsignGrad(gradients, features):
    """divide by the square of 1 + the size of the features"""
    return gradients / tf.square(1.0 + tf.abs(features))


def BiasAddGrad(out_backprop, *, data_format):
    """sum over all but the channels"""
    rank = len(out_backprop.shape)
    channels = 1 if data_format == "NCHW" else rank - 1
    return tf.reduce_sum(out_backprop, [axis for axis in range(rank) if axis != channels])


def StridedSliceGrad(
    shape, begin, end, strides, dy, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    """pad what a slice of neighbours was taken from with zeros"""
    sizes = tf.zeros(tf.cast(shape, tf.int32)).shape.as_list()
    pads, taken, masks = [], [], (begin_mask, end_mask, shrink_axis_mask)
    starts, ends = _numbers(begin), _numbers(end)
    for axis, at in _sliced(len(sizes), len(starts), ellipsis_mask, new_axis_mask):
        whole, open_end, single = [at is None or bool(mask >> at & 1) for mask in masks]
        if at is None or (whole and open_end and not single):
            pads.append([0, 0])
            taken.append(-1 if sizes[axis] is None else sizes[axis])
            continue
        if sizes[axis] is None or _numbers(strides)[at] != 1:
            raise ValueError("for slices of neighbours, of known sizes, only")
        first = 0 if whole and not single else starts[at] + (sizes[axis] if starts[at] < 0 else 0)
        last = first + 1 if single else slice(None, None if open_end else ends[at]).indices(sizes[axis])[1]
        first, last = min(first, sizes[axis]), max(first, last)
        pads.append([first, sizes[axis] - last])
        taken.append(last - first)
    if taken.count(-1) > 1:
        raise ValueError("for one size that is not known only")
    return tf.pad(tf.reshape(dy, taken), pads)


def _sliced(rank, count, ellipsis_mask, new_axis_mask):
    """Each axis with its place among the slices, None where it is taken whole."""
    axis = 0
    found: list[tuple[int, int | None]] = []
    for at in range(count):
        if ellipsis_mask >> at & 1:
            behind = sum(not new_axis_mask >> later & 1 for later in range(at + 1, count))
            while axis < rank - behind:
                found.append((axis, None))
                axis += 1
        elif not new_axis_mask >> at & 1:
            found.append((axis, at))
            axis += 1
    return found + [(rest, None) for rest in range(axis, rank)]


def BroadcastGradientArgs(s0, s1):
    """name the axes of length 1 in each of the two shapes, which the other is summed along"""
    one, other = (tf.zeros(tf.cast(shape, tf.int32)).shape.as_list() for shape in (s0, s1))
    rank = max(len(one), len(other))
    padded = [[1] * (rank - len(sizes)) + sizes for sizes in (one, other)]
    return [tf.constant([axis for axis in range(rank) if sizes[axis] == 1], s0.dtype) for sizes in padded]


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()
