"""conv of the MIL reference, by TensorFlow's own convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__ = ["pads_of", "spatial"]


def spatial(values: Any, rank: int, default: int = 1) -> list[int]:
    """Return one integer for each spatial axis."""
    return [default] * rank if values is None else [int(v) for v in np.atleast_1d(values)]


def pads_of(i: Inputs, sizes: list[int], kernel_sizes: list[int], strides: list[int]) -> list[tuple[int, int]]:
    """Return what is to be padded before and after each spatial axis; `kernel_sizes` are those of the dilated kernel."""
    kind = i.word("pad_type", "valid")
    if kind == "custom":
        given = spatial(i.values.get("pad"), 2 * len(sizes), 0)
        return list(zip(given[::2], given[1::2], strict=True))
    if kind == "valid":
        return [(0, 0)] * len(sizes)
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel_sizes, strides, strict=True)]
    if kind == "same_lower":
        return [(t - t // 2, t // 2) for t in totals]
    return [(t // 2, t - t // 2) for t in totals]


@kernel("conv")
def _conv(i: Inputs) -> Any:
    """conv.conv"""
    x, weight, rank = i.x, i.weight, np.ndim(i.x) - 2
    strides, dilations = spatial(i.strides, rank), spatial(i.dilations, rank)
    groups = 1 if i.groups is None else int(i.groups)
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *pads_of(i, list(x.shape[2:]), reach, strides)])
    y = _convolved(x, weight, strides, dilations, groups)
    return y if i.bias is None else y + np.reshape(i.bias, (-1, *[1] * rank))


def _convolved(x: Any, weight: Any, strides: list[int], dilations: list[int], groups: int) -> Any:
    """x is channels first and padded, weight is [out, in / groups, *sizes]."""
    rank = x.ndim - 2
    if rank == 1:
        return _convolved(x[:, :, None], weight[:, :, None], [strides[0]] * 2, [1, *dilations], groups)[:, :, 0]
    last, first = [0, *range(2, rank + 2), 1], [0, rank + 1, *range(1, rank + 1)]
    x, weight = np.ascontiguousarray(x.transpose(last)), weight.transpose([*range(2, rank + 2), 1, 0])
    if rank == 3:
        weight, dilations = _dilated(weight, dilations), [1, 1, 1]
    plain = max(strides) == 1 or max(dilations) == 1
    if rank == 2 and groups == x.shape[-1] and groups > 1 and plain and strides[0] == strides[1]:
        by_channel = weight.reshape(*weight.shape[:2], groups, -1)
        y = tf.nn.depthwise_conv2d(x, by_channel, [1, *strides, 1], "VALID", dilations=dilations)
        return y.numpy().transpose(first)
    if groups == 1:
        return _one(x, weight, strides, dilations).transpose(first)
    of_x, of_weight = np.split(x, groups, axis=-1), np.split(weight, groups, axis=-1)
    parts = [_one(a, b, strides, dilations) for a, b in zip(of_x, of_weight, strict=True)]
    return np.concatenate(parts, axis=-1).transpose(first)


def _one(x: Any, weight: Any, strides: list[int], dilations: list[int]) -> Any:
    if max(strides) > 1 and max(dilations) > 1:
        weight, dilations = _dilated(weight, dilations), [1] * len(dilations)
    weight = np.ascontiguousarray(weight)
    if len(strides) == 2:
        return tf.nn.conv2d(x, weight, strides, "VALID", dilations=dilations).numpy()
    return tf.nn.convolution(x, weight, strides=strides, padding="VALID", dilations=dilations).numpy()


def _dilated(weight: Any, dilations: list[int]) -> Any:
    """The kernel with zeros between its numbers: TensorFlow has no dilation in some cases."""
    sizes = [(k - 1) * d + 1 for k, d in zip(weight.shape, dilations, strict=False)]
    wide = np.zeros((*sizes, *weight.shape[len(dilations) :]), weight.dtype)
    wide[tuple(slice(None, None, d) for d in dilations)] = weight
    return wide


@kernel("conv_transpose")
def _conv_transpose(i: Inputs) -> Any:
    """conv.conv_transpose: the gradient of a convolution, cut or continued to the shape that is asked for."""
    x, weight, rank = i.x, i.weight, np.ndim(i.x) - 2
    strides, dilations = spatial(i.strides, rank), spatial(i.dilations, rank)
    groups = 1 if i.groups is None else int(i.groups)
    full = _spread(x, weight, strides, dilations, groups)
    sizes = _asked_sizes(i, list(x.shape[2:]), list(full.shape[2:]), strides)
    index: list[Any] = [slice(None), slice(None)]
    pads = [(0, 0), (0, 0)]
    for axis, (size, before) in enumerate(sizes):
        index.append(slice(before, before + size))
        pads.append((0, max(before + size - full.shape[2 + axis], 0)))
    y = np.pad(full, pads)[tuple(index)]
    return y if i.bias is None else y + np.reshape(i.bias, (-1, *[1] * rank))


def _asked_sizes(i: Inputs, small: list[int], full: list[int], strides: list[int]) -> list[tuple[int, int]]:
    """For each axis the size that is asked for, and how much of the full result is cut off before it."""
    kind = i.word("pad_type", "valid")
    wanted = None if i.output_shape is None else [int(n) for n in i.output_shape][-len(full) :]
    if kind == "custom":
        given = spatial(i.values.get("pad"), 2 * len(full), 0)
        cut = [f - given[2 * n] - given[2 * n + 1] for n, f in enumerate(full)]
        return list(zip(wanted or cut, given[::2], strict=True))
    if kind == "valid":
        return [(n, 0) for n in wanted or full]
    sizes = wanted or [n * s for n, s in zip(small, strides, strict=True)]
    return [(n, max(f - n, 0) // 2) for n, f in zip(sizes, full, strict=True)]


def _spread(x: Any, weight: Any, strides: list[int], dilations: list[int], groups: int) -> Any:
    """The whole of the transposed convolution: x with zeros between, convolved with the kernel turned round."""
    rank = x.ndim - 2
    wide = np.zeros((*x.shape[:2], *[(n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True)]), x.dtype)
    wide[tuple([slice(None), slice(None), *[slice(None, None, s) for s in strides]])] = x
    reach = [(k - 1) * d for k, d in zip(weight.shape[2:], dilations, strict=True)]
    wide = np.pad(wide, [(0, 0), (0, 0), *[(r, r) for r in reach]])
    turned = np.flip(weight, axis=tuple(range(2, rank + 2)))
    parts = np.split(turned, groups, axis=0)
    weight = np.concatenate([np.swapaxes(part, 0, 1) for part in parts], axis=0)
    return _convolved(wide, weight, [1] * rank, dilations, groups)
