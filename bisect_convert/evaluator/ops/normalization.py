"""normalization of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _channels(values: Any, x: Any) -> Any:
    return np.reshape(values, (-1, *[1] * (np.ndim(x) - 2)))


@kernel("batch_norm")
def _batch_norm(i: Inputs) -> Any:
    """normalization.batch_norm"""
    scale = 1 / np.sqrt(i.variance + i.epsilon) * (1 if i.gamma is None else i.gamma)
    return (i.x - _channels(i.mean, i.x)) * _channels(scale, i.x) + (0 if i.beta is None else _channels(i.beta, i.x))


@kernel("instance_norm")
def _instance_norm(i: Inputs) -> Any:
    """normalization.instance_norm"""
    axes = tuple(range(2, np.ndim(i.x)))
    normal = (i.x - i.x.mean(axes, keepdims=True)) / np.sqrt(i.x.var(axes, keepdims=True) + i.epsilon)
    return normal * (1 if i.gamma is None else _channels(i.gamma, i.x)) + (
        0 if i.beta is None else _channels(i.beta, i.x)
    )


@kernel("l2_norm")
def _l2_norm(i: Inputs) -> Any:
    """normalization.l2_norm"""
    return i.x / np.sqrt(np.sum(np.square(i.x), axis=(-3, -2, -1), keepdims=True) + i.epsilon)


@kernel("layer_norm")
def _layer_norm(i: Inputs) -> Any:
    """normalization.layer_norm"""
    rank = np.ndim(i.x)
    axes = tuple(sorted(int(a) % rank for a in (range(rank) if i.axes is None else np.atleast_1d(i.axes))))
    normal = (i.x - i.x.mean(axes, keepdims=True)) / np.sqrt(i.x.var(axes, keepdims=True) + i.epsilon)
    shape = [size if axis in axes else 1 for axis, size in enumerate(i.x.shape)]
    return normal * (1 if i.gamma is None else np.reshape(i.gamma, shape)) + (
        0 if i.beta is None else np.reshape(i.beta, shape)
    )


@kernel("local_response_norm")
def _local_response_norm(i: Inputs) -> Any:
    """normalization.local_response_norm"""
    size = int(i.size)
    before, after = (size - 1) // 2, size // 2
    squares = np.pad(np.square(i.x), [(0, 0), (before, after)] + [(0, 0)] * (np.ndim(i.x) - 2))
    total = sum(squares[:, shift : shift + i.x.shape[1]] for shift in range(size))
    return i.x / np.power(i.k + i.alpha / size * total, i.beta)
