"""One tensor as it comes out of the program, given the original's own inputs: how far it is off, and of what kind that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bisect_convert.evaluator.rounding import LIMIT, half
from bisect_convert.worker.numbers.agreement import distance

__all__ = [
    "Local",
    "beyond",
    "largest",
    "no_worse",
    "passed_on",
    "rounded_but_small",
    "told",
    "uneven",
    "vanishes",
    "worse",
]

#: What a number may lose of itself, four times what those in float16's normal range do; how far one is off that is wrong.
_SMALL, _WRONG = 2e-3, 0.05
#: And how much of what is read is to be lost for what is made of it to be lost with it.
_MUCH = 0.25
_INT = -(2**31), 2**31 - 1


@dataclass
class Local:
    """How one of the original's tensors comes out of the program, given the original's own inputs.

    error: in parts of its `scale`; unrounded: the same before the result itself was rounded; part: of its worst element;
    reached: the largest number before rounding, which may be inside; lost: numbers inside became zero; inherited: an input
    is none that the program can hold, so that the error is passed on; uneven: whole numbers that float16 does not have; got
    and want: where they are furthest apart; small: the same
    of the element that is furthest off in parts of itself; wrong: where elements are off by much of themselves, if there
    are such; run: in a body, the run that this is of, which is the worst.
    """

    tensor: str
    error: float
    unrounded: float
    part: float
    scale: float
    reached: float
    lost: bool
    inherited: bool
    uneven: bool
    got: float
    want: float
    small: tuple[float, float] = (0.0, 0.0)
    wrong: Any = None
    run: int = 0


def told(tensor: str, value: Any, got: Any, want: Any, inside: tuple[float, bool, bool]) -> Local:
    """Return how the tensor comes out; value: before it was rounded; inside: its `reached`, `lost` and `inherited`."""
    apart = distance(got, want)
    a, b = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.where(a == b, 0.0, np.abs(a - b)), nan=np.inf)
    at = int(np.argmax(off)) if off.size else None
    reached, lost, spoiled = inside
    part, worst = _part(a, b)
    wrong = (off > _WRONG * np.abs(b)).reshape(np.shape(want)) if part > _WRONG and a.shape == b.shape else None
    return Local(
        tensor, apart.max_rel, distance(value, want).max_rel, part, apart.scale, reached, lost, spoiled,
        uneven(want) and apart.max_abs > 0,
        0.0 if at is None else float(a[at]), 0.0 if at is None else float(b[at]), worst, wrong,
    )  # fmt: skip


def no_worse(one: Local | None, got: Any, want: Any, inherited: bool) -> bool:
    """Return whether a run says nothing that the worst one until now does not: most turns of a long loop."""
    if one is None or one.inherited != inherited or np.shape(got) != np.shape(want) or not np.size(want):
        return False
    sizes = np.abs(want)
    apart = np.abs(np.subtract(got, want, dtype=np.float64))
    return bool(apart.max() <= one.error * sizes.max()) and bool((apart <= one.part * sizes).all())


def worse(one: Local | None, other: Local) -> Local:
    """Return the one that says more of two runs: what is its own fault before what it inherits, then the larger error."""
    if one is None or one.inherited != other.inherited:
        return other if one is None or one.inherited else one
    return max(one, other, key=lambda local: (local.error, local.part))


def beyond(want: Any, rounds: bool) -> bool:
    """Return whether the original's value is none that the program can hold."""
    array = np.asarray(want)
    if array.dtype.kind in "iu":
        return bool(array.size) and bool(((array > _INT[1]) | (array < _INT[0])).any())
    if not rounds or array.dtype.kind != "f":
        return False
    finite = array[np.isfinite(array)]
    return bool((np.abs(finite) > LIMIT).any()) or uneven(finite)


def uneven(want: Any) -> bool:
    """Return whether these are whole numbers of which float16 does not have all: above 2048 it has the even ones only."""
    array = np.asarray(want)
    if array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
        return False
    return bool((array == np.floor(array)).all()) and not bool((half(array.astype(np.float32)) == array).all())


def passed_on(wrong: Any, read: Any) -> bool:
    """Return whether all that is wrong may come of numbers read that are too small for float16: those at the same places."""
    if wrong is None or read is None or np.asarray(read).dtype.kind != "f":
        return False
    lost = _lost(np.asarray(read, np.float32), _MUCH)
    if lost.shape != wrong.shape:
        return bool(lost.any())
    return bool(lost[wrong].all())


def _lost(true: Any, part: float = _SMALL) -> Any:
    return (np.abs(half(true) - true) > part * np.abs(true)) & (np.abs(true) < 1)


def rounded_but_small(true: Any) -> Any:
    """Return it rounded but for numbers so small that float16 loses them: of that their maker is at fault."""
    return np.where(_lost(true), true, half(true)) if np.asarray(true).dtype.kind == "f" else half(true)


def largest(value: Any) -> float:
    """Return the largest finite number, by size, of those that are no integers."""
    array = np.asarray(value)
    if array.dtype.kind != "f" or not array.size:
        return 0.0
    numbers = np.abs(array[np.isfinite(array)])
    return float(numbers.max()) if numbers.size else 0.0


def vanishes(true: Any) -> bool:
    """Return whether all that is there becomes zero in float16."""
    return np.asarray(true).dtype.kind == "f" and bool(np.any(true != 0)) and not bool(np.any(half(true)))


def _part(a: Any, b: Any) -> tuple[float, tuple[float, float]]:
    """The largest error of an element in parts of itself, and that element: what it is, and what it is to be."""
    there = (b != 0) & np.isfinite(b) if a.shape == b.shape else np.zeros(0, bool)
    if not there.any():
        return (np.inf if a.shape != b.shape else 0.0), (0.0, 0.0)
    a, b = a[there], b[there]
    with np.errstate(all="ignore"):
        parts = np.nan_to_num(np.abs(a - b) / np.abs(b), nan=np.inf)
    at = int(np.argmax(parts))
    return float(parts[at]), (float(a[at]), float(b[at]))
