"""elementwise_unary and elementwise_binary of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []

_DTYPES: dict[str, Any] = {
    "fp16": np.float32, "fp32": np.float32, "int32": np.int32, "bool": np.bool_, "int16": np.int16, "uint16": np.uint16,
    "int8": np.int8, "uint8": np.uint8, "int64": np.int32, "fp64": np.float32,
}  # fmt: skip


@kernel("add")
def _add(i: Inputs) -> Any:
    """elementwise_binary.add"""
    return np.add(i.x, i.y)


@kernel("sub")
def _sub(i: Inputs) -> Any:
    """elementwise_binary.sub"""
    return np.subtract(i.x, i.y)


@kernel("mul")
def _mul(i: Inputs) -> Any:
    """elementwise_binary.mul"""
    return np.multiply(i.x, i.y)


@kernel("real_div")
def _real_div(i: Inputs) -> Any:
    """elementwise_binary.real_div"""
    return np.true_divide(i.x, i.y)


@kernel("maximum")
def _maximum(i: Inputs) -> Any:
    """elementwise_binary.maximum"""
    return np.maximum(i.x, i.y)


@kernel("minimum")
def _minimum(i: Inputs) -> Any:
    """elementwise_binary.minimum"""
    return np.minimum(i.x, i.y)


@kernel("mod")
def _mod(i: Inputs) -> Any:
    """elementwise_binary.mod"""
    return np.mod(i.x, i.y)


@kernel("equal")
def _equal(i: Inputs) -> Any:
    """elementwise_binary.equal"""
    return np.equal(i.x, i.y)


@kernel("not_equal")
def _not_equal(i: Inputs) -> Any:
    """elementwise_binary.not_equal"""
    return np.not_equal(i.x, i.y)


@kernel("greater")
def _greater(i: Inputs) -> Any:
    """elementwise_binary.greater"""
    return np.greater(i.x, i.y)


@kernel("greater_equal")
def _greater_equal(i: Inputs) -> Any:
    """elementwise_binary.greater_equal"""
    return np.greater_equal(i.x, i.y)


@kernel("less")
def _less(i: Inputs) -> Any:
    """elementwise_binary.less"""
    return np.less(i.x, i.y)


@kernel("less_equal")
def _less_equal(i: Inputs) -> Any:
    """elementwise_binary.less_equal"""
    return np.less_equal(i.x, i.y)


@kernel("logical_and")
def _logical_and(i: Inputs) -> Any:
    """elementwise_binary.logical_and"""
    return np.logical_and(i.x, i.y)


@kernel("logical_or")
def _logical_or(i: Inputs) -> Any:
    """elementwise_binary.logical_or"""
    return np.logical_or(i.x, i.y)


@kernel("logical_xor")
def _logical_xor(i: Inputs) -> Any:
    """elementwise_binary.logical_xor"""
    return np.logical_xor(i.x, i.y)


@kernel("floor_div")
def _floor_div(i: Inputs) -> Any:
    """elementwise_binary.floor_div"""
    return np.floor_divide(i.x, i.y)


@kernel("pow")
def _pow(i: Inputs) -> Any:
    """elementwise_binary.pow"""
    return np.power(np.asarray(i.x, np.float32), np.asarray(i.y, np.float32))


@kernel("abs")
def _abs(i: Inputs) -> Any:
    """elementwise_unary.abs"""
    return np.abs(i.x)


@kernel("acos")
def _acos(i: Inputs) -> Any:
    """elementwise_unary.acos"""
    return np.arccos(i.x)


@kernel("asin")
def _asin(i: Inputs) -> Any:
    """elementwise_unary.asin"""
    return np.arcsin(i.x)


@kernel("atan")
def _atan(i: Inputs) -> Any:
    """elementwise_unary.atan"""
    return np.arctan(i.x)


@kernel("atanh")
def _atanh(i: Inputs) -> Any:
    """elementwise_unary.atanh"""
    return np.arctanh(i.x)


@kernel("ceil")
def _ceil(i: Inputs) -> Any:
    """elementwise_unary.ceil"""
    return np.ceil(i.x)


@kernel("cos")
def _cos(i: Inputs) -> Any:
    """elementwise_unary.cos"""
    return np.cos(i.x)


@kernel("cosh")
def _cosh(i: Inputs) -> Any:
    """elementwise_unary.cosh"""
    return np.cosh(i.x)


@kernel("exp")
def _exp(i: Inputs) -> Any:
    """elementwise_unary.exp"""
    return np.exp(i.x)


@kernel("exp2")
def _exp2(i: Inputs) -> Any:
    """elementwise_unary.exp2"""
    return np.exp2(i.x)


@kernel("floor")
def _floor(i: Inputs) -> Any:
    """elementwise_unary.floor"""
    return np.floor(i.x)


@kernel("logical_not")
def _logical_not(i: Inputs) -> Any:
    """elementwise_unary.logical_not"""
    return np.logical_not(i.x)


@kernel("round")
def _round(i: Inputs) -> Any:
    """elementwise_unary.round"""
    return np.round(i.x)


@kernel("sign")
def _sign(i: Inputs) -> Any:
    """elementwise_unary.sign"""
    return np.sign(i.x)


@kernel("sin")
def _sin(i: Inputs) -> Any:
    """elementwise_unary.sin"""
    return np.sin(i.x)


@kernel("sinh")
def _sinh(i: Inputs) -> Any:
    """elementwise_unary.sinh"""
    return np.sinh(i.x)


@kernel("sqrt")
def _sqrt(i: Inputs) -> Any:
    """elementwise_unary.sqrt"""
    return np.sqrt(i.x)


@kernel("square")
def _square(i: Inputs) -> Any:
    """elementwise_unary.square"""
    return np.square(i.x)


@kernel("tan")
def _tan(i: Inputs) -> Any:
    """elementwise_unary.tan"""
    return np.tan(i.x)


@kernel("tanh")
def _tanh(i: Inputs) -> Any:
    """elementwise_unary.tanh"""
    return np.tanh(i.x)


@kernel("clip")
def _clip(i: Inputs) -> Any:
    """elementwise_unary.clip"""
    return np.clip(i.x, i.alpha, i.beta)


@kernel("erf")
def _erf(i: Inputs) -> Any:
    """elementwise_unary.erf"""
    return tf.math.erf(i.x).numpy()


@kernel("inverse")
def _inverse(i: Inputs) -> Any:
    """elementwise_unary.inverse"""
    return 1 / (i.x + i.epsilon)


@kernel("log")
def _log(i: Inputs) -> Any:
    """elementwise_unary.log"""
    return np.log(i.x + i.epsilon)


@kernel("rsqrt")
def _rsqrt(i: Inputs) -> Any:
    """elementwise_unary.rsqrt"""
    return 1 / np.sqrt(i.x + i.epsilon)


@kernel("threshold")
def _threshold(i: Inputs) -> Any:
    """elementwise_unary.threshold"""
    return np.maximum(i.x, i.alpha)


@kernel("cast")
def _cast(i: Inputs) -> Any:
    """elementwise_unary.cast: towards zero; what no integer of the type holds has no promised result"""
    dtype = _DTYPES[i.word("dtype")]
    value = np.asarray(i.x)
    if dtype is np.bool_:
        return value != 0
    if np.issubdtype(dtype, np.integer) and value.dtype.kind == "f":
        bounds = np.iinfo(dtype)
        if value.size and not ((value >= bounds.min) & (value <= bounds.max)).all():
            i.undefined(f"a number outside of {i.word('dtype')} is made one")
            value = np.clip(np.nan_to_num(value.astype(np.float64)), bounds.min, bounds.max)
    return value.astype(dtype)
