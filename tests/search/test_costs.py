"""What a search costs, in counts that no clock disturbs: questions, conversions of nearly the whole, bytes handed over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import Report, find
from bisect_convert.probe.client import Workers
from bisect_convert.worker.request import Probe, Request


@dataclass
class Costs:
    """What one search had its workers do."""

    report: Report = field(init=False)
    probes: list[Probe] = field(default_factory=list)
    told: int = 0
    written: int = 0

    def wholes(self, ops: int) -> int:
        """How many conversions were of at least nine tenths of the model's ops, whose number this is."""
        return sum(len(probe.plan.ops) >= 0.9 * ops for probe in self.probes)


def searched(model: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Costs:
    """The search of the model, and what was sent to the workers and written for them meanwhile."""
    costs, send = Costs(), workers.send

    def counted(request: Request) -> Any:
        costs.told += len(json.dumps(request.to_json()))
        if isinstance(request, Probe):
            costs.probes.append(request)
            costs.written = sum(f.stat().st_size for f in Path(request.folder).rglob("*") if f.is_file())
        return send(request)

    with monkeypatch.context() as counting:
        counting.setattr(workers, "send", counted)
        costs.report = find(model, workers=workers)
    return costs


def blocks(count: int, failing: dict[int, Any]) -> Any:
    """Residual blocks of four ops each, with another function of TensorFlow in those that are named."""

    @tf.function(input_signature=[tf.TensorSpec((1, 16), name="x")], autograph=False)
    def model(x: tf.Tensor) -> tf.Tensor:
        for number in range(count):
            with tf.name_scope(f"block_{number}"):
                y = tf.matmul(x, np.random.default_rng(number).normal(size=(16, 16)).astype("f"))
                x = x + failing.get(number, tf.tanh)(tf.nn.relu(y))
        return x

    return model


def roll(x: tf.Tensor) -> tf.Tensor:
    return tf.roll(x, 1, 1)


def six_dimensions(x: tf.Tensor) -> tf.Tensor:
    y = tf.transpose(tf.tanh(tf.reshape(x, [1, 2, 2, 2, 2, 1])), [0, 2, 1, 3, 4, 5])
    return tf.reshape(y, [1, 16])


@pytest.mark.parametrize("places", [1, 12, 40])
def test_places_of_one_cause_cost_what_one_does(places: int, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    model = blocks(40, {(n + 1) * 40 // places - 1: tf.math.erfc for n in range(places)})
    costs = searched(model, workers, monkeypatch)
    assert [len(f.places) for f in costs.report.findings] == [places] and costs.report.complete
    assert len(costs.probes) <= 6 and costs.wholes(160 - places) <= 3  # the control, which is made twice, and the rest


@pytest.mark.parametrize("count", [20, 80])
def test_two_causes_cost_the_same_in_a_model_of_any_size(
    count: int, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = searched(blocks(count, {count // 2: tf.math.erfc, count - 1: roll}), workers, monkeypatch)
    assert len(costs.report.findings) == 2 and costs.report.complete
    assert len(costs.probes) <= 9 and costs.wholes(4 * count) <= 2 + len(costs.report.findings)


@pytest.mark.parametrize("count", [20, 80])
def test_what_no_hint_names_is_converted_whole_no_more_often(
    count: int, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = searched(blocks(count, {count // 3: six_dimensions}), workers, monkeypatch)
    assert len(costs.report.findings) == 1 and costs.report.complete
    assert costs.wholes(4 * count) <= 3
    converted = sum(len(probe.plan.ops) for probe in costs.probes)
    assert converted <= 5 * 4 * count  # two controls, the rest, and less than two models in sections


def test_what_is_handed_over_does_not_hang_on_the_weights(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tf.Module()
    module.weights = [tf.Variable(np.random.default_rng(n).normal(size=(512, 512)).astype("f")) for n in range(8)]

    @tf.function(input_signature=[tf.TensorSpec((1, 512), name="x")], autograph=False)
    def call(x: tf.Tensor) -> tf.Tensor:
        for number, weight in enumerate(module.weights):
            x = tf.nn.relu(tf.matmul(x, weight))
            x = tf.math.erfc(x) if number == 5 else x
        return x

    module.call = call
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": call})
    costs = searched(str(tmp_path / "model"), workers, monkeypatch)
    assert len(costs.report.findings) == 1 and costs.report.complete
    assert costs.told < 10_000 and costs.written < 20_000  # of 8 MiB


def test_what_is_said_grows_no_faster_than_the_model(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (searched(blocks(n, {n - 1: tf.math.erfc}), workers, monkeypatch) for n in (20, 80))
    assert large.told <= 4 * small.told and large.written <= 4 * small.written


def suppression(boxes: tf.Tensor) -> tf.Tensor:
    """A loop in a loop's body, whose result is read twice there: the converter's pass keeps one of the readers."""

    def step(i: tf.Tensor, kept: tf.Tensor) -> Any:
        inner = tf.while_loop(lambda j, k: j < 2, lambda j, k: (j + 1, k * 0.5 + boxes), [0, kept])[1]
        return i + 1, tf.reduce_max(inner, 1, keepdims=True) + tf.reduce_min(inner, 1, keepdims=True) + inner

    return tf.while_loop(lambda i, kept: i < 3, step, [0, boxes])[1]


def test_a_cause_of_several_ops_in_bodies_is_found_at_all_its_places_at_once(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 8), name="x")], autograph=False)
    def model(x: tf.Tensor) -> tf.Tensor:
        return tf.concat([suppression(tf.tanh(x[:, :size])) for size in (8, 4, 6, 2)], 1)

    costs = searched(model, workers, monkeypatch)
    (finding,) = costs.report.findings
    assert costs.report.complete and len(finding.places) == 4 and len(finding.places[0]) > 1
    assert [call.name for call in finding.context.enclosing] == ["while"]  # of the place that is described
    ops = max(len(probe.plan.ops) for probe in costs.probes)
    assert costs.wholes(ops) <= 3, str(costs.report)
