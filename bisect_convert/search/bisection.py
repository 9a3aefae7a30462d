"""The searches: pure functions of a sequence and a question. They know no graph, no process and no TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bisect_convert.model.outcome import Verdict

__all__ = ["Flip", "Minimum", "first_failing", "halved", "minimise"]

T = TypeVar("T")
#: How many items beside an UNRESOLVED one are asked about before others far from it.
_BESIDE = 4


@dataclass(frozen=True)
class Flip:
    """Indices of the last item known to pass and the first known to fail; those between were UNRESOLVED, or not asked for."""

    good: int
    bad: int


@dataclass(frozen=True)
class Minimum(Generic[T]):
    """A failing subset; `minimal`: every single removal was asked for and none of them FAILs.

    `needed` are the items without which the answer was PASS: without the others it was UNRESOLVED, which proves nothing.
    """

    items: tuple[T, ...]
    minimal: bool
    needed: tuple[T, ...]


def _nothing(_: Iterable[object]) -> None:
    """Begin on no question before it is asked."""


def first_failing(
    length: int,
    ask: Callable[[int], Verdict],
    ahead: Callable[[Iterable[int]], None] = _nothing,
    *,
    limit: int | None = None,
) -> Flip:
    """Return a flip between item 0, known to pass, and item `length - 1`, known to fail, in about log2(length) questions.

    The flip is sound for any answers: `ask(good)` was PASS (or good is 0), `ask(bad)` was FAIL (or bad is the last).
    Where answers are monotone it is the only one. UNRESOLVED items are skipped and remembered, never followed: a few beside
    them are asked about, then those that lie farthest from all of them, until `limit` are UNRESOLVED. `ahead` is told before
    each question what may be asked now and next, the likeliest first; what it does changes no answer.

    >>> first_failing(10, lambda i: Verdict.FAIL if i >= 7 else Verdict.PASS)
    Flip(good=6, bad=7)
    """
    good, bad = 0, length - 1
    skipped: set[int] = set()
    while left := [i for i in range(good + 1, bad) if i not in skipped]:
        between = sorted(i for i in skipped if good < i < bad)
        if limit is not None and len(skipped) >= limit:
            break
        if len(between) <= _BESIDE:
            pick = left[len(left) // 2] if not skipped else _nearest(left, (good + bad) // 2)
        else:
            pick = _farthest([good, *between, bad])
        ahead(_halvings(good, pick, bad))
        verdict = ask(pick)
        if verdict is Verdict.FAIL:
            bad = pick
        elif verdict is Verdict.PASS:
            good = pick
        else:
            skipped.add(pick)
    return Flip(good, bad)


def halved(
    items: Sequence[T],
    ask: Callable[[Sequence[T]], Verdict],
    ahead: Callable[[Iterable[Sequence[T]]], None] = _nothing,
    *,
    least: int = 1,
) -> Sequence[T]:
    """Return a run of `items`, known to fail, neither half of which FAILs, or one of at most `least` items.

    Each question is half as large as the one two before it, so that all together cost two questions of all items at most.

    >>> halved("abcdefgh", lambda run: Verdict.FAIL if "f" in run else Verdict.PASS)
    'f'
    """
    run = items
    while len(run) > max(least, 1):
        middle = len(run) // 2
        halves = [run[middle:], run[:middle]]
        ahead(halves)
        failing = next((half for half in halves if ask(half) is Verdict.FAIL), None)
        if failing is None:
            break
        run = failing
    return run


def _halvings(good: int, pick: int, bad: int) -> Iterator[int]:
    """The pick, then the middles of what is left on either side of it, and so on."""
    yield pick
    spans = [(good, pick), (pick, bad)]
    while spans:
        low, high = spans.pop(0)
        if high - low > 1:
            middle = (low + 1 + high) // 2
            yield middle
            spans += [(low, middle), (middle, high)]


def _farthest(known: Sequence[int]) -> int:
    """The middle of the widest gap."""
    low, high = max(itertools.pairwise(known), key=lambda pair: pair[1] - pair[0])
    return (low + high) // 2


def _nearest(left: list[int], middle: int) -> int:
    return min(left, key=lambda i: (abs(i - middle), i))


def minimise(
    items: Sequence[T],
    ask: Callable[[tuple[T, ...]], Verdict],
    limit: int | None = None,
    ahead: Callable[[Iterable[tuple[T, ...]]], None] = _nothing,
) -> Minimum[T]:
    """Return a 1-minimal failing subset of `items`, known to fail: leave any one out and it no longer FAILs.

    Delta debugging with complements only (Zeller and Hildebrandt 2002). No subset is asked for twice. After `limit`
    questions the best so far is returned, with `minimal` False. `ahead` as in `first_failing`.

    >>> minimise("abcdef", lambda s: Verdict.FAIL if {"b", "e"} <= set(s) else Verdict.PASS).items
    ('b', 'e')
    """
    current = tuple(items)
    known: dict[tuple[T, ...], Verdict] = {}
    chunks = 2
    while len(current) > 1:
        chunks = min(chunks, len(current))
        hit = None
        rests = [current[:start] + current[stop:] for start, stop in _split(len(current), chunks)]
        for index, rest in enumerate(rests):
            if rest not in known:
                if limit is not None and len(known) >= limit:
                    return Minimum(current, False, ())
                ahead(r for r in rests[index:] if r not in known)
                known[rest] = ask(rest)
            if known[rest] is Verdict.FAIL:
                hit = rest
                break
        if hit is not None:
            current, chunks = hit, max(chunks - 1, 2)
        elif chunks < len(current):
            chunks = min(2 * chunks, len(current))
        else:
            break
    if len(current) == 1:
        return Minimum(current, True, current)
    needed = tuple(x for i, x in enumerate(current) if known.get(current[:i] + current[i + 1 :]) is Verdict.PASS)
    return Minimum(current, True, needed)


def _split(length: int, chunks: int) -> list[tuple[int, int]]:
    bounds = [length * i // chunks for i in range(chunks + 1)]
    return [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if a < b]
