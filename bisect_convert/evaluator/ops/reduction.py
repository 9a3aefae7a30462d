"""reduction of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _axes(i: Inputs) -> dict[str, Any]:
    axes = range(np.ndim(i.x)) if i.axes is None else np.atleast_1d(i.axes)
    return {"axis": tuple(int(a) for a in axes), "keepdims": bool(i.keep_dims)}


@kernel("reduce_max")
def _reduce_max(i: Inputs) -> Any:
    """reduction.reduce_max"""
    return tf.reduce_max(i.x, **_axes(i)).numpy()


@kernel("reduce_min")
def _reduce_min(i: Inputs) -> Any:
    """reduction.reduce_min"""
    return tf.reduce_min(i.x, **_axes(i)).numpy()


@kernel("reduce_sum")
def _reduce_sum(i: Inputs) -> Any:
    """reduction.reduce_sum"""
    return tf.reduce_sum(i.x, **_axes(i)).numpy()


@kernel("reduce_mean")
def _reduce_mean(i: Inputs) -> Any:
    """reduction.reduce_mean"""
    return tf.reduce_mean(i.x, **_axes(i)).numpy()


@kernel("reduce_prod")
def _reduce_prod(i: Inputs) -> Any:
    """reduction.reduce_prod"""
    return tf.reduce_prod(i.x, **_axes(i)).numpy()


@kernel("reduce_l1_norm")
def _reduce_l1_norm(i: Inputs) -> Any:
    """reduction.reduce_l1_norm"""
    return np.sum(np.abs(i.x), **_axes(i))


@kernel("reduce_l2_norm")
def _reduce_l2_norm(i: Inputs) -> Any:
    """reduction.reduce_l2_norm"""
    return np.sqrt(np.sum(np.square(i.x), **_axes(i)))


@kernel("reduce_sum_square")
def _reduce_sum_square(i: Inputs) -> Any:
    """reduction.reduce_sum_square"""
    return np.sum(np.square(i.x), **_axes(i))


@kernel("reduce_log_sum")
def _reduce_log_sum(i: Inputs) -> Any:
    """reduction.reduce_log_sum"""
    return np.log(np.sum(i.x, **_axes(i)))


@kernel("reduce_log_sum_exp")
def _reduce_log_sum_exp(i: Inputs) -> Any:
    """reduction.reduce_log_sum_exp"""
    most = np.max(i.x, **{**_axes(i), "keepdims": True})
    most = np.where(np.isfinite(most), most, 0)
    total = np.log(np.sum(np.exp(i.x - most), **{**_axes(i), "keepdims": True})) + most
    return total if _axes(i)["keepdims"] else np.squeeze(total, axis=_axes(i)["axis"])


@kernel("reduce_argmax")
def _reduce_argmax(i: Inputs) -> Any:
    """reduction.reduce_argmax"""
    place = np.argmax(i.x, axis=int(i.axis))
    return np.expand_dims(place, int(i.axis)) if bool(i.keep_dims) else place


@kernel("reduce_argmin")
def _reduce_argmin(i: Inputs) -> Any:
    """reduction.reduce_argmin"""
    place = np.argmin(i.x, axis=int(i.axis))
    return np.expand_dims(place, int(i.axis)) if bool(i.keep_dims) else place
