"""The searches as pure code, against brute force: no model and no process, only a function from items to verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert.model.outcome import Verdict
from bisect_convert.search.bisection import Flip, Minimum, first_failing, halved, minimise

PASS, FAIL, UNRESOLVED = Verdict.PASS, Verdict.FAIL, Verdict.UNRESOLVED
T = TypeVar("T")

answers = st.lists(st.sampled_from(Verdict), max_size=40)


class Asked:
    """A question that remembers what it was asked."""

    def __init__(self, answer: Callable[[T], Verdict]) -> None:
        self.items: list[T] = []
        self._answer = answer

    def __call__(self, item: T) -> Verdict:
        self.items.append(item)
        return self._answer(item)


def flip_of(middle: Sequence[Verdict]) -> tuple[Flip, Asked]:
    chain = [PASS, *middle, FAIL]
    ask = Asked(chain.__getitem__)
    return first_failing(len(chain), ask), ask


# --- halved ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 200), st.sets(st.integers(0, 199), min_size=1, max_size=3), st.integers(1, 40))
def test_halves_lead_to_the_smallest_run_that_halving_can_reach(length: int, needed: set[int], least: int) -> None:
    needed = {n % length for n in needed}
    ask = Asked(lambda run: FAIL if needed <= set(run) else PASS)
    run = list(halved(range(length), ask, least=least))
    assert needed <= set(run) and run == list(range(run[0], run[-1] + 1))
    middle = len(run) // 2
    assert len(run) <= least or not (needed <= set(run[middle:]) or needed <= set(run[:middle]))
    assert sum(len(some) for some in ask.items) <= 2 * length


@given(st.lists(st.sampled_from(Verdict), min_size=40, max_size=40))
def test_halving_ends_with_what_was_seen_to_fail_whatever_is_answered(given_answers: list[Verdict]) -> None:
    left = iter(given_answers)
    told: dict[tuple[int, ...], Verdict] = {}

    def ask(run: Sequence[int]) -> Verdict:
        told[tuple(run)] = next(left)
        return told[tuple(run)]

    run = halved(range(64), ask)
    assert len(run) == 64 or told[tuple(run)] is FAIL


# --- first_failing ---------------------------------------------------------------------------------------------------


@given(answers)
def test_a_flip_is_sound_for_any_answers(middle: list[Verdict]) -> None:
    chain = [PASS, *middle, FAIL]
    flip, _ = flip_of(middle)
    assert chain[flip.good] is PASS and chain[flip.bad] is FAIL
    assert all(chain[i] is UNRESOLVED for i in range(flip.good + 1, flip.bad))


@given(answers)
def test_no_item_is_asked_twice_and_the_ends_never(middle: list[Verdict]) -> None:
    _, ask = flip_of(middle)
    assert len(set(ask.items)) == len(ask.items)
    assert not {0, len(middle) + 1} & set(ask.items)


@given(st.integers(0, 300), st.integers(0, 300))
def test_monotone_answers_have_one_flip_found_in_log2_questions(passing: int, failing: int) -> None:
    flip, ask = flip_of([PASS] * passing + [FAIL] * failing)
    assert flip == Flip(passing, passing + 1)
    assert len(ask.items) <= math.ceil(math.log2(passing + failing + 1))


@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_a_slip_is_not_followed(passing: int, failing: int, data: st.DataObject) -> None:
    middle = [PASS] * passing + [FAIL] * failing
    slips = data.draw(st.sets(st.integers(0, max(0, len(middle) - 1)), max_size=6))
    middle = [UNRESOLVED if i in slips else v for i, v in enumerate(middle)]
    chain = [PASS, *middle, FAIL]
    flip, _ = flip_of(middle)
    assert flip.good == max(i for i, v in enumerate(chain) if v is PASS)
    assert flip.bad == min(i for i, v in enumerate(chain) if v is FAIL)


@given(st.lists(st.just(UNRESOLVED), max_size=12))
def test_where_nothing_can_be_told_all_is_asked_and_the_ends_are_the_flip(middle: list[Verdict]) -> None:
    flip, ask = flip_of(middle)
    assert flip == Flip(0, len(middle) + 1)
    assert len(ask.items) == len(middle)


def test_where_little_can_be_told_what_is_far_is_asked_and_no_more_than_the_limit() -> None:
    asked: list[int] = []

    def ask(i: int) -> Verdict:
        asked.append(i)
        return PASS if i < 60 else FAIL if i > 940 else UNRESOLVED

    flip = first_failing(1000, ask, limit=40)
    assert 0 < flip.good < 60 and 940 < flip.bad < 999  # both ends of what cannot be told were come upon
    assert sum(60 <= i <= 940 for i in asked) == 40 and len(asked) < 60
    assert first_failing(9, lambda i: UNRESOLVED, limit=3) == Flip(0, 8)


def test_a_thousand_ops_with_one_bad_take_ten_questions() -> None:
    ask = Asked(lambda i: FAIL if i >= 617 else PASS)
    assert first_failing(1001, ask) == Flip(616, 617)
    assert len(ask.items) == 10


# --- minimise --------------------------------------------------------------------------------------------------------

SIZE = 6
items = tuple("abcdef")
subsets = [s for n in range(SIZE + 1) for s in combinations(items, n)]
tables = st.lists(st.sampled_from(Verdict), min_size=len(subsets), max_size=len(subsets))


def fails(rule: Callable[[set[str]], bool]) -> Asked:
    return Asked(lambda some: FAIL if rule(set(some)) else PASS)


@given(tables)
def test_a_minimum_is_1_minimal_for_any_answers(table: list[Verdict]) -> None:
    answer = {**dict(zip(subsets, table, strict=True)), items: FAIL}
    found = minimise(items, answer.__getitem__)
    assert answer[found.items] is FAIL and found.minimal
    if len(found.items) > 1:
        smaller = [tuple(x for x in found.items if x != left_out) for left_out in found.items]
        assert all(answer[s] is not FAIL for s in smaller)
        assert found.needed == tuple(x for x, s in zip(found.items, smaller, strict=True) if answer[s] is PASS)


@given(tables)
def test_no_subset_is_asked_twice_and_none_is_empty_or_whole(table: list[Verdict]) -> None:
    answer = {**dict(zip(subsets, table, strict=True)), items: FAIL}
    ask = Asked(answer.__getitem__)
    minimise(items, ask)
    assert len(set(ask.items)) == len(ask.items)
    assert all(0 < len(s) < SIZE for s in ask.items)


@given(st.sets(st.integers(0, 59), min_size=1, max_size=4), st.integers(0, 40))
def test_one_cause_among_many_items_is_found_whole(cause: set[int], more: int) -> None:
    size = max(cause) + 1 + more
    ask = fails(lambda some: cause <= some)
    found = minimise(range(size), ask)
    assert set(found.items) == set(found.needed) == cause
    assert len(ask.items) <= 4 * len(cause) * (math.ceil(math.log2(size + 1)) + len(cause))


@given(st.sets(st.frozensets(st.sampled_from(items), min_size=1, max_size=3), min_size=1, max_size=3))
def test_of_several_causes_one_is_found(causes: set[frozenset[str]]) -> None:
    found = minimise(items, fails(lambda some: any(c <= some for c in causes)))
    assert frozenset(found.items) in causes


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda s: "a" in s, "a"),
        (lambda s: {"a", "f"} <= s, "af"),
        (lambda s: "b" in s and bool({"c", "d"} & s), "bc"),
        (lambda s: len(s) >= 4, "cdef"),
    ],
    ids=["a", "a & f", "b & (c | d)", "any four"],
)
def test_the_answer_is_the_same_each_time(rule: Callable[[set[str]], bool], expected: str) -> None:
    assert minimise(items, fails(rule)) == Minimum(tuple(expected), True, tuple(expected))


@given(st.integers(1, 8))
def test_a_search_cut_short_says_that_it_is_not_minimal(limit: int) -> None:
    ask = fails(lambda some: len(some) >= 5)
    found = minimise(tuple(range(40)), ask, limit)
    assert len(ask.items) <= limit
    assert not found.minimal and not found.needed
    assert ask(found.items) is FAIL


def test_a_single_item_is_minimal_without_a_question() -> None:
    ask = fails(lambda some: True)
    assert minimise(("x",), ask) == Minimum(("x",), True, ("x",))
    assert not ask.items


def test_items_without_which_nothing_can_be_told_stay_but_are_not_needed() -> None:
    def answer(some: tuple[str, ...]) -> Verdict:
        return UNRESOLVED if "size" not in some else FAIL if "bad" in some else PASS

    assert minimise(("size", "good", "bad"), answer) == Minimum(("size", "bad"), True, ("bad",))
