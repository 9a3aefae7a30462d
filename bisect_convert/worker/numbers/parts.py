"""The parts that an output was joined of: each is a quantity of its own, compared in parts of its own largest number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True)
class Parts:
    """How large the parts are that were joined along an axis.

    >>> [part.tolist() for part in Parts(1, (1, 2)).of(np.array([[1, 2, 3]]))]
    [[[1]], [[2, 3]]]
    """

    axis: int
    sizes: tuple[int, ...]

    def of(self, value: Any) -> list[Any]:
        """Return the parts of a value; none of one that has other sizes."""
        array = np.asarray(value)
        if array.ndim <= self.axis or array.shape[self.axis] != sum(self.sizes):
            return []
        return np.split(array, np.cumsum(self.sizes)[:-1], self.axis)


def parts_of(tensor: Any) -> Parts | None:
    """Return what a tensor of a TensorFlow graph was joined of, where that is known without running it; None if of nothing."""
    op, order = tensor.op, None
    while op.type in ("Identity", "Transpose"):
        if op.type == "Transpose":
            turned = tf.get_static_value(op.inputs[1])
            if turned is None or order is not None:
                return None
            order = [int(axis) for axis in turned]
        op = op.inputs[0].op
    if op.type not in ("ConcatV2", "Pack") or op.outputs[0].shape.rank is None or not op.outputs[0].dtype.is_floating:
        return None
    axis = op.get_attr("axis") if op.type == "Pack" else tf.get_static_value(op.inputs[-1])
    if axis is None:
        return None
    axis = int(axis) % op.outputs[0].shape.rank
    sizes = [1] * len(op.inputs) if op.type == "Pack" else _sizes(op, axis)
    if None in sizes or len(sizes) < 2:
        return None
    return Parts(axis if order is None else order.index(axis), tuple(int(size) for size in sizes if size is not None))


def _sizes(op: Any, axis: int) -> list[int | None]:
    """The sizes along the axis of what is joined, and of what that was joined of along the same."""
    found: list[int | None] = []
    for read in op.inputs[:-1]:
        inner = read.op
        at = tf.get_static_value(inner.inputs[-1]) if inner.type == "ConcatV2" else None
        if at is not None and read.shape.rank is not None and int(at) % read.shape.rank == axis:
            found += _sizes(inner, axis)
        else:
            found.append(None if read.shape.rank is None else read.shape.as_list()[axis])
    return found
