"""activation of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _sigmoid_of(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))


def _by_channel(values: Any, x: Any) -> Any:
    return np.reshape(values, (-1, *[1] * (np.ndim(x) - 2))) if np.ndim(values) else values


@kernel("relu")
def _relu(i: Inputs) -> Any:
    """activation.relu"""
    return np.maximum(i.x, 0)


@kernel("relu6")
def _relu6(i: Inputs) -> Any:
    """activation.relu6"""
    return np.clip(i.x, 0, 6)


@kernel("leaky_relu")
def _leaky_relu(i: Inputs) -> Any:
    """activation.leaky_relu"""
    return np.where(i.x >= 0, i.x, i.alpha * i.x)


@kernel("prelu")
def _prelu(i: Inputs) -> Any:
    """activation.prelu"""
    return np.where(i.x >= 0, i.x, _by_channel(i.alpha, i.x) * i.x)


@kernel("elu")
def _elu(i: Inputs) -> Any:
    """activation.elu"""
    return np.where(i.x >= 0, i.x, i.alpha * np.expm1(np.minimum(i.x, 0)))


@kernel("clamped_relu")
def _clamped_relu(i: Inputs) -> Any:
    """activation.clamped_relu"""
    return np.minimum(np.where(i.x >= 0, i.x, i.alpha * i.x), i.beta)


@kernel("linear_activation")
def _linear_activation(i: Inputs) -> Any:
    """activation.linear_activation"""
    return i.alpha * i.x + (0 if i.beta is None else i.beta)


@kernel("scaled_tanh")
def _scaled_tanh(i: Inputs) -> Any:
    """activation.scaled_tanh"""
    return i.alpha * np.tanh(i.beta * i.x)


@kernel("sigmoid")
def _sigmoid(i: Inputs) -> Any:
    """activation.sigmoid"""
    return _sigmoid_of(i.x)


@kernel("sigmoid_hard")
def _sigmoid_hard(i: Inputs) -> Any:
    """activation.sigmoid_hard"""
    return np.clip(i.alpha * i.x + i.beta, 0, 1)


@kernel("silu")
def _silu(i: Inputs) -> Any:
    """activation.silu"""
    return i.x * _sigmoid_of(i.x)


@kernel("softplus")
def _softplus(i: Inputs) -> Any:
    """activation.softplus"""
    return np.logaddexp(0, i.x)


@kernel("softplus_parametric")
def _softplus_parametric(i: Inputs) -> Any:
    """activation.softplus_parametric"""
    return _by_channel(i.alpha, i.x) * np.logaddexp(0, _by_channel(i.beta, i.x) * i.x)


@kernel("softsign")
def _softsign(i: Inputs) -> Any:
    """activation.softsign"""
    return i.x / (1 + np.abs(i.x))


@kernel("thresholded_relu")
def _thresholded_relu(i: Inputs) -> Any:
    """activation.thresholded_relu"""
    return np.where(i.x >= i.alpha, i.x, 0)


@kernel("softmax")
def _softmax(i: Inputs) -> Any:
    """activation.softmax"""
    axis = int(i.axis)
    powers = np.exp(i.x - np.max(i.x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@kernel("gelu")
def _gelu(i: Inputs) -> Any:
    """activation.gelu, in the mode that is asked for"""
    mode = i.word("mode", "EXACT")
    if mode == "EXACT":
        return 0.5 * i.x * (1 + tf.math.erf(i.x / np.sqrt(np.float32(2))).numpy())
    if mode == "SIGMOID_APPROXIMATION":
        return i.x * _sigmoid_of(1.702 * i.x)
    return 0.5 * i.x * (1 + np.tanh(np.sqrt(2 / np.pi) * (i.x + 0.044715 * i.x**3)))
