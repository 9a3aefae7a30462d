"""tensor_operation of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _suppressed(boxes: Any, scores: Any, most: float, least: float) -> list[int]:
    """The places of the boxes (centre, size) that are kept, best first."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    area, kept = boxes[:, 2] * boxes[:, 3], []
    todo = [int(n) for n in np.argsort(-scores, kind="stable") if scores[n] > least]
    while todo:
        best = todo.pop(0)
        kept.append(best)
        sides = np.maximum(np.minimum(high[best], high[todo]) - np.maximum(low[best], low[todo]), 0)
        inner = sides.prod(axis=-1)
        union = area[best] + area[todo] - inner
        overlap = np.where(union > 0, inner / np.where(union > 0, union, 1), 0)
        todo = [n for n, part in zip(todo, overlap, strict=True) if not part > most]
    return kept


@kernel("band_part")
def _band_part(i: Inputs) -> Any:
    """tensor_operation.band_part"""
    return tf.linalg.band_part(i.x, int(i.lower), int(i.upper)).numpy()


@kernel("cumsum")
def _cumsum(i: Inputs) -> Any:
    """tensor_operation.cumsum"""
    return tf.cumsum(i.x, int(i.axis), exclusive=bool(i.exclusive), reverse=bool(i.reverse)).numpy()


@kernel("fill")
def _fill(i: Inputs) -> Any:
    """tensor_operation.fill"""
    return np.full([int(n) for n in np.atleast_1d(i.shape)], i.value)


@kernel("fill_like")
def _fill_like(i: Inputs) -> Any:
    """iOS16 tensor_operation.fill_like"""
    return np.full(np.shape(i.ref_tensor), i.value)


@kernel("flatten2d")
def _flatten2d(i: Inputs) -> Any:
    """tensor_operation.flatten2d"""
    return np.reshape(i.x, (int(np.prod(i.x.shape[: int(i.axis)])), -1))


@kernel("identity")
def _identity(i: Inputs) -> Any:
    """tensor_operation.identity"""
    return i.x


@kernel("shape")
def _shape(i: Inputs) -> Any:
    """tensor_operation.shape"""
    return np.asarray(np.shape(i.x), np.int32)


@kernel("stack")
def _stack(i: Inputs) -> Any:
    """tensor_operation.stack"""
    return np.stack(i.values["values"], axis=int(i.axis))


@kernel("concat")
def _concat(i: Inputs) -> Any:
    """tensor_operation.concat"""
    values = [np.atleast_1d(v) for v in i.values["values"]]
    axis = int(i.axis)
    if i.interleave is not None and bool(i.interleave):
        axis %= np.ndim(values[0])
        stacked = np.stack(values, axis=axis + 1)
        return stacked.reshape(*stacked.shape[:axis], -1, *stacked.shape[axis + 2 :])
    return np.concatenate(values, axis=axis)


@kernel("split")
def _split(i: Inputs) -> Any:
    """tensor_operation.split"""
    axis = int(i.axis)
    if i.split_sizes is not None:
        ends = np.cumsum([int(n) for n in i.split_sizes])[:-1]
        return tuple(np.split(i.x, ends, axis=axis))
    return tuple(np.split(i.x, int(i.num_splits), axis=axis))


@kernel("tile")
def _tile(i: Inputs) -> Any:
    """tensor_operation.tile"""
    return np.tile(i.x, [int(n) for n in i.reps])


@kernel("range_1d")
def _range_1d(i: Inputs) -> Any:
    """tensor_operation.range_1d"""
    return np.arange(i.start, i.end, i.step)


@kernel("non_zero")
def _non_zero(i: Inputs) -> Any:
    """tensor_operation.non_zero"""
    return np.argwhere(np.asarray(i.x) != 0)


@kernel("one_hot")
def _one_hot(i: Inputs) -> Any:
    """tensor_operation.one_hot"""
    on, off = (1 if i.on_value is None else i.on_value), (0 if i.off_value is None else i.off_value)
    depth, axis = int(i.one_hot_vector_size), int(i.axis)
    hot = np.asarray(i.indices)[..., None] == np.arange(depth)
    return np.moveaxis(np.where(hot, on, off), -1, axis)


@kernel("pad")
def _pad(i: Inputs) -> Any:
    """tensor_operation.pad: the pairs belong to the last axes"""
    given = np.asarray(i.values["pad"]).reshape(-1, 2)
    pairs = [(0, 0)] * (np.ndim(i.x) - len(given)) + [(int(a), int(b)) for a, b in given]
    mode = i.word("mode", "constant")
    if mode == "constant":
        return np.pad(i.x, pairs, constant_values=0 if i.constant_val is None else i.constant_val)
    kind: Any = {"reflect": "reflect", "replicate": "edge", "symmetric": "symmetric"}[mode]
    return np.pad(i.x, pairs, mode=kind)


@kernel("argsort")
def _argsort(i: Inputs) -> Any:
    """tensor_operation.argsort"""
    order = np.asarray(i.x) if bool(i.ascending) else -np.asarray(i.x)
    return np.argsort(order, axis=int(i.axis), kind="stable")


@kernel("topk")
def _topk(i: Inputs) -> Any:
    """tensor_operation.topk: of equal values the first comes first"""
    axis, x = int(i.axis), np.asarray(i.x)
    count = x.shape[axis] if i.k is None or int(i.k) == -1 else int(i.k)
    order = np.argsort(x if bool(i.ascending) else -x, axis=axis, kind="stable")
    order = np.take(order, np.arange(count), axis=axis)
    values = np.take_along_axis(x, order, axis=axis)
    return (values, order) if i.return_indices is None or bool(i.return_indices) else values


@kernel("non_maximum_suppression")
def _non_maximum_suppression(i: Inputs) -> Any:
    """tensor_operation.non_maximum_suppression"""
    if i.per_class_suppression is not None and bool(i.per_class_suppression):
        raise NotImplementedError("per_class_suppression")
    threshold = -np.inf if i.score_threshold is None else float(i.score_threshold)
    count = int(i.max_boxes)
    chosen = [
        _suppressed(b, s.max(axis=-1), float(i.iou_threshold), threshold)[:count]
        for b, s in zip(i.boxes, i.scores, strict=True)
    ]
    boxes, scores = (
        np.zeros((len(chosen), count, 4), np.float32),
        np.zeros((len(chosen), count, i.scores.shape[-1]), np.float32),
    )
    places = np.full((len(chosen), count), -1, np.int32)
    for n, kept in enumerate(chosen):
        boxes[n, : len(kept)], scores[n, : len(kept)], places[n, : len(kept)] = (
            i.boxes[n, kept],
            i.scores[n, kept],
            kept,
        )
    return boxes, scores, places, np.asarray([len(kept) for kept in chosen], np.int32)
