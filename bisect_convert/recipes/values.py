# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for quantization, for rows told apart by their values, and for slices."""

from __future__ import annotations

import tensorflow as tf


def QuantizeAndDequantizeV2(
    input, input_min, input_max, *, signed_input, num_bits, range_given, round_mode, narrow_range, axis
):
    """write the quantization as arithmetic"""
    return _stepped(input, input_min, input_max, signed_input, num_bits, range_given, round_mode, narrow_range, axis)


def QuantizeAndDequantizeV3(input, input_min, input_max, num_bits, *, signed_input, range_given, narrow_range, axis):
    """write the quantization as arithmetic"""
    bits = _numbers(num_bits)[0]
    return _stepped(input, input_min, input_max, signed_input, bits, range_given, "HALF_TO_EVEN", narrow_range, axis)


def QuantizeAndDequantizeV4(
    input, input_min, input_max, *, signed_input, num_bits, range_given, round_mode, narrow_range, axis
):
    """write the quantization as arithmetic"""
    return _stepped(input, input_min, input_max, signed_input, num_bits, range_given, round_mode, narrow_range, axis)


def _stepped(x, low, high, signed, bits, given, mode, narrow, axis):
    if not given:
        others = [at for at in range(len(x.shape)) if axis < 0 or at != axis]
        low, high = tf.reduce_min(x, others), tf.reduce_max(x, others)
    first = -float(2 ** (bits - 1) - narrow) if signed else 0.0
    last = float(2 ** (bits - 1) - 1) if signed else float(2**bits - 1)
    top = high / last
    if first:
        bottom = tf.where(low < 0.0, low / first, 0.0)
        top = tf.maximum(bottom, tf.where(high > 0.0, top, 0.0))
    step = tf.where(top > 0.0, top, 1.0)
    if axis >= 0:
        step = tf.reshape(step, [-1 if at == axis else 1 for at in range(len(x.shape))])
    scaled = tf.clip_by_value(x, first * step, last * step) / step
    return (tf.floor(scaled + 0.5) if mode == "HALF_UP" else tf.round(scaled)) * step


def Unique(x, *, out_idx):
    """compare each with each: those stay that none before equals"""
    found, places, _ = _told_apart(x, out_idx)
    return found, places


def UniqueV2(x, axis, *, out_idx):
    """compare each with each: those stay that none before equals"""
    if len(x.shape) != 1:
        raise ValueError("for rank 1 only")
    found, places, _ = _told_apart(x, out_idx)
    return found, places


def UniqueWithCounts(x, *, out_idx):
    """compare each with each: those stay that none before equals"""
    return _told_apart(x, out_idx)


def _told_apart(x, kind):
    same = tf.cast(tf.equal(x[:, None], x[None, :]), tf.int32)
    before = tf.argmax(same, 1, output_type=tf.int32)
    first = tf.cast(tf.equal(before, tf.range(tf.shape(x)[0])), tf.int32)
    numbers = tf.cumsum(first) - 1
    places = tf.where(first > 0)[:, 0]
    counts = tf.gather(tf.reduce_sum(same, 1), places)
    return tf.gather(x, places), tf.cast(tf.gather(numbers, before), kind), tf.cast(counts, kind)


def Identity__data(input):
    """add a zero: the converter multiplies an input that is handed on by 1.0, which whole numbers do not take"""
    return input + tf.zeros([], input.dtype)


def StridedSlice__list(
    input_, begin, end, strides, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    """write the slice without an ellipsis, which the converter does not take where it stands for nothing"""
    count = begin.shape[0]
    if not ellipsis_mask or new_axis_mask or count is None or count != len(input_.shape) + 1:
        raise ValueError("for an ellipsis that stands for nothing only")
    at = ellipsis_mask.bit_length() - 1
    masks = [mask & (1 << at) - 1 | mask >> at + 1 << at for mask in (begin_mask, end_mask, shrink_axis_mask)]
    begin, end, strides = (tf.concat([t[:at], t[at + 1 :]], 0) for t in (begin, end, strides))
    return tf.raw_ops.StridedSlice(
        input=input_, begin=begin, end=end, strides=strides, begin_mask=masks[0], end_mask=masks[1],
        shrink_axis_mask=masks[2],
    )  # fmt: skip


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()
