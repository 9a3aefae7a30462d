"""Weights that are stored compressed: the constexpr ops of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _bits(packed: Any, count: int) -> Any:
    """The first bits of the bytes, the lowest of each byte first."""
    return np.unpackbits(np.asarray(packed).view(np.uint8), bitorder="little")[:count].astype(np.int64)


def _dense(values: Any, mask: Any) -> Any:
    dense = np.zeros(np.shape(mask), np.asarray(values).dtype)
    dense[np.asarray(mask) != 0] = values
    return dense


def _shifted(data: Any, scale: Any, offset: Any) -> Any:
    """Scale and offset hold for blocks of equal size along each axis."""

    def spread(values: Any) -> Any:
        for axis, (whole, part) in enumerate(zip(data.shape, np.shape(values), strict=True)):
            values = np.repeat(values, whole // part, axis=axis)
        return np.asarray(values, np.float32)

    return (np.asarray(data, np.float32) - (0 if offset is None else spread(offset))) * spread(scale)


def _looked_up(indices: Any, table: Any, vector_axis: Any) -> Any:
    """Each index replaced by the number, or the vector along an axis, of the table for its block."""
    rank = np.ndim(indices)
    indices = np.asarray(indices).astype(np.int64)
    at = np.meshgrid(
        *[np.arange(n) // (n // t) for n, t in zip(indices.shape, table.shape, strict=False)], indexing="ij"
    )
    found = table[tuple([*at, indices])]
    if found.shape[-1] == 1:
        return found[..., 0]
    axis = int(vector_axis) % rank
    found = np.moveaxis(found, -1, axis + 1)
    return found.reshape([*found.shape[:axis], -1, *found.shape[axis + 2 :]])


@kernel("constexpr_affine_dequantize")
def _constexpr_affine_dequantize(i: Inputs) -> Any:
    """iOS16 constexpr.constexpr_affine_dequantize"""
    axis, data = int(i.axis), i.quantized_data
    scale, zero = (
        np.reshape(v, [-1 if a == axis % data.ndim else 1 for a in range(data.ndim)]) if np.ndim(v) else v
        for v in (i.scale, i.zero_point)
    )
    return (data.astype(np.float32) - np.asarray(zero, np.float32)) * scale


@kernel("constexpr_cast")
def _constexpr_cast(i: Inputs) -> Any:
    """constexpr.constexpr_cast"""
    return np.asarray(i.source_val, np.float32)


@kernel("constexpr_lut_to_dense")
def _constexpr_lut_to_dense(i: Inputs) -> Any:
    """constexpr.constexpr_lut_to_dense of iOS16 (packed bits) and iOS18 (tables by block)"""
    if i.shape is None:
        return _looked_up(i.indices, i.lut, i.vector_axis)
    count, size = int(np.prod(i.shape)), len(i.lut)
    bits = _bits(i.indices, count * (size.bit_length() - 1)).reshape(count, -1)
    return np.asarray(i.lut)[bits @ (1 << np.arange(bits.shape[1]))].reshape([int(n) for n in i.shape])


@kernel("constexpr_sparse_to_dense")
def _constexpr_sparse_to_dense(i: Inputs) -> Any:
    """constexpr.constexpr_sparse_to_dense of iOS16 (packed bits) and iOS18"""
    mask = i.mask if i.shape is None else _bits(i.mask, int(np.prod(i.shape))).reshape([int(n) for n in i.shape])
    return _dense(i.nonzero_data, mask)


@kernel("constexpr_blockwise_shift_scale")
def _constexpr_blockwise_shift_scale(i: Inputs) -> Any:
    """iOS18 constexpr.constexpr_blockwise_shift_scale"""
    return _shifted(i.data, i.scale, i.offset)


@kernel("constexpr_lut_to_sparse")
def _constexpr_lut_to_sparse(i: Inputs) -> Any:
    """iOS18 constexpr.constexpr_lut_to_sparse"""
    values = _looked_up(_dense(i.indices_nonzero_data, i.indices_mask), i.lut, i.vector_axis)
    mask = np.asarray(i.indices_mask)
    if i.vector_axis is not None:
        mask = np.repeat(mask, i.lut.shape[-1], axis=int(i.vector_axis))
    return mask, values[mask != 0].ravel()


@kernel("constexpr_sparse_blockwise_shift_scale")
def _constexpr_sparse_blockwise_shift_scale(i: Inputs) -> Any:
    """iOS18 constexpr.constexpr_sparse_blockwise_shift_scale"""
    values = _shifted(_dense(i.nonzero_data, i.data_mask), i.scale, i.offset)
    return i.data_mask, values[np.asarray(i.data_mask) != 0].ravel()
