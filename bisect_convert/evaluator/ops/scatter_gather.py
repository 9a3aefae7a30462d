"""scatter_gather of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__ = ["within"]

_MODES = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum}


def within(i: Inputs, indices: Any, size: int) -> Any:
    """Return the indices, negative ones from the end; those outside of the axis, which nothing is promised of, at its ends."""
    places = np.asarray(indices).astype(np.int64)
    if places.size and not ((places >= -size) & (places < size)).all():
        worst = int(places.flat[int(np.argmax(np.abs(places)))])
        i.undefined(f"index {worst} of an axis of {size}")
        places = np.clip(places, -size, size - 1)
    return np.where(places < 0, places + size, places)


def _all_within(i: Inputs, indices: Any, shape: Any) -> Any:
    parts = [
        within(i, part, int(size)) for part, size in zip(np.moveaxis(np.asarray(indices), -1, 0), shape, strict=False)
    ]
    return np.stack(parts, axis=-1)


def _scattered(data: Any, index: Any, updates: Any, mode: str) -> Any:
    value = np.array(data)
    if mode == "update":
        value[index] = updates
    else:
        _MODES[mode].at(value, index, updates)
    return value


@kernel("gather")
def _gather(i: Inputs) -> Any:
    """scatter_gather.gather"""
    batch = 0 if i.batch_dims is None else int(i.batch_dims)
    axis = int(i.axis) % np.ndim(i.x)
    places = within(i, i.indices, np.shape(i.x)[axis])
    return tf.gather(i.x, places, axis=axis, batch_dims=batch).numpy() if batch else np.take(i.x, places, axis=axis)


@kernel("gather_along_axis")
def _gather_along_axis(i: Inputs) -> Any:
    """scatter_gather.gather_along_axis"""
    axis = int(i.axis)
    return np.take_along_axis(i.x, within(i, i.indices, i.x.shape[axis]), axis=axis)


@kernel("gather_nd")
def _gather_nd(i: Inputs) -> Any:
    """scatter_gather.gather_nd"""
    batch = 0 if i.batch_dims is None else int(i.batch_dims)
    places = _all_within(i, i.indices, i.x.shape[batch:])
    return tf.gather_nd(i.x, places, batch_dims=batch).numpy()


@kernel("scatter")
def _scatter(i: Inputs) -> Any:
    """scatter_gather.scatter"""
    axis = int(i.axis) % np.ndim(i.data)
    index = (slice(None),) * axis + (within(i, i.indices, i.data.shape[axis]),)
    return _scattered(i.data, index, i.updates, i.word("mode", "add"))


@kernel("scatter_along_axis")
def _scatter_along_axis(i: Inputs) -> Any:
    """scatter_gather.scatter_along_axis"""
    axis = int(i.axis) % np.ndim(i.data)
    index = list(np.indices(i.indices.shape))
    index[axis] = within(i, i.indices, i.data.shape[axis])
    return _scattered(i.data, tuple(index), i.updates, i.word("mode", "add"))


@kernel("scatter_nd")
def _scatter_nd(i: Inputs) -> Any:
    """scatter_gather.scatter_nd"""
    places = _all_within(i, i.indices, i.data.shape)
    return _scattered(i.data, tuple(np.moveaxis(places, -1, 0)), i.updates, i.word("mode", "add"))
