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
#: Where types and functions have their ends.
_ENDS = np.array([
    0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 127.0, 128.0, -128.0, -129.0, 254.0, 255.0, 256.0, 257.0, 700.0, 32767.0, 32768.0, -32768.0,
    -32769.0, 65535.0, 65536.0, 1e-3, -1e-3, 3.0, 2.5, -2.5,
])  # fmt: skip
Draw = Callable[[Any, int], Any]
#: By their words, how floats are drawn and how whole numbers, which may number rows, channels or segments.
_SETS: Mapping[str, tuple[Draw, Draw]] = {
    "random values": (lambda rng, n: rng.standard_normal(n), lambda rng, n: np.arange(n)),
    "values from 0 to 1": (lambda rng, n: rng.random(n), lambda rng, n: rng.integers(0, 2, n)),
    "zeros": (lambda rng, n: np.zeros(n), lambda rng, n: np.zeros(n)),
    "large values": (lambda rng, n: 300.0 * rng.standard_normal(n), lambda rng, n: rng.integers(0, 300, n)),
    "negative values": (lambda rng, n: -np.abs(rng.standard_normal(n)), lambda rng, n: -rng.integers(1, 9, n)),
    "the ends of types": (
        lambda rng, n: np.resize(_ENDS, n),
        lambda rng, n: np.resize(_ENDS[np.mod(_ENDS, 1) == 0], n),
    ),
}
#: Up to which part of a tensor's scale values count as the same; of dtypes that hold fewer digits, their own.
_SAME = {tf.bfloat16: 2.0**-6, tf.float16: 2.0**-9}
_CLOSE = 1e-5
#: Sizes for those that are not known: the first, and any other.
_OPEN = ((2, 8), (2, 2))
#: So many numbers in all are drawn at most; of more, two sets are.
_MANY = 2**22
_MILLISECONDS = 20_000


def compared(graph: Any, op: Any, results: Sequence[Any], stated: float = 0.0) -> Compared:
    """Return on which values the results, made of the op's inputs in the same tf.Graph, are those of the op.

    stated: how far, in parts of scale, the recipe says that they may lie apart.
    """
    for sizes in _OPEN:
        found = _on(graph, op, results, sizes, max(stated, *(_SAME.get(t.dtype, _CLOSE) for t in op.outputs)))
        if found.same or found.apart:
            break
    return found


def _on(graph: Any, op: Any, results: Sequence[Any], sizes: tuple[int, int], tolerance: float) -> Compared:
    given = _fed(op)
    same: list[str] = []
    apart: list[str] = []
    largest, seen = 0.0, _Seen()
    with v1.Session(graph=graph) as session:
        for number, (words, feed) in enumerate(_drawn(given, sizes)):
            if number > 1 and sum(v.size for v in feed.values()) > _MANY:
                break
            try:
                options = v1.RunOptions(timeout_in_ms=_MILLISECONDS)
                wanted, made = session.run([list(op.outputs)[: len(results)], list(results)], feed, options=options)
            except Exception:  # what an op refuses, it is not given in a model either
                continue
            gaps = [difference(_plain(w), _plain(m)) for w, m in zip(wanted, made, strict=True)]
            gap = max(g.max_rel for g in gaps)
            seen.add(feed, wanted, made, tolerance)
            if gap <= tolerance:
                same.append(words)
                largest = max(largest, *(g.max_abs for g in gaps))
            else:
                apart.append(words)
    return Compared(tuple(same), tuple(apart), largest, seen.where() if apart else None)


def _fed(op: Any) -> list[Any]:
    """The tensors that the op is given values of: constants are what they are."""
    unique = {t.ref(): t for t in op.inputs}
    return [t for t in unique.values() if tf.get_static_value(t) is None]


def _drawn(given: Sequence[Any], sizes: tuple[int, int]) -> Iterator[tuple[str, dict[Any, Any]]]:
    first, other = sizes
    for words, (of_floats, of_whole) in _SETS.items():
        rng, counted, feed = np.random.default_rng(0), 0, {}
        for tensor in given:
            known = tensor.shape.as_list() if tensor.shape.rank is not None else [None]
            shape = [size if size is not None else other if axis else first for axis, size in enumerate(known)]
            count = int(np.prod(shape))
            dtype = tensor.dtype
            if dtype == tf.bool:
                drawn = rng.integers(0, 2, count).astype(bool)
            elif dtype.is_complex:
                drawn = of_floats(rng, count) + 1j * of_floats(rng, count)
            elif dtype.is_integer:
                drawn = of_whole(rng, count) + (counted if words == "random values" else 0)
                counted += count
            else:
                drawn = of_floats(rng, count)
            with np.errstate(all="ignore"):
                feed[tensor] = np.asarray(drawn).reshape(shape).astype(dtype.as_numpy_dtype)
        yield words, feed


def _plain(value: Any) -> Any:
    """The array as numbers that are compared: truth values as 0 and 1."""
    array = np.asarray(value)
    return array.astype(np.int32) if array.dtype == bool else array


class _Seen:
    """Of an op on each element of one tensor: for which values the results are the same, and for which they are not."""

    def __init__(self) -> None:
        self._same: list[Any] = []
        self._apart: list[Any] = []

    def add(self, feed: Mapping[Any, Any], wanted: Sequence[Any], made: Sequence[Any], tolerance: float) -> None:
        """Take in the values of one run."""
        given = list(feed.values())
        if len(given) != 1 or len(wanted) != 1 or given[0].shape != wanted[0].shape or given[0].dtype.kind not in "if":
            return
        w, m = (np.asarray(v).astype(np.float64).reshape(-1) for v in (wanted[0], made[0]))
        if w.size == m.size:
            close = np.isclose(m, w, rtol=10 * tolerance, atol=tolerance, equal_nan=True)
            self._same.append(given[0].reshape(-1)[close])
            self._apart.append(given[0].reshape(-1)[~close])

    def where(self) -> str | None:
        """Return "above X", "below X" or both, where the values for which results differ lie there only."""
        if (
            not self._apart
            or not (bad := np.concatenate(self._apart)).size
            or not (good := np.concatenate(self._same)).size
        ):
            return None
        low, high = good.min(), good.max()
        above, below = bad[bad > high], bad[bad < low]
        if above.size + below.size != bad.size:
            return None
        return " and ".join([f"below {low:g}"] * bool(below.size) + [f"above {high:g}"] * bool(above.size))
