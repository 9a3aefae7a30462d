"""How far two sets of outputs are apart, in parts of the largest number of each: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bisect_convert.evaluator import run
from bisect_convert.worker.numbers.names import plain
from bisect_convert.worker.numbers.parts import Parts

__all__ = [
    "TOLERANCES",
    "Agreement",
    "Distance",
    "agree",
    "agreement",
    "by_results",
    "distance",
    "evaluated",
    "fed",
    "resized",
]

#: How far apart outputs may be, in parts of their scale, for who has no other wish: by the precision of the program.
TOLERANCES = {"float16": 2e-2, "float32": 1e-3}
#: Integers are taken for rounded numbers where they reach so far, and so few of them may be off by one.
_MANY, _FEW = 16, 0.1
#: What is no difference, whatever the scale.
_NONE = 1e-7


@dataclass(frozen=True)
class Distance:
    """How far one tensor is from what it is to be; infinite where one of the two is no number and the other is.

    max_rel: in parts of `scale`, which is the largest number of the original.
    """

    max_abs: float
    max_rel: float
    scale: float


@dataclass(frozen=True)
class Agreement:
    """The distance of each output by its name, over all samples."""

    outputs: Mapping[str, Distance]
    samples: int

    @property
    def worst(self) -> float:
        """The largest difference in parts of the output's scale."""
        return max((d.max_rel for d in self.outputs.values()), default=0.0)


def distance(got: Any, want: Any) -> Distance:
    """Return how far `got` is from `want`; another shape, or NaN where there is a number, is infinitely far.

    >>> distance(np.float32([1.0, 2.5]), np.float32([1.0, 2.0]))
    Distance(max_abs=0.5, max_rel=0.25, scale=2.0)
    """
    if np.size(got) != np.size(want):
        return Distance(np.inf, np.inf, 0.0)
    a, b = np.ravel(np.asarray(got)).astype(np.float64), np.ravel(np.asarray(want)).astype(np.float64)
    finite = np.isfinite(b)
    scale = float(np.abs(b[finite]).max()) if finite.any() else 0.0
    with np.errstate(all="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    most = float(np.where(np.isnan(apart), np.inf, apart).max()) if apart.size else 0.0
    return Distance(most, 0.0 if most == 0 else most / scale if scale else np.inf, scale)


def agree(got: Any, want: Any, tolerance: float, parts: Parts | None = None) -> bool:
    """Return whether the two are the same but for `tolerance` of their scale; integers and truth values must be equal.

    Of many integers that are rounded numbers, such as pixels, a few may be off by one. parts: what the tensor was joined of,
    each of which has a scale of its own.
    """
    if parts is not None and not all(agree(a, b, tolerance) for a, b in _pairs(got, want, parts)):
        return False
    apart = distance(got, want)
    if np.asarray(want).dtype.kind in "biu":
        return apart.max_abs == 0 or (apart.max_abs == 1 and apart.scale > _MANY and _unlike(got, want) < _FEW)
    return apart.max_rel <= tolerance or apart.max_abs < _NONE


def _pairs(got: Any, want: Any, parts: Parts | None) -> list[tuple[Any, Any]]:
    """The parts of both, but for those that are nothing but zeros."""
    if parts is None or np.size(got) != np.size(want):
        return []
    both = zip(parts.of(np.reshape(got, np.shape(want))), parts.of(want), strict=True)
    return [(a, b) for a, b in both if np.any(b)]


def _unlike(got: Any, want: Any) -> float:
    """Which part of the elements differ."""
    return float(np.mean(np.ravel(np.asarray(got)) != np.ravel(np.asarray(want))))


def agreement(
    wanted: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], parts: Mapping[str, Parts] | None = None
) -> Agreement:
    """Return the distances of all outputs over all samples: what TensorFlow gives, and what the converted model does.

    parts: what outputs were joined of; of such an output the part that is furthest off in parts of its scale is told.
    """
    found: dict[str, dict[int, Distance]] = {}
    for want, have in zip(wanted, got, strict=True):
        for name, value in want.items():
            pairs = _pairs(have.get(name), value, (parts or {}).get(name))
            for number, (a, b) in enumerate([(have.get(name), value), *pairs]):
                of_output = found.setdefault(name, {})
                one, before = distance(a, b), of_output.get(number, Distance(0.0, 0.0, 0.0))
                scale, most = max(one.scale, before.scale), max(one.max_abs, before.max_abs)
                of_output[number] = Distance(most, 0.0 if most == 0 else most / scale if scale else np.inf, scale)
    outputs = {name: max(each.values(), key=lambda d: d.max_rel * (d.max_abs >= _NONE)) for name, each in found.items()}
    return Agreement(outputs, len(wanted))


def resized(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs that have another size than they are to have, or are not there, each with that in words."""
    said = {
        name: f"is {list(np.shape(value))} in the model and {list(np.shape(got[name]))} as converted"
        for name, value in wanted.items()
        if name in got and np.size(got[name]) != np.size(value)
    }
    said |= {name: "is no output of what it was converted to" for name in wanted if name not in got}
    return {name: f"{name.removesuffix(':0')} {words}" for name, words in said.items()}


def fed(block: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for the inputs of a program, given those of the original's by the names of its placeholders.

    A scalar enters as one element, an image that the program takes channels first is turned.
    """
    by_name = {plain(name): value for name, value in feeds.items()}
    placed = {}
    for name, var in block.inputs.items():
        value = by_name.get(plain(name))
        if value is None:
            continue
        shape = tuple(int(n) if isinstance(n, int | np.integer) else None for n in var.shape)
        if len(shape) == 4 and np.ndim(value) == 4 and not _fits(value, shape):
            turned = np.transpose(value, (0, 3, 1, 2))
            value = turned if _fits(turned, shape) else value
        if not _fits(value, shape) and np.prod([n or 0 for n in shape]) == np.size(value):
            value = np.reshape(value, [n or 0 for n in shape])
        placed[name] = value
    return placed


def _fits(value: Any, shape: tuple[int | None, ...]) -> bool:
    return np.ndim(value) == len(shape) and all(
        s is None or s == n for s, n in zip(shape, np.shape(value), strict=True)
    )


def evaluated(
    program: Any, feeds: Mapping[str, Any], results: Sequence[str], result: Any, undefined: Any
) -> dict[str, Any]:
    """Return what the program makes of the feeds, by the names of the original's results; `result`: see `evaluator.run`."""
    values = run(program, fed(program.functions["main"], feeds), result, undefined=undefined)
    return by_results(values, results)


def by_results(values: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Return the program's outputs by the names of the original's results; of a classifier the probabilities stand for one."""
    named = {plain(name): _numbers(value) for name, value in values.items() if not isinstance(value, str | bytes)}
    keys = [plain(r.split(":")[0]) for r in results]
    if len(set(keys)) < len(keys):
        return dict(zip(results, named.values(), strict=False))
    found = {r: named.pop(k) for r, k in zip(results, keys, strict=True) if k in named}
    return found | dict(zip([r for r in results if r not in found], named.values(), strict=False))


def _numbers(value: Any) -> Any:
    """The probabilities of a classifier, which come by their labels, as an array."""
    return np.asarray(list(value.values())) if isinstance(value, Mapping) else value
