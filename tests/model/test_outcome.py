"""Outcomes as facts, verdicts as outcomes seen against a target, signatures without what is accidental."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert.model.outcome import Failure, Frame, Outcome, Signature, Stage, Verdict, judge, scrub

TARGET = Signature(Stage.LOWERING, None, "ValueError", "perm should have length #", ("Einsum",))


def failed(**changed: Any) -> Outcome:
    parts = {"stage": Stage.LOWERING, "pass_name": None, "kind": "ValueError", "message": TARGET.message}
    signature = Signature(**{**parts, "raising": ("Einsum",), **changed})
    return Outcome(Failure(signature, signature.kind, "as it was said"), reached=Stage.LOWERING)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (failed(), Verdict.FAIL),
        (failed(message="another"), Verdict.UNRESOLVED),
        (failed(kind="TypeError"), Verdict.UNRESOLVED),
        (failed(raising=("Conv2D",)), Verdict.UNRESOLVED),
        (failed(raising=("While", "Einsum")), Verdict.UNRESOLVED),
        (failed(pass_name="common::noop_elimination"), Verdict.UNRESOLVED),
        (failed(stage=Stage.GRAPH_PASS), Verdict.UNRESOLVED),
        (failed(stage=Stage.MIL_PASS), Verdict.PASS),
        (failed(stage=Stage.BACKEND, message="another"), Verdict.PASS),
        (Outcome(), Verdict.PASS),
        (Outcome(reached=Stage.LOWERING), Verdict.PASS),
        (Outcome(reached=Stage.GRAPH_PASS), Verdict.UNRESOLVED),
        (Outcome(unresolved="it cannot be cut out"), Verdict.UNRESOLVED),
    ],
)
def test_only_the_targets_own_failure_is_fail_and_only_what_got_past_it_is_pass(
    outcome: Outcome, verdict: Verdict
) -> None:
    assert judge(outcome, TARGET) is verdict


texts = st.text(max_size=20)
signatures = st.builds(
    Signature, st.sampled_from(Stage), st.none() | texts, texts, texts, st.lists(texts, max_size=3).map(tuple)
)
failures = st.builds(
    Failure, signatures, texts, texts, st.lists(st.builds(Frame, texts, texts), max_size=3).map(tuple), texts
)
outcomes = st.builds(
    Outcome,
    st.none() | failures,
    st.none() | texts,
    st.floats(0, 1e6),
    st.sampled_from(Stage),
    st.lists(failures, max_size=2).map(tuple),
)


@given(outcomes)
def test_an_outcome_survives_json(outcome: Outcome) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@given(outcomes, signatures)
def test_a_restored_outcome_is_judged_alike(outcome: Outcome, target: Signature) -> None:
    assert judge(Outcome.from_json(outcome.to_json()), target) is judge(outcome, target)


@pytest.mark.parametrize("data", [{}, {"seconds": "x", "reached": 0}, {"seconds": 0, "reached": 99}])
def test_what_is_no_outcome_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Outcome.from_json(data)


def test_what_has_neither_failed_nor_been_left_out_has_converted() -> None:
    assert Outcome().converted
    assert not failed().converted
    assert not Outcome(unresolved="why").converted


@given(signatures, st.integers(0, 3))
def test_inside_a_body_the_frames_above_it_are_gone(signature: Signature, level: int) -> None:
    inner = signature.inside(level)
    assert inner.raising == signature.raising[level:]
    assert (inner.stage, inner.kind, inner.message) == (signature.stage, signature.kind, signature.message)


# --- scrub -----------------------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z]{3,8}(/[a-z]{3,8}){0,2}(_[0-9]{1,2})?", fullmatch=True)
MESSAGES = [
    'Op "{name}" (op_type: gather) Input x="{name}_x_0" expects rank {number}',
    "node {name} of shape ({number}, is{number}) is out of bounds for axis {number}",
    "{name}: {number} inputs were given, {number} expected",
    "Cannot add const {number}",
    "mul(%{name}_1, {number}.5) at {name}",
]


@pytest.mark.parametrize("message", MESSAGES)
@given(st.data())
def test_a_message_is_the_same_under_renaming_and_other_numbers(message: str, data: st.DataObject) -> None:
    said = []
    for _ in range(2):
        name, number = data.draw(names), data.draw(st.integers(0, 10_000))
        said.append(scrub(message.format(name=name, number=number), [name]))
    assert said[0] == said[1]


@pytest.mark.parametrize("sizes", ["256, 32, is1*is2/4224", "256, is376, is377", "2*is0 + 3, is1", "is0"])
def test_sizes_that_are_reckoned_are_sizes(sizes: str) -> None:
    assert scrub(f"Cannot add const ({sizes}) to a/b") == scrub("Cannot add const (1, 2, 3) to c/d")


@given(st.sampled_from(MESSAGES), names, st.integers(-99, 99))
def test_scrubbing_twice_changes_nothing(message: str, name: str, number: int) -> None:
    once = scrub(message.format(name=name, number=number), [name])
    assert scrub(once, [name]) == once


@pytest.mark.parametrize("message", MESSAGES)
def test_different_messages_stay_different(message: str) -> None:
    said = {scrub(m.format(name="conv/Relu", number=3), ["conv/Relu"]) for m in MESSAGES}
    assert len(said) == len(MESSAGES) and all(said)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("shapes (1, 2, 3) and (4, 5)", "shapes (# ) and (# )"),
        ("TF op 'Erfc' not implemented.\n \nname: 'a'", "TF op § not implemented."),
        ("one\n\ntwo", "one"),
        ("  much \n room ", "much room"),
        ("list index out of range", "list index out of range"),
        ("in /tmp/x/y.py line 3", "in § line #"),
    ],
)
def test_what_is_left_of_a_message(message: str, left: str) -> None:
    assert scrub(message) == left


def test_names_of_one_or_two_letters_are_words() -> None:
    assert scrub("x is y", ["x", "y", "is"]) == "x is y"


def test_a_stage_is_called_as_in_reports() -> None:
    assert [s.word for s in Stage] == ["load", "graph_pass", "lowering", "mil_pass", "backend", "optimize"]
    assert sorted(Stage) == list(Stage)


def test_apostrophes_hide_nothing() -> None:
    assert scrub("can't do A because it isn't so") != scrub("can't do B because it isn't so")
    assert scrub("op 'a' fails") == scrub("op 'b' fails")
