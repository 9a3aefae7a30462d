"""Values made up in the shapes of those that a model has. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bisect_convert.worker.rewrite.samples import Feeds

__all__ = ["all_drawn", "varied"]

_VARIED: Mapping[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "random values": lambda rng, shape: rng.standard_normal(shape),
    "values from 0 to 1": lambda rng, shape: rng.random(shape),
    "zeros": lambda rng, shape: np.zeros(shape),
    "large values": lambda rng, shape: 300.0 * rng.standard_normal(shape),
    "negative values": lambda rng, shape: -np.abs(rng.standard_normal(shape)),
}


def all_drawn(values: Feeds, fixed: set[str]) -> bool:
    """Return whether nothing of these values is left where they are varied, so that each set is as the first was."""
    return all(name in fixed or np.asarray(value).dtype.kind == "f" for name, value in values.items())


def varied(values: Feeds, fixed: set[str]) -> Iterator[tuple[str, Feeds]]:
    """Yield the floats among the values, but for those that are fixed, in the same shapes: random, zeros, large, negative."""
    floats = {n for n, v in values.items() if n not in fixed and np.asarray(v).dtype.kind == "f"}
    rng = np.random.default_rng(7)
    for word, make in _VARIED.items() if floats else ():
        drawn = {n: make(rng, np.shape(values[n])) for n in sorted(floats)}
        yield word, {n: np.asarray(drawn[n], np.asarray(v).dtype) if n in floats else v for n, v in values.items()}
