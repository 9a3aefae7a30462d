"""Inputs to compare on: random ones that the model can have been made for, zeros, or those of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker.numbers.original import Original

__all__ = ["samples"]

#: How many random inputs there are, and the sizes that open dimensions are tried with.
COUNT = 5
_SIZES = (32, 64, 224, 8, 128)
_THROUGH = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "AddV2", "Transpose", "ClipByValue"})
_ARITHMETIC = frozenset({"Mul", "Sub", "FloorDiv", "BitwiseXor", "Abs", "Neg", "Square", "ConcatV2", "Pack"})
_ASKS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
#: Numbers that are hashed may be any; a time has a name that says so.
_IDS, _TIME = 1 << 40, re.compile(r"time(?!step|_step|s?$)|timestamp|epoch|unix|millis|(^|_)date(_|$)|_ts$|_ms$|_at$")
_PIXELS = (255.0, 127.5, 1 / 255, 1 / 127.5, 103.939, 123.68)


def samples(original: Original, kind: str, shapes: Mapping[str, Any], results: Sequence[str]) -> list[dict[str, Any]]:
    """Return feeds by the names of the placeholders; raises ValueError where TensorFlow cannot run on any.

    kind: "random", "zeros", or the path of an .npz file whose arrays are named NUMBER/INPUT. shapes: sizes that the caller
    gave, by input, None where open.
    """
    if kind not in ("random", "zeros"):
        return _read(kind)
    reason = ""
    for size in _SIZES:
        rng = np.random.default_rng(0)
        feeds = [
            {op.name: _drawn(op, shapes.get(op.name), size, rng, kind) for op in original.inputs}
            for _ in range(COUNT if kind == "random" else 1)
        ]
        try:
            original.run(results, feeds[0])
            return feeds
        except (tf.errors.OpError, ValueError) as error:
            reason = (str(error).splitlines() or [""])[0][:160]
        if all(None not in (op.outputs[0].shape.as_list() if op.outputs[0].shape.rank is not None else [None])
               for op in original.inputs):  # fmt: skip
            break
    raise ValueError(reason)


def _read(path: str) -> list[dict[str, Any]]:
    feeds: dict[int, dict[str, Any]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            feeds.setdefault(int(number), {})[name] = arrays[key]
    return [feeds[n] for n in sorted(feeds)]


def _drawn(op: Any, given: Any, size: int, rng: Any, kind: str) -> Any:
    tensor = op.outputs[0]
    shape = _shape(tensor, given, size)
    dtype = np.dtype(tensor.dtype.as_numpy_dtype)
    if kind == "zeros" or dtype.kind not in "biufc":
        return np.zeros(shape, dtype)
    if "mask" in op.name.lower():
        return _mask(shape, dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        least, most = _range(op.name, tensor, dtype)
        return rng.integers(least, most, shape).astype(dtype)
    if len(shape) == 4 and shape[-1] in (1, 3, 4):
        return (rng.uniform(0, 1, shape) * (255 if _takes_pixels(tensor) else 1)).astype(dtype)
    return rng.normal(0, 1, shape).astype(dtype)


def _shape(tensor: Any, given: Any, size: int) -> list[int]:
    own = tensor.shape.as_list() if tensor.shape.rank is not None else list(given or [None])
    chosen = given if given is not None and len(given) == len(own) else own
    return [
        int(c) if c is not None else int(o) if o is not None else 1 if axis == 0 else size
        for axis, (c, o) in enumerate(zip(chosen, own, strict=True))
    ]


def _mask(shape: list[int], dtype: Any) -> Any:
    """True but for the last quarter, as of a sentence that is shorter than the longest."""
    mask = np.ones(shape, dtype)
    if shape and shape[-1] > 3:
        mask[..., -(shape[-1] // 4) :] = 0
    return mask


def _readers(tensor: Any, depth: int = 6) -> Any:
    for op in tensor.consumers():
        yield op, tensor
        if depth and op.type in _THROUGH:
            yield from _readers(op.outputs[0], depth - 1)


def _range(name: str, tensor: Any, dtype: Any) -> tuple[int, int]:
    """Between what whole numbers lie: rows of a table, bytes, times, ids that are hashed; small where they may be sizes."""
    rows = _rows(tensor)
    if rows is not None or dtype.itemsize == 1:
        return 0, rows if rows is not None else 128 if dtype.kind == "i" else 256
    uses = _uses(tensor)
    if uses is None:
        return 0, 2
    end = int(np.iinfo(dtype).max)
    if _TIME.search(name.lower()):
        now = 1_700_000_000 * (1000 if re.search("ms|milli", name.lower()) else 1)
        return (now, now + 10_000_000) if now + 10_000_000 < end else (0, 86_400 if 86_400 < end else 100)
    return (0, min(end, _IDS)) if uses else (0, 100)


def _uses(tensor: Any) -> bool | None:
    """Whether the whole numbers are hashed; None where they may be places or sizes, of which large ones are none."""
    hashed, todo, seen = False, [tensor], set()
    while todo:
        for op in todo.pop().consumers():
            if op.name in seen or not op.outputs:
                continue
            seen.add(op.name)
            if op.type in ("FloorMod", "Mod") and tf.get_static_value(op.inputs[1]) is not None:
                hashed = True  # what comes of it is small
            elif op.type in _ARITHMETIC or op.type in _THROUGH:
                todo += [t for t in op.outputs if t.dtype.is_integer]
            elif any(t.dtype.is_integer for t in op.outputs) or op.type not in _ASKS:
                return None
    return hashed


def _rows(tensor: Any) -> int | None:
    """How many rows the smallest table has that the integers are places in."""
    sizes = []
    for op, read in _readers(tensor):
        if op.type in ("GatherV2", "Gather", "ResourceGather") and len(op.inputs) > 1 and op.inputs[1] is read:
            table = op.inputs[0].shape
            if table.rank and table[0] is not None:
                sizes.append(int(table[0]))
    return min(sizes) if sizes else None


def _takes_pixels(tensor: Any) -> bool:
    """Whether the first ops that read an image scale it from 0 to 255."""
    for op, _ in _readers(tensor, 2):
        for side in op.inputs if op.type in ("Mul", "RealDiv", "Sub", "AddV2", "BiasAdd") else ():
            if side.op.type == "Const":
                value = np.abs(np.ravel(tf.make_ndarray(side.op.get_attr("value"))))[:3].astype(np.float64)
                if any(np.isclose(value, known, rtol=1e-3).any() for known in _PIXELS):
                    return True
    return False
