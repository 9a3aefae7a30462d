"""image_resizing of the MIL reference: a grid of points along each axis, between which numbers are interpolated."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__ = ["grid"]


def grid(mode: str, size: int, count: int) -> Any:
    """Return where along an axis of `size` the `count` points lie, as the reference says for the sampling mode.

    >>> grid("ALIGN_CORNERS", 2, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    steps = np.arange(count, dtype=np.float64)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return np.zeros(1) if mode.startswith("STRICT") else np.full(1, (size - 1) / 2)
        points = steps * ((size - 1) / (count - 1))
    elif mode == "DEFAULT":
        points = steps * ((size - size / count) / (count - 1)) if count > 1 else np.zeros(1)
    elif mode == "OFFSET_CORNERS":
        delta = max(1, size - 1) / count
        points = 0.5 * delta + steps * delta
    elif mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / count) - 0.5
    else:
        raise NotImplementedError(mode)
    return np.clip(points, 0, size - 1)


def _along(x: Any, points: Any, axis: int) -> Any:
    """The array interpolated at the points of one axis."""
    low = np.floor(points).astype(np.int64)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (points - low).astype(np.float32).reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])
    return np.take(x, low, axis=axis) * (1 - part) + np.take(x, high, axis=axis) * part


def _linear(x: Any, mode: str, *sizes: int) -> Any:
    for axis, size in zip((-2, -1), sizes, strict=True):
        x = _along(x, grid(mode, x.shape[axis], size), axis)
    return x


def _nearest(x: Any, *scales: float) -> Any:
    for axis, scale in zip((-2, -1), scales, strict=True):
        places = np.floor(np.arange(int(np.floor(x.shape[axis] * scale))) / scale).astype(np.int64)
        x = np.take(x, np.minimum(places, x.shape[axis] - 1), axis=axis)
    return x


def _scales(i: Inputs) -> tuple[float, float]:
    return float(i.scale_factor_height), float(i.scale_factor_width)


@kernel("upsample_nearest_neighbor")
def _upsample_nearest_neighbor(i: Inputs) -> Any:
    """image_resizing.upsample_nearest_neighbor"""
    return _nearest(i.x, *_scales(i))


@kernel("resize_nearest_neighbor")
def _resize_nearest_neighbor(i: Inputs) -> Any:
    """image_resizing.resize_nearest_neighbor"""
    sizes = int(i.target_size_height), int(i.target_size_width)
    x = i.x
    for axis, size in zip((-2, -1), sizes, strict=True):
        x = np.take(x, np.arange(size) * x.shape[axis] // size, axis=axis)
    return x


@kernel("upsample_bilinear")
def _upsample_bilinear(i: Inputs) -> Any:
    """image_resizing.upsample_bilinear"""
    align = bool(i.align_corners)
    centres = not align if i.half_pixel_centers is None else bool(i.half_pixel_centers)
    x = i.x
    for axis, scale in zip((-2, -1), _scales(i), strict=True):
        size = x.shape[axis]
        count = int(np.floor(size * scale))
        mode = "ALIGN_CORNERS" if align else "UNALIGN_CORNERS" if centres else "DEFAULT"
        x = _along(x, grid(mode, size, count), axis)
    return x


@kernel("resize_bilinear")
def _resize_bilinear(i: Inputs) -> Any:
    """image_resizing.resize_bilinear"""
    return _linear(i.x, i.word("sampling_mode", "DEFAULT"), int(i.target_size_height), int(i.target_size_width))


@kernel("resize")
def _resize(i: Inputs) -> Any:
    """iOS17 image_resizing.resize"""
    x, count = i.x, int(i.resized_dims)
    for axis, size in zip(range(-count, 0), np.atleast_1d(i.shape)[-count:], strict=True):
        size = int(size) or x.shape[axis]
        points = grid(i.word("sampling_mode", "DEFAULT"), x.shape[axis], size)
        if i.word("interpolation_mode", "LINEAR") == "LINEAR":
            x = _along(x, points, axis)
        elif i.word("sampling_mode", "DEFAULT") == "DEFAULT":
            x = np.take(x, np.arange(size) * x.shape[axis] // size, axis=axis)
        else:
            x = np.take(x, np.floor(points + 0.5).astype(np.int64), axis=axis)
    return x


@kernel("crop")
def _crop(i: Inputs) -> Any:
    """image_resizing.crop"""
    (top, bottom), (left, right) = i.crop_height, i.crop_width
    height, width = i.x.shape[-2:]
    return i.x[..., int(top) : height - int(bottom), int(left) : width - int(right)]


@kernel("crop_resize")
def _crop_resize(i: Inputs) -> Any:
    """image_resizing.crop_resize, whose boxes are one input until iOS16 and two from iOS17 on"""
    old = i.boxes is None
    rows = i.roi.reshape(i.roi.shape[0], -1) if old else i.boxes
    if not old:
        chosen = np.arange(len(rows)) if i.box_indices is None else i.box_indices
        return np.stack([_patch(i, i.x[int(n)], row) for n, row in zip(chosen, rows, strict=True)])
    if rows.shape[1] == 5:
        return np.stack([_patch(i, i.x[int(row[0])], row[1:])[None] for row in rows])
    return np.stack([np.stack([_patch(i, image, row) for image in i.x]) for row in rows])


def _patch(i: Inputs, image: Any, box: Any) -> Any:
    """One patch of an image that is channels first; what lies outside of it has the value that is asked for."""
    mode = i.word("box_coordinate_mode", "CORNERS_HEIGHT_FIRST")
    box = np.asarray(box, np.float64) * (1.0 if i.spatial_scale is None else float(i.spatial_scale))
    a, b, c, d = box if mode.endswith("HEIGHT_FIRST") else box[[1, 0, 3, 2]]
    if mode.startswith("CENTER"):
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    filler = 0.0 if i.pad_value is None else float(i.pad_value)
    normal = i.normalized_coordinates is not None and bool(i.normalized_coordinates)
    ends = ((-2, a, c, int(i.target_height)), (-1, b, d, int(i.target_width)))
    for axis, start, stop, count in ends:
        size = image.shape[axis]
        scale = size - 1 if normal else 1
        points = _points(i.word("sampling_mode", "DEFAULT"), start * scale, stop * scale, count)
        inside = (points >= 0) & (points <= size - 1)
        patch = _along(image, np.clip(points, 0, size - 1), axis)
        image = np.where(inside if axis == -1 else inside[:, None], patch, filler)
    return image


def _points(mode: str, start: float, stop: float, count: int) -> Any:
    """The points between the sides of a box, in the sampling modes that the reference has for whole images."""
    steps, length = np.arange(count, dtype=np.float64), stop - start
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return np.full(1, start if mode.startswith("STRICT") else (start + stop) / 2)
        return start + steps * (length / (count - 1))
    if mode == "OFFSET_CORNERS":
        delta = max(1.0, length) / count
        return start + 0.5 * delta + steps * delta
    if mode == "UNALIGN_CORNERS":
        return start + (steps + 0.5) * ((length + 1) / count) - 0.5
    whole = length + 1
    return start + (steps * ((whole - whole / count) / (count - 1)) if count > 1 else 0 * steps)
