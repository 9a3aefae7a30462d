# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for what detectors and readers of text end with: the best boxes, the likeliest letters."""

from __future__ import annotations

import tensorflow as tf


def CombinedNonMaxSuppression(
    boxes,
    scores,
    max_output_size_per_class,
    max_total_size,
    iou_threshold,
    score_threshold,
    *,
    pad_per_class,
    clip_boxes,
):
    """pick the best box of every class in a fixed number of rounds, and put out those that it covers"""
    most, (count, classes) = _numbers(max_total_size)[0], scores.shape[1:]
    rounds = min(_numbers(max_output_size_per_class)[0], count)
    if rounds > 100:
        raise ValueError("for up to 100 boxes of a class only")
    left = tf.transpose(scores, [0, 2, 1])
    left, boxes = tf.where(left > score_threshold, left, -3e4), tf.transpose(boxes, [0, 2, 1, 3])
    picked, kept = [], []
    for _ in range(rounds):
        kept.append(tf.reduce_max(left, -1))
        pick = tf.one_hot(tf.argmax(left, -1, output_type=tf.int32), count)
        box = tf.reduce_sum(boxes * pick[..., None], 2)
        left = tf.where(tf.logical_or(_covered(boxes, box[:, :, None], iou_threshold), pick > 0.5), -3e4, left)
        picked.append(box)
    kept = tf.reshape(tf.stack(kept, 2), [-1, classes * rounds])
    picked = tf.reshape(tf.stack(picked, 2), [-1, classes * rounds, 4])
    number = tf.constant([float(c) for c in range(classes) for _ in range(rounds)])[None] + 0.0 * kept
    most = min(most, rounds * classes) if pad_per_class else most
    best, at = tf.math.top_k(kept, min(most, classes * rounds))
    valid, chosen = best > -2e4, tf.one_hot(at, classes * rounds)
    found = tf.where(valid[..., None], tf.matmul(chosen, picked), 0.0)
    found = tf.clip_by_value(found, 0.0, 1.0) if clip_boxes else found
    kinds = tf.where(valid, tf.reduce_sum(chosen * number[:, None], -1), 0.0)
    pads = [[0, 0], [0, most - min(most, classes * rounds)]]
    shown = tf.pad(tf.where(valid, best, 0.0), pads), tf.pad(kinds, pads), tf.reduce_sum(tf.cast(valid, tf.int32), -1)
    return tf.pad(found, [*pads, [0, 0]]), *shown


def _covered(boxes, box, threshold):
    shared, joined = _overlap(boxes, box)
    return tf.logical_and(shared > threshold * joined, joined > 0.0)


def _overlap(boxes, box):
    low, high = tf.minimum(boxes[..., :2], boxes[..., 2:]), tf.maximum(boxes[..., :2], boxes[..., 2:])
    start, end = tf.minimum(box[..., :2], box[..., 2:]), tf.maximum(box[..., :2], box[..., 2:])
    shared = tf.reduce_prod(tf.maximum(tf.minimum(high, end) - tf.maximum(low, start), 0.0), -1)
    joined = tf.reduce_prod(high - low, -1) + tf.reduce_prod(end - start, -1) - shared
    return shared, joined


def NonMaxSuppressionV2(boxes, scores, max_output_size, iou_threshold):
    """use the later version, which has a threshold for the score too"""
    return tf.image.non_max_suppression(boxes, scores, max_output_size, iou_threshold)


def NonMaxSuppressionV4(boxes, scores, max_output_size, iou_threshold, score_threshold, *, pad_to_max_output_size):
    """pick the best box in a fixed number of rounds, and put out those that it covers"""
    most, count = _numbers(max_output_size)[0], scores.shape[0]
    rounds = min(most, count)
    if rounds > 100:
        raise ValueError("for up to 100 boxes only")
    left, picked, kept = tf.where(scores > score_threshold, scores, -3e4), [], []
    for _ in range(rounds):
        at = tf.argmax(left, 0, output_type=tf.int32)
        known, pick = tf.reduce_max(left) > -2e4, tf.one_hot(at, count)
        box = tf.reduce_sum(boxes * pick[:, None], 0, keepdims=True)
        left = tf.where(tf.logical_or(_covered(boxes, box, iou_threshold), pick > 0.5), -3e4, left)
        kept.append(tf.cast(known, tf.int32))
        picked.append(at * kept[-1])
    found, valid = tf.stack(picked), tf.add_n(kept)
    return tf.pad(found, [[0, most - rounds]]) if pad_to_max_output_size else found[:valid], valid


def NonMaxSuppressionV5(
    boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma, *, pad_to_max_output_size
):
    """pick the best box in a fixed number of rounds, and lower the scores of those that it overlaps"""
    most, count, sigma = _numbers(max_output_size)[0], scores.shape[0], _numbers(soft_nms_sigma)[0]
    rounds = min(most, count)
    if rounds > 100:
        raise ValueError("for up to 100 boxes only")
    lowest, left = tf.maximum(score_threshold, -3e4), scores
    picked, best, kept = [], [], []
    for _ in range(rounds):
        open_ = tf.where(left > lowest, left, -3e4)
        at, score = tf.argmax(open_, 0, output_type=tf.int32), tf.reduce_max(open_)
        known, pick = score > -3e4, tf.one_hot(at, count)
        box = tf.reduce_sum(boxes * pick[:, None], 0, keepdims=True)
        shared, joined = _overlap(boxes, box)
        if sigma > 0.0:  # the threshold plays no part then
            alike = shared / tf.where(joined > 0.0, joined, tf.ones_like(joined))
            left = left * tf.exp(alike * alike * (-0.5 / sigma))
        else:
            left = tf.where(tf.logical_and(shared > iou_threshold * joined, joined > 0.0), -3e4, left)
        left = tf.where(pick > 0.5, -3e4, left)
        kept.append(tf.cast(known, tf.int32))
        picked.append(at * kept[-1])
        best.append(score * tf.cast(known, scores.dtype))
    found, shown, valid = tf.stack(picked), tf.stack(best), tf.add_n(kept)
    if pad_to_max_output_size:
        return tf.pad(found, [[0, most - rounds]]), tf.pad(shown, [[0, most - rounds]]), valid
    return found[:valid], shown[:valid], valid


def CTCGreedyDecoder(inputs, sequence_length, *, merge_repeated, blank_index):
    """take the likeliest class of each step, without blanks and without what only repeats"""
    (steps, _, classes), best = inputs.shape, tf.argmax(inputs, 2, output_type=tf.int32)
    inside = tf.range(steps)[:, None] < tf.cast(sequence_length, tf.int32)[None, :]
    kept = tf.logical_and(inside, tf.not_equal(best, blank_index % classes))
    if merge_repeated:
        before = tf.concat([best[:1] * 0 - 1, best[:-1]], 0)
        kept = tf.logical_and(kept, tf.not_equal(best, before))
    total = tf.reduce_sum(tf.reduce_max(inputs, 2) * tf.cast(inside, inputs.dtype), 0)
    kept, best = tf.transpose(tf.cast(kept, tf.int32)), tf.transpose(best)
    places = tf.where(kept > 0)
    rows = tf.stack([tf.cast(places[:, 0], tf.int32), tf.gather_nd(tf.cumsum(kept, 1) - 1, places)], 1)
    shape = tf.stack([tf.shape(kept)[0], tf.reduce_max(tf.reduce_sum(kept, 1))])
    return [tf.cast(t, tf.int64) for t in (rows, tf.gather_nd(best, places), shape)] + [0.0 - total[:, None]]


def _numbers(constant):
    value = tf.get_static_value(tf.convert_to_tensor(constant))
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()
