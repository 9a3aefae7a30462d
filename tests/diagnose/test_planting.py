"""Planted culprits are found alone and by name, wherever they are. `scripts/sweep --planting` plants at every place."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tensorflow as tf
from models import MODELS, load
from planting import KINDS, Place, blamed, places, plant, report_on

from bisect_convert.probe.client import Workers

SEED = 7
UNLIKE = ("roll", "cast", "rank6")
IN_BODIES = [(name, kind) for name in ("cond", "loops", "nested_loops") for kind in ("erfc", "cast", "int8")]
ALONE = [
    (name, UNLIKE[n % 3])
    for n, name in enumerate(["residual_cnn", "mobile", "unet", "attention", "embedding_mask", "spectrum", "many_ends"])
]
ALONE += [("dynamic", "roll"), ("dynamic_image", "cast")]


@cache
def ground(name: str) -> tuple[Any, list[Place]]:
    """The model's frozen graph, and where something can be planted in it."""
    with TemporaryDirectory() as folder:
        model = load(MODELS[name], Path(folder)).model
        graph_def = tf.compat.v1.GraphDef()
        graph_def.ParseFromString((Path(folder) / "graph.pb").read_bytes())
    return graph_def, places(model)


def planted(name: str, chosen: list[tuple[Place, str]]) -> tuple[Any, set[tuple[str, str]]]:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(ground(name)[0])
    guilty = set()
    for number, (place, kind) in enumerate(chosen):
        guilty |= plant(graph_def, place, kind, f"planted{number}")
    return graph_def, guilty


def some(name: str, kind: str, count: int, *, bodies: bool = False) -> list[Place]:
    fit = [p for p in ground(name)[1] if p.takes(kind) and bool(p.graph) == bodies]
    return random.Random(f"{SEED} {name} {kind}").sample(fit, count)


def found_alone(name: str, chosen: list[tuple[Place, str]], workers: Workers) -> None:
    graph_def, guilty = planted(name, chosen)
    report = report_on(graph_def, workers)
    where = [f"{kind} after {place.tensor.name} in {place.graph or 'the main graph'}" for place, kind in chosen]
    assert blamed(report) == guilty, where
    assert report.verdict == "fails" and report.complete, [*where, *report.notes]


@pytest.mark.parametrize(("name", "kind"), ALONE)
def test_a_planted_culprit_is_found_alone(name: str, kind: str, workers: Workers) -> None:
    for place in some(name, kind, 2):
        found_alone(name, [(place, kind)], workers)


@pytest.mark.parametrize(("name", "kind"), IN_BODIES)
def test_a_culprit_planted_in_a_body_is_found_there(name: str, kind: str, workers: Workers) -> None:
    (place,) = some(name, kind, 1, bodies=True)
    found_alone(name, [(place, kind)], workers)


@pytest.mark.parametrize("name", ["residual_cnn", "attention", "volumes"])
def test_two_unlike_culprits_are_both_found(name: str, workers: Workers) -> None:
    first, second = some(name, "rank6", 2)
    found_alone(name, [(first, "cast"), (second, "erfc")], workers)


def test_two_culprits_of_one_kind_are_instances_of_one_finding(workers: Workers) -> None:
    first, second = some("gru_unrolled", "roll", 2)
    graph_def, guilty = planted("gru_unrolled", [(first, "roll"), (second, "roll")])
    (finding,) = report_on(graph_def, workers).findings
    assert {(c.name, "") for c in finding.culprits} == guilty
    assert not finding.interaction


def test_a_culprit_in_a_body_and_one_outside_are_both_found(workers: Workers) -> None:
    (inside,), (outside,) = some("loops", "erfc", 1, bodies=True), some("loops", "cast", 1)
    found_alone("loops", [(inside, "erfc"), (outside, "cast")], workers)


@pytest.mark.parametrize("first", ["refine/state/add:0", "refine/mul:0"])
def test_two_culprits_in_a_row_in_one_body_are_both_found(first: str, workers: Workers) -> None:
    spots = {p.tensor.name: p for p in ground("loops")[1] if p.graph}
    found_alone("loops", [(spots[first], "erfc"), (spots["refine/add:0"], "cast")], workers)


def test_something_that_converts_is_not_blamed(workers: Workers) -> None:
    (place,) = some("attention", "benign", 1)
    graph_def, _ = planted("attention", [(place, "benign")])
    report = report_on(graph_def, workers)
    assert report.verdict == "converts" and not report.findings


def test_every_kind_of_culprit_is_planted_somewhere() -> None:
    used = {kind for _, kind in ALONE + IN_BODIES} | {"benign"}
    assert used == set(KINDS)
