"""Lists and loops around a culprit: what only feeds it goes with it, and what is edited is run to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report

weights = tf.constant(np.random.default_rng(0).normal(0, 0.1, (3, 5)), tf.float32)


def found(body: Callable[..., Any], workers: Workers, *shape: int) -> Report:
    function = tf.function(body, input_signature=[tf.TensorSpec(shape, name="x")])
    return find(function, workers=workers, numbers="off")


def culprits(report: Report) -> list[list[str]]:
    return [sorted({c.op for c in f.culprits}) for f in report.findings]


def gathered_scalars(x: Any) -> Any:
    array = tf.TensorArray(tf.float32, 6, element_shape=())
    for n in range(6):
        array = array.write(n, tf.reduce_sum(x[0, n]))
    return array.gather([0, 2, 4])[None] @ weights


def joined_rows(x: Any) -> Any:
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False)
    array = tf.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, a.write(i, x[0, : i + 1])), [0, array])[1]
    return tf.reduce_sum(array.concat(), 0)


@pytest.mark.parametrize(
    ("body", "op", "places"), [(gathered_scalars, "TensorListSetItem", 6), (joined_rows, "TensorListConcatV2", 1)]
)
def test_what_fills_a_list_goes_with_its_reader(
    body: Callable[..., Any], op: str, places: int, workers: Workers
) -> None:
    report = found(body, workers, 1, 10, 4)
    assert culprits(report) == [[op]] and report.complete and len(report.findings[0].places) == places, str(report)


def mapped(x: Any) -> Any:
    return tf.map_fn(lambda row: tf.math.lgamma(tf.nn.softplus(row)), x[0])[None]


def chosen(x: Any) -> Any:
    def turn(i: Any, a: Any) -> Any:
        return i + 1, tf.cond(tf.reduce_sum(a) > 0, lambda: a * 0.5, lambda: a + 1.0)

    return tf.while_loop(lambda i, a: i < 3, turn, [0, x])[1]


@pytest.mark.parametrize(("body", "ops"), [(mapped, [["Less"], ["Lgamma"]]), (chosen, [["StatelessIf"]])])
def test_an_edit_in_a_loop_is_seen_beside_another_failure_and_comes_to_its_end(
    body: Callable[..., Any], ops: list[list[str]], workers: Workers
) -> None:
    report = found(body, workers, 1, 6, 4)
    assert culprits(report) == ops and report.complete
    assert all(f.remedies[0].verified for f in report.findings), str(report)
    assert not any("timeout" in probe.detail for probe in report.journal)


def test_no_pass_is_left_out_for_a_rank_that_core_ml_does_not_have(workers: Workers) -> None:
    report = found(lambda x: tf.reduce_sum(tf.nn.relu(x), [2, 3, 4, 5]), workers, 1, 2, 3, 4, 5, 6)
    assert culprits(report) == [["Placeholder"]] and not any(r.verified for r in report.findings[0].remedies)
