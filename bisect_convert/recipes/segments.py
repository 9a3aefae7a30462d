# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for what is done to rows by the segment that each belongs to."""

from __future__ import annotations

import tensorflow as tf


def UnsortedSegmentSum(data, segment_ids, num_segments):
    """sum the segments by a product with their one-hot matrix"""
    return _summed(data, segment_ids, num_segments)


def _summed(data, segment_ids, num_segments):
    if data.dtype.is_integer:  # products are of floats, which are exact up to 2**24 only
        return tf.reduce_sum(_masked(data, segment_ids, num_segments, tf.zeros([], data.dtype)), 1)
    ids = tf.cast(segment_ids, tf.int32)
    picks = _picks(tf.reshape(ids, [-1]), tf.cast(num_segments, tf.int32), data.dtype)
    rows = tf.reshape(data, [-1, *data.shape[len(ids.shape) :]])
    flat = tf.reshape(rows, [-1, max(1, rows.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *rows.shape[1:]])


def _picks(ids, count, dtype):
    return tf.cast(tf.equal(tf.range(count)[:, None], ids[None, :]), dtype)


def UnsortedSegmentMax(data, segment_ids, num_segments):
    """take each segment's maximum over a mask of its rows"""
    return tf.reduce_max(_masked(data, segment_ids, num_segments, data.dtype.min), 1)


def UnsortedSegmentMin(data, segment_ids, num_segments):
    """take each segment's minimum over a mask of its rows"""
    return tf.reduce_min(_masked(data, segment_ids, num_segments, data.dtype.max), 1)


def _masked(data, ids, count, other):
    ids, count = tf.cast(ids, tf.int32), tf.cast(count, tf.int32)
    if len(ids.shape) != 1:
        raise ValueError("for ids of rank 1 only")
    mask = tf.equal(tf.range(count)[:, None], ids[None, :])
    for _ in data.shape[1:]:
        mask = tf.expand_dims(mask, -1)
    rows = data[None] + 0 * tf.cast(mask, data.dtype)  # a choice in Core ML has the shape of its values
    return tf.where(mask, rows, other)


def UnsortedSegmentProd(data, segment_ids, num_segments):
    """take each segment's product over a mask of its rows"""
    return tf.reduce_prod(_masked(data, segment_ids, num_segments, tf.ones([], data.dtype)), 1)


def SegmentSum(data, segment_ids):
    """sum the segments by a product with their one-hot matrix (better still: give it a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    return _summed(data, ids, tf.reduce_max(ids) + 1)


def SegmentMax(data, segment_ids):
    """take each segment's maximum over a mask of its rows (better still: give it a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    count = tf.reduce_max(ids) + 1
    return _known(tf.reduce_max(_masked(data, ids, count, data.dtype.min), 1), ids, count)


def SegmentMin(data, segment_ids):
    """take each segment's minimum over a mask of its rows (better still: give it a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    count = tf.reduce_max(ids) + 1
    return _known(tf.reduce_min(_masked(data, ids, count, data.dtype.max), 1), ids, count)


def SegmentProd(data, segment_ids):
    """take each segment's product over a mask of its rows (better still: give it a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    return tf.reduce_prod(_masked(data, ids, tf.reduce_max(ids) + 1, tf.ones([], data.dtype)), 1)


def SegmentMean(data, segment_ids):
    """average the segments by a product with their one-hot matrix (better: a constant number of segments)"""
    return _weighted(data, segment_ids, None, lambda size: size)


def _known(found, ids, count):
    """zero where a number is no row's"""
    there = tf.reduce_max(_picks(ids, count, found.dtype), 1)
    return found * tf.reshape(there, [-1, *[1] * (len(found.shape) - 1)])


def _weighted(data, segment_ids, count, divisor):
    ids = tf.cast(segment_ids, tf.int32)
    picks = _picks(ids, tf.reduce_max(ids) + 1 if count is None else tf.cast(count, tf.int32), data.dtype)
    picks = picks / divisor(tf.maximum(tf.reduce_sum(picks, 1, keepdims=True), 1.0))
    flat = tf.reshape(data, [-1, max(1, data.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *data.shape[1:]])


def SparseSegmentSum(data, indices, segment_ids):
    """gather the rows, and sum the segments by a product with their one-hot matrix"""
    return _weighted(tf.gather(data, indices), segment_ids, None, lambda size: 1.0)


def SparseSegmentMean(data, indices, segment_ids):
    """gather the rows, and average the segments by a product with their one-hot matrix"""
    return _weighted(tf.gather(data, indices), segment_ids, None, lambda size: size)


def SparseSegmentSqrtN(data, indices, segment_ids):
    """gather the rows, sum the segments by a product with their one-hot matrix, and divide by the roots of their sizes"""
    return _weighted(tf.gather(data, indices), segment_ids, None, tf.sqrt)


def SparseSegmentSumWithNumSegments(data, indices, segment_ids, num_segments):
    """gather the rows, and sum the segments by a product with their one-hot matrix"""
    return _weighted(tf.gather(data, indices), segment_ids, num_segments, lambda size: 1.0)


def SparseSegmentMeanWithNumSegments(data, indices, segment_ids, num_segments):
    """gather the rows, and average the segments by a product with their one-hot matrix"""
    return _weighted(tf.gather(data, indices), segment_ids, num_segments, lambda size: size)


def SparseSegmentSqrtNWithNumSegments(data, indices, segment_ids, num_segments):
    """gather the rows, sum the segments by a product with their one-hot matrix, and divide by the roots of their sizes"""
    return _weighted(tf.gather(data, indices), segment_ids, num_segments, tf.sqrt)
