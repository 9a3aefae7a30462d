"""tensor_transformation of the MIL reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__ = ["indexed"]


def indexed(i: Inputs) -> tuple[Any, ...]:
    """Return the index that begin, end, stride and their masks stand for."""
    rank = len(i.begin)
    flags = [[False] * rank if m is None else [bool(b) for b in m] for m in (i.begin_mask, i.end_mask, i.squeeze_mask)]
    strides = [1] * rank if i.stride is None else [int(s) for s in i.stride]
    index: list[Any] = []
    for axis, (begin, end) in enumerate(zip(i.begin, i.end, strict=True)):
        if flags[2][axis]:
            index.append(int(begin))
        else:
            start, stop = None if flags[0][axis] else int(begin), None if flags[1][axis] else int(end)
            index.append(slice(start, stop, strides[axis]))
    return tuple(index)


def _s2b(x: Any, block: Any, paddings: Any) -> Any:
    """Batch first, then the channels, then what is cut into blocks."""
    block = [int(b) for b in block]
    x = np.pad(x, [(0, 0), (0, 0), *[(int(a), int(b)) for a, b in paddings]])
    n, c, *sizes = x.shape
    split = [part for size, b in zip(sizes, block, strict=True) for part in (size // b, b)]
    rank = len(block)
    inner = [3 + 2 * axis for axis in range(rank)]
    x = x.reshape(n, c, *split).transpose(*inner, 0, 1, *[2 + 2 * axis for axis in range(rank)])
    return x.reshape(n * int(np.prod(block)), c, *[size // b for size, b in zip(sizes, block, strict=True)])


def _b2s(x: Any, block: Any, crops: Any) -> Any:
    block = [int(b) for b in block]
    n, c, *sizes = x.shape
    rank = len(block)
    x = x.reshape(*block, n // int(np.prod(block)), c, *sizes)
    order = [rank, rank + 1, *[at for axis in range(rank) for at in (rank + 2 + axis, axis)]]
    sizes = [size * b for size, b in zip(sizes, block, strict=True)]
    x = x.transpose(order).reshape(n // int(np.prod(block)), c, *sizes)
    index = [slice(int(a), s - int(b)) for (a, b), s in zip(crops, sizes, strict=True)]
    return x[tuple([slice(None), slice(None), *index])]


@kernel("depth_to_space")
def _depth_to_space(i: Inputs) -> Any:
    """tensor_transformation.depth_to_space"""
    n, c, h, w = i.x.shape
    b = int(i.block_size)
    return i.x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


@kernel("space_to_depth")
def _space_to_depth(i: Inputs) -> Any:
    """tensor_transformation.space_to_depth"""
    n, c, h, w = i.x.shape
    b = int(i.block_size)
    return i.x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


@kernel("pixel_shuffle")
def _pixel_shuffle(i: Inputs) -> Any:
    """tensor_transformation.pixel_shuffle"""
    n, c, h, w = i.x.shape
    b = int(i.upscale_factor)
    return i.x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // b**2, h * b, w * b)


@kernel("pixel_unshuffle")
def _pixel_unshuffle(i: Inputs) -> Any:
    """iOS16 tensor_transformation.pixel_unshuffle"""
    n, c, h, w = i.x.shape
    b = int(i.downscale_factor)
    return i.x.reshape(n, c, h // b, b, w // b, b).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * b**2, h // b, w // b)


@kernel("expand_dims")
def _expand_dims(i: Inputs) -> Any:
    """tensor_transformation.expand_dims"""
    axes = [int(a) for a in np.atleast_1d(i.axes)]
    return np.expand_dims(i.x, tuple(axes))


@kernel("squeeze")
def _squeeze(i: Inputs) -> Any:
    """tensor_transformation.squeeze"""
    return np.squeeze(i.x, axis=None if i.axes is None else tuple(int(a) for a in np.atleast_1d(i.axes)))


@kernel("reshape")
def _reshape(i: Inputs) -> Any:
    """tensor_transformation.reshape: 0 keeps a size, -1 is what is left"""
    shape = [int(n) for n in np.atleast_1d(i.shape)] if np.size(i.shape) else []
    if np.size(i.x):
        shape = [i.x.shape[axis] if n == 0 else n for axis, n in enumerate(shape)]
    return np.reshape(i.x, shape)


@kernel("reshape_like")
def _reshape_like(i: Inputs) -> Any:
    """iOS16 tensor_transformation.reshape_like"""
    shape: list[int] = []
    for tensor, begin, end, open_ in zip(i.values["ref_tensors"], i.begins, i.ends, i.end_masks, strict=True):
        shape += np.shape(tensor)[int(begin) : None if open_ else int(end)]
    return np.reshape(i.x, shape)


@kernel("transpose")
def _transpose(i: Inputs) -> Any:
    """tensor_transformation.transpose"""
    return np.transpose(i.x, [int(a) for a in i.perm])


@kernel("reverse")
def _reverse(i: Inputs) -> Any:
    """tensor_transformation.reverse"""
    return np.flip(i.x, axis=None if i.axes is None else tuple(int(a) for a in np.atleast_1d(i.axes)))


@kernel("reverse_sequence")
def _reverse_sequence(i: Inputs) -> Any:
    """tensor_transformation.reverse_sequence"""
    lengths = np.atleast_1d(i.lengths).astype(np.int32)
    return tf.reverse_sequence(i.x, lengths, seq_axis=int(i.seq_axis), batch_axis=int(i.batch_axis)).numpy()


@kernel("slice_by_index")
def _slice_by_index(i: Inputs) -> Any:
    """tensor_transformation.slice_by_index"""
    return i.x[indexed(i)]


@kernel("slice_update")
def _slice_update(i: Inputs) -> Any:
    """iOS18 tensor_transformation.slice_update"""
    value = np.array(i.x)
    value[indexed(i)] = i.update
    return value


@kernel("slice_by_size")
def _slice_by_size(i: Inputs) -> Any:
    """tensor_transformation.slice_by_size: -1 is what is left"""
    begins = [int(b) % max(n, 1) if b < 0 else int(b) for b, n in zip(i.begin, i.x.shape, strict=True)]
    return i.x[tuple(slice(b, None if s == -1 else b + int(s)) for b, s in zip(begins, i.size, strict=True))]


@kernel("space_to_batch")
def _space_to_batch(i: Inputs) -> Any:
    """tensor_transformation.space_to_batch"""
    return _s2b(i.x, i.block_shape, np.asarray(i.paddings).reshape(-1, 2))


@kernel("batch_to_space")
def _batch_to_space(i: Inputs) -> Any:
    """tensor_transformation.batch_to_space"""
    return _b2s(i.x, i.block_shape, np.asarray(i.crops).reshape(-1, 2))


@kernel("sliding_windows")
def _sliding_windows(i: Inputs) -> Any:
    """tensor_transformation.sliding_windows"""
    axis, size = int(i.axis) % np.ndim(i.x), int(i.size)
    step = 1 if i.stride is None else int(i.stride)
    windows = np.lib.stride_tricks.sliding_window_view(i.x, size, axis=axis)
    windows = windows[(slice(None),) * axis + (slice(None, None, step),)]
    return np.moveaxis(windows, -1, axis + 1)
