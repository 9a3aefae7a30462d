"""states and quantization of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _along(values: Any, x: Any, axis: Any) -> Any:
    if np.ndim(values) == 0:
        return np.asarray(values)
    shape = [1] * np.ndim(x)
    shape[int(axis)] = -1
    return np.reshape(values, shape)


@kernel("read_state")
def _read_state(i: Inputs) -> Any:
    """iOS18 states.read_state"""
    return np.array(i.values["input"][0])


@kernel("coreml_update_state", "write_state")
def _coreml_update_state(i: Inputs) -> Any:
    """the core ML dialect's update: the new value, which stays for the next run"""
    i.state[0] = np.array(i.value)
    return i.state[0]


@kernel("quantize")
def _quantize(i: Inputs) -> Any:
    """iOS17 quantization.quantize"""
    low, high = (-128, 127) if i.word("output_dtype") == "int8" else (0, 255)
    zero = 0 if i.zero_point is None else _along(i.zero_point, i.values["input"], i.axis).astype(np.float32)
    value = np.round(i.values["input"] / _along(i.scale, i.values["input"], i.axis)) + zero
    return np.clip(value, low, high).astype(np.int8 if low else np.uint8)


@kernel("dequantize")
def _dequantize(i: Inputs) -> Any:
    """iOS17 quantization.dequantize"""
    zero = 0 if i.zero_point is None else _along(i.zero_point, i.values["input"], i.axis).astype(np.float32)
    return (i.values["input"].astype(np.float32) - zero) * _along(i.scale, i.values["input"], i.axis)
