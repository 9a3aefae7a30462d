# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for what is done to rows by the segment that each belongs to."""

from __future__ import annotations

import tensorflow as tf


def UnsortedSegmentSum(data, segment_ids, num_segments):
    """sum the segments by a product with their one-hot matrix"""
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
    ids = tf.convert_to_tensor(ids)
    if len(ids.shape) != 1:
        raise ValueError("for ids of rank 1 only")
    mask = tf.equal(tf.range(count)[:, None], ids[None, :])
    for _ in data.shape[1:]:
        mask = tf.expand_dims(mask, -1)
    rows = data[None] + 0 * tf.cast(mask, data.dtype)  # a choice in Core ML has the shape of its values
    return tf.where(mask, rows, other)


def SegmentSum(data, segment_ids):
    """sum the segments by a product with their one-hot matrix (better still: give it a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    picks = _picks(ids, tf.reduce_max(ids) + 1, data.dtype)
    flat = tf.reshape(data, [-1, max(1, data.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *data.shape[1:]])


def SegmentMax(data, segment_ids):
    """take each segment's maximum over a mask of its rows (better still: give it a constant number of segments)"""
    ids = tf.convert_to_tensor(segment_ids)
    return tf.reduce_max(_masked(data, ids, tf.reduce_max(ids) + 1, data.dtype.min), 1)


def SegmentMin(data, segment_ids):
    """take each segment's minimum over a mask of its rows (better still: give it a constant number of segments)"""
    ids = tf.convert_to_tensor(segment_ids)
    return tf.reduce_min(_masked(data, ids, tf.reduce_max(ids) + 1, data.dtype.max), 1)


def SegmentMean(data, segment_ids):
    """average the segments by a product with their one-hot matrix (better: a constant number of segments)"""
    ids = tf.cast(segment_ids, tf.int32)
    picks = _picks(ids, tf.reduce_max(ids) + 1, data.dtype)
    picks = picks / tf.maximum(tf.reduce_sum(picks, 1, keepdims=True), 1.0)
    flat = tf.reshape(data, [-1, max(1, data.shape[1:].num_elements())])
    return tf.reshape(picks @ flat, [-1, *data.shape[1:]])
