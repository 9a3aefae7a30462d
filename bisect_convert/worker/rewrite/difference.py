"""How far two sets of results lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["TOLERANCE", "Agreement", "difference", "scales_of"]

#: How far, in parts of a tensor's scale, results may lie from those before for an edit to count as equal.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Agreement:
    """How far results lie apart on `samples` sets of inputs: the largest difference, and in parts of the tensor's scale."""

    max_abs: float = 0.0
    max_rel: float = 0.0
    samples: int = 0
    apart: tuple[str, ...] = ()
    """On which values that the model did not have, in the words of `_VARIED`, results lie further apart."""
    tolerance: float = TOLERANCE
    """Up to which part of a tensor's scale they count as equal."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"max_abs": self.max_abs, "max_rel": self.max_rel, "samples": self.samples}

    def __or__(self, other: Agreement) -> Agreement:
        return Agreement(
            max(self.max_abs, other.max_abs), max(self.max_rel, other.max_rel), self.samples + other.samples,
            tuple(dict.fromkeys(self.apart + other.apart)), max(self.tolerance, other.tolerance),
        )  # fmt: skip


def difference(one: Any, other: Any, scale: float = 0.0) -> Agreement:
    """Return how far two arrays lie apart: shapes only have to hold as many elements.

    scale: of the tensor, where it is larger than that of this array: the largest of its values in other samples.
    """
    one, other = (a.astype(np.float32) if a.dtype.kind == "V" else a for a in map(np.asarray, (one, other)))
    if one.size != other.size:
        return Agreement(float("inf"), float("inf"), 1)
    if one.dtype.kind not in "biufc":
        same = bool(np.array_equal(one.reshape(-1), other.reshape(-1)))
        return Agreement(0.0 if same else float("inf"), 0.0 if same else float("inf"), 1)
    wide = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
    a, b = one.reshape(-1).astype(wide), other.reshape(-1).astype(wide)
    both = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~both], b[~both], equal_nan=True):
        return Agreement(float("inf"), float("inf"), 1)
    gap = float(np.abs(a[both] - b[both]).max(initial=0.0))
    scale = float(np.abs(a[both]).max(initial=scale))
    return Agreement(gap, gap / scale if scale else gap, 1)


def scales_of(samples: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the largest finite value of each tensor of numbers in any sample."""
    found: dict[str, float] = {}
    for sample in samples:
        for name, value in sample.items():
            array = np.asarray(value)
            if array.dtype.kind in "iuf":
                ends = [float(end(array, initial=0, where=np.isfinite(array))) for end in (np.max, np.min)]
                found[name] = max(found.get(name, 0.0), *map(abs, ends))
    return found
