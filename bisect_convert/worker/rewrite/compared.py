"""What a recipe makes beside what its op makes: run in TensorFlow on values that reach the edges. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.report.values import Compared
from bisect_convert.worker.rewrite.difference import difference

__all__ = ["compared"]

v1 = tf.compat.v1
Shape = Sequence[int]
Draw = Callable[[Any, Shape], Any]
#: Where types and functions have their ends.
_ENDS = np.array([
    0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 127.0, 128.0, -128.0, -129.0, 254.0, 255.0, 256.0, 257.0, 700.0, 32767.0, 32768.0, -32768.0,
    -32769.0, 65535.0, 65536.0, 1e-3, -1e-3, 3.0, 2.5, -2.5,
])  # fmt: skip
_WHOLE_ENDS = _ENDS[np.mod(_ENDS, 1) == 0]


def _definite(rng: Any, shape: Shape) -> Any:
    """Positive definite where the shape is that of square matrices."""
    drawn = rng.standard_normal(shape)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return drawn
    return drawn @ np.swapaxes(drawn, -1, -2) + shape[-1] * np.eye(shape[-1])


def _places(rng: Any, shape: Shape) -> Any:
    """Whole numbers in order; of pairs and the like, places that come one after another."""
    if len(shape) < 2:
        return _counted(rng, shape)
    numbers = np.zeros(shape)
    numbers[..., -1] = _counted(rng, shape[:-1])
    return numbers


def _counted(rng: Any, shape: Shape) -> Any:
    return np.arange(int(np.prod(shape))).reshape(shape)


#: By their words, how floats are drawn and how whole numbers, which may number rows, channels or segments.
_SETS: Mapping[str, tuple[Draw, Draw]] = {
    "random": (lambda rng, shape: rng.standard_normal(shape), _counted),
    "0 to 1": (lambda rng, shape: rng.random(shape), lambda rng, shape: rng.integers(0, 2, shape)),
    "zeros": (lambda rng, shape: np.zeros(shape), lambda rng, shape: np.zeros(shape)),
    "large": (lambda rng, shape: 300.0 * rng.standard_normal(shape), lambda rng, shape: rng.integers(0, 300, shape)),
    "negative": (lambda rng, shape: -np.abs(rng.standard_normal(shape)), lambda rng, shape: -rng.integers(1, 9, shape)),
    "ends of types": (lambda rng, shape: np.resize(_ENDS, shape), lambda rng, shape: np.resize(_WHOLE_ENDS, shape)),
    "sorted": (lambda rng, shape: np.sort(np.atleast_1d(rng.standard_normal(shape))).reshape(shape), _places),
}
_ODD = np.array([np.nan, np.inf, -np.inf, 1.0])
_TESTS = frozenset({"IsNan", "IsInf", "IsFinite"})
_MATRICES = frozenset({"Cholesky", "MatrixInverse", "MatrixSolve", "MatrixTriangularSolve"})
#: Up to which part of a tensor's scale floats count as the same; of dtypes that hold fewer digits, their own.
_COARSE = {tf.bfloat16: 2.0**-6, tf.float16: 2.0**-9}
_CLOSE = 1e-5
#: Sizes for those that are not known: the first, and any other.
_OPEN = ((2, 8), (2, 2))
#: So many numbers are drawn at most; of more, for two sets.
_MANY = 2**22
_MILLISECONDS = 20_000


def compared(graph: Any, op: Any, results: Sequence[Any], stated: float = 0.0) -> Compared:
    """Return on which values the results, made of the op's inputs in the same tf.Graph, are those of the op.

    stated: how far, in parts of scale, the recipe says that they may lie apart.
    """
    unique = {t.ref(): t for t in op.inputs}
    own = [t for t in unique.values() if tf.get_static_value(t) is None]
    inputs = [o.outputs[0] for o in graph.get_operations() if o.type == "Placeholder"]
    seen = Compared()
    for given in (own, inputs):  # what fits together is known only where it comes from
        if any(t.dtype in (tf.variant, tf.resource) for t in given):  # no value can be made up for it
            continue
        for sizes in _OPEN:
            comparison = _Comparison(graph, op, results, stated)
            found = comparison.on(given, sizes)
            if found.equal or comparison.endless:
                return found
            seen = found if found.same or found.apart else seen
    return seen


class _Comparison:
    """An op and what is made in its place, run on one set of values after another."""

    def __init__(self, graph: Any, op: Any, results: Sequence[Any], stated: float) -> None:
        self._graph = graph
        self._wanted = list(op.outputs)[: len(results)]
        self._made = list(results)
        exact = all(t.dtype.is_integer or t.dtype == tf.bool for t in self._wanted)
        coarse = max(_COARSE.get(t.dtype, _CLOSE) for t in self._wanted)
        self._tolerance = max(stated, 0.0 if exact else coarse)
        self._kind = op.type
        self.endless = False
        """It does not come to an end: a loop that was taken out of its model may count no more."""
        self._close: list[Any] = []
        self._far: list[Any] = []

    def on(self, given: Sequence[Any], sizes: tuple[int, int]) -> Compared:
        """Return what came of it on all sets of values for these tensors; what TensorFlow refuses does not count."""
        same: list[str] = []
        apart: list[str] = []
        largest = 0.0
        with v1.Session(graph=self._graph) as session:
            for number, (words, feed) in enumerate(_drawn(given, sizes, self._kind)):
                if number > 1 and sum(v.size for v in feed.values()) > _MANY:
                    break
                try:
                    options = v1.RunOptions(timeout_in_ms=_MILLISECONDS)
                    wanted, made = session.run([self._wanted, self._made], feed, options=options)
                except tf.errors.DeadlineExceededError:
                    self.endless = True
                    break
                except Exception:  # what the op refuses, it is not given in a model either
                    continue
                gap = max(difference(_plain(w), _plain(m)).max_rel for w, m in zip(wanted, made, strict=True))
                self._where(feed, wanted, made)
                (same if gap <= self._tolerance else apart).append(words)
                largest = max(largest, gap) if gap <= self._tolerance else largest
        return Compared(tuple(same), tuple(apart), largest, self._border() if apart else None)

    def _where(self, feed: Mapping[Any, Any], wanted: Sequence[Any], made: Sequence[Any]) -> None:
        """Of an op on each element of one tensor, keep for which values the results are the same, and for which not."""
        given = list(feed.values())
        if len(given) != 1 or len(wanted) != 1 or given[0].shape != wanted[0].shape or given[0].dtype.kind not in "if":
            return
        w, m = (np.asarray(v).astype(np.float64).reshape(-1) for v in (wanted[0], made[0]))
        if w.size == m.size:
            close = np.isclose(m, w, rtol=10 * self._tolerance, atol=self._tolerance, equal_nan=True)
            self._close.append(given[0].reshape(-1)[close])
            self._far.append(given[0].reshape(-1)[~close])

    def _border(self) -> str | None:
        """Return "below X", "above X" or both, where the values for which results differ lie there only."""
        if not self._far:
            return None
        bad, good = np.concatenate(self._far), np.concatenate(self._close)
        if not bad.size or not good.size:
            return None
        low, high = good.min(), good.max()
        below, above = bad[bad < low], bad[bad > high]
        if above.size + below.size != bad.size:
            return None
        return " and ".join([f"below {low:.2g}"] * bool(below.size) + [f"above {high:.6g}"] * bool(above.size))


def _drawn(given: Sequence[Any], sizes: tuple[int, int], kind: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Sets of values for the tensors, by what they are; whole numbers of several go on where those before ended."""
    first, other = sizes
    sets = dict(_SETS)
    if kind in _MATRICES:
        sets["positive definite"] = (_definite, _counted)
    if kind in _TESTS:
        sets["NaN and infinity"] = (lambda rng, shape: np.resize(_ODD, shape), _counted)
    for words, (of_floats, of_whole) in sets.items():
        rng, counted, feed = np.random.default_rng(0), 0, {}
        for tensor in given:
            known = tensor.shape.as_list() if tensor.shape.rank is not None else [None]
            shape = [size if size is not None else other if axis else first for axis, size in enumerate(known)]
            if tensor.dtype == tf.bool:
                drawn = rng.integers(0, 2, shape).astype(bool)
            elif tensor.dtype.is_complex:
                drawn = of_floats(rng, shape) + 1j * of_floats(rng, shape)
            elif tensor.dtype.is_integer:
                drawn = of_whole(rng, shape) + (counted if words == "random" else 0)
                counted += int(np.prod(shape))
            else:
                drawn = of_floats(rng, shape)
            with np.errstate(all="ignore"):
                feed[tensor] = np.asarray(drawn).astype(tensor.dtype.as_numpy_dtype)
        yield words, feed


def _plain(value: Any) -> Any:
    """The array as numbers that are compared: truth values as 0 and 1."""
    array = np.asarray(value)
    return array.astype(np.int32) if array.dtype == bool else array
