"""image_resizing of the MIL reference, at points that a tensor gives: resample and affine."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


@kernel("resample")
def _resample(i: Inputs) -> Any:
    """image_resizing.resample"""
    points = np.asarray(i.coordinates, np.float64)
    return np.stack([_sampled(i, image, points[n]) for n, image in enumerate(i.x)])


@kernel("affine")
def _affine(i: Inputs) -> Any:
    """image_resizing.affine"""
    height, width = int(i.output_height), int(i.output_width)
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    images = []
    for n, image in enumerate(i.x):
        a0, a1, a2, b0, b1, b2 = np.asarray(i.transform_matrix, np.float64)[n if len(i.transform_matrix) > 1 else 0]
        images.append(_sampled(i, image, np.stack([a0 * u + a1 * v + a2, b0 * u + b1 * v + b2], axis=-1)))
    return np.stack(images)


def _sampled(i: Inputs, image: Any, points: Any) -> Any:
    """The image (channels first) at points (x, y)."""
    height, width = image.shape[-2:]
    mode, align = i.word("coordinates_mode", "unnormalized"), bool(i.align_corners)
    axes = [_placed(points[..., n], size, mode, align) for n, size in ((0, width), (1, height))]
    x, y = axes
    if i.word("sampling_mode", "bilinear") == "nearest":
        return _taken(i, image, np.round(y).astype(np.int64), np.round(x).astype(np.int64))
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    upper = _taken(i, image, top, left) * (1 - across) + _taken(i, image, top, left + 1) * across
    lower = _taken(i, image, top + 1, left) * (1 - across) + _taken(i, image, top + 1, left + 1) * across
    return upper * (1 - down) + lower * down


def _placed(points: Any, size: int, mode: str, align: bool) -> Any:
    """Where the points lie, counted in pixels."""
    if mode == "unnormalized":
        return points
    part = (points + 1) / 2 if mode == "normalized_minus_one_to_one" else points
    return part * (size - 1) if align else part * size - 0.5


def _taken(i: Inputs, image: Any, rows: Any, columns: Any) -> Any:
    """Single pixels; outside of the image what the padding mode says."""
    height, width = image.shape[-2:]
    mode = i.word("padding_mode", "constant")
    if mode == "reflection":
        rows, columns = _reflected(rows, height), _reflected(columns, width)
    elif mode == "symmetric":
        rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    found = image[..., np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    if mode != "constant":
        return found
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.where(inside, found, 0 if i.padding_value is None else i.padding_value)


def _reflected(places: Any, size: int) -> Any:
    period = max(2 * (size - 1), 1)
    places = np.mod(places, period)
    return np.where(places < size, places, period - places)


def _mirrored(places: Any, size: int) -> Any:
    places = np.mod(places, 2 * size)
    return np.where(places < size, places, 2 * size - 1 - places)
