"""linear and transformers of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []

_SMALL = 256


def _product(x: Any, y: Any) -> Any:
    """As TensorFlow sums it up, where it has such a product; what is small, as in loops, takes it longer to be handed over."""
    if max(np.size(x), np.size(y)) <= _SMALL:
        return np.matmul(x, y)
    return tf.matmul(x, y).numpy() if min(np.ndim(x), np.ndim(y)) > 1 else np.matmul(x, y)


@kernel("linear")
def _linear(i: Inputs) -> Any:
    """linear.linear"""
    return _product(i.x, np.swapaxes(i.weight, -1, -2)) + (0 if i.bias is None else i.bias)


@kernel("matmul")
def _matmul(i: Inputs) -> Any:
    """linear.matmul"""
    x = np.swapaxes(i.x, -1, -2) if i.transpose_x is not None and bool(i.transpose_x) else i.x
    y = np.swapaxes(i.y, -1, -2) if i.transpose_y is not None and bool(i.transpose_y) else i.y
    return _product(x, y)


@kernel("einsum")
def _einsum(i: Inputs) -> Any:
    """linear.einsum"""
    return np.einsum(i.word("equation"), *i.values["values"], optimize=True)


@kernel("scaled_dot_product_attention")
def _scaled_dot_product_attention(i: Inputs) -> Any:
    """iOS18 transformers.scaled_dot_product_attention"""
    scores = i.query @ np.swapaxes(i.key, -1, -2) / np.sqrt(np.float32(i.query.shape[-1]))
    if i.attn_mask is not None:
        mask = np.asarray(i.attn_mask)
        scores = np.where(mask, scores, -np.inf) if mask.dtype == np.bool_ else scores + mask
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True) @ i.value
