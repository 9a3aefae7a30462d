"""pool of the MIL reference, by TensorFlow's own pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel
from bisect_convert.evaluator.ops.conv import pads_of, spatial

__all__: list[str] = []


def _pooled(i: Inputs, x: Any, filler: float, kind: str) -> Any:
    """x is channels first; what is padded around it has the value `filler`."""
    rank = x.ndim - 2
    sizes = spatial(i.kernel_sizes, rank)
    strides = spatial(i.strides, rank)
    pads = pads_of(i, list(x.shape[2:]), sizes, strides)
    if i.ceil_mode is not None and bool(i.ceil_mode):
        longer = [(-(n + a + b - k) % s) for n, (a, b), k, s in zip(x.shape[2:], pads, sizes, strides, strict=True)]
        pads = [(a, b + more) for (a, b), more in zip(pads, longer, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=filler)
    last, first = [0, *range(2, rank + 2), 1], [0, rank + 1, *range(1, rank + 1)]
    wide = any(s > k for s, k in zip(strides, sizes, strict=True))  # which TensorFlow refuses
    steps = [1] * rank if wide else strides
    y = tf.nn.pool(x.transpose(last), sizes, kind, strides=steps, padding="VALID").numpy().transpose(first)
    return y[tuple([slice(None), slice(None), *[slice(None, None, s) for s in strides]])] if wide else y


@kernel("max_pool")
def _max_pool(i: Inputs) -> Any:
    """pool.max_pool"""
    return _pooled(i, i.x, -np.inf, "MAX")


@kernel("avg_pool")
def _avg_pool(i: Inputs) -> Any:
    """pool.avg_pool"""
    total = _pooled(i, i.x, 0, "AVG")
    if i.exclude_padding_from_average is None or not bool(i.exclude_padding_from_average):
        return total
    return total / _pooled(i, np.ones((1, 1, *i.x.shape[2:]), np.float32), 0, "AVG")


@kernel("l2_pool")
def _l2_pool(i: Inputs) -> Any:
    """pool.l2_pool"""
    count = float(np.prod(spatial(i.kernel_sizes, np.ndim(i.x) - 2)))
    return np.sqrt(_pooled(i, np.square(i.x), 0, "AVG") * count)
