"""One cause at several places is one finding: pairs of calls that share a function, conditionals in branches."""

from __future__ import annotations

import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report


def test_calls_that_share_functions_are_one_finding_whatever_they_share(workers: Workers) -> None:
    @tf.function
    def grown(x: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.tanh(x), lambda: tf.exp(-x))

    @tf.function
    def shrunk(x: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_max(x) > 1.0, lambda: tf.nn.relu(x - 1.0), lambda: tf.sigmoid(x))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def model(x: tf.Tensor) -> tf.Tensor:
        return shrunk(grown(x) + 1.0) * 0.5 + shrunk(grown(x * 2.0) - 1.0)

    report = find(model, workers=workers)
    assert report.complete and [len(f.places) for f in report.findings] == [2]
    assert all(len(place) == 2 for place in report.findings[0].places)


def test_conditionals_in_branches_are_one_finding(workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def model(x: tf.Tensor) -> tf.Tensor:
        def chosen() -> tf.Tensor:
            y = tf.cond(tf.reduce_max(x) > 2.0, lambda: tf.exp(-x), lambda: tf.abs(x))
            return tf.cond(tf.reduce_min(y) > 0.5, lambda: tf.tanh(y), lambda: tf.nn.relu(y))

        return tf.cond(tf.reduce_sum(x) > 1.0, chosen, lambda: tf.sigmoid(x)) * 0.5

    report = find(model, workers=workers)
    assert report.complete and [len(f.places) for f in report.findings] == [2]
    assert {c.function is not None for c in report.findings[0].culprits} == {True}


def _rests(report: Report) -> int:
    """How often what is left of the main graph was converted, which is dear; what is left of a small body is not."""
    return sum(probe.question.startswith("the rest") and probe.ops >= 5 for probe in report.journal)


def test_windows_of_too_high_a_rank_are_one_finding_and_cut_out_in_one_go(workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4), name="x")])
    def model(x: tf.Tensor) -> tf.Tensor:
        for number in range(5):
            with tf.name_scope(f"block_{number}"):
                y = tf.reshape(x, [1, 2, 4, 2, 4, 4])
                y = tf.transpose(tf.tanh(y), [0, 1, 3, 2, 4, 5])
                x = x + tf.reshape(y, [1, 8, 8, 4])
        return x

    report = find(model, workers=workers)
    assert report.complete and [len(f.places) for f in report.findings] == [5]
    assert _rests(report) == 1


def test_conditionals_that_are_read_twice_are_one_finding_whatever_is_in_them(workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def model(x: tf.Tensor) -> tf.Tensor:
        for number in range(4):
            with tf.name_scope(f"block_{number}"):
                y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.roll(x, 1, 1), lambda: tf.abs(x))  # noqa: B023
                x = tf.tanh(y) * y
        return x

    report = find(model, workers=workers)
    twice = [f for f in report.findings if "DAG" in f.error_message]
    assert report.complete and [len(f.places) for f in twice] == [4]
    assert [(len(f.places), f.culprits[0].op) for f in report.findings if f not in twice] == [(4, "Roll")]
    assert _rests(report) <= len(report.findings) + 2


def ranks_around_erfc(x: tf.Tensor) -> tf.Tensor:
    x = tf.transpose(tf.reshape(x, [1, 2, 2, 2, 2, 4]), [0, 1, 3, 2, 4, 5])
    return tf.reshape(tf.math.erfc(tf.nn.relu(x), name="erfc"), [8, 8])


@pytest.mark.parametrize("inside", ["a branch", "a loop"])
def test_what_raises_a_rank_in_a_body_is_blamed_beside_what_is_cut_out_behind_it(inside: str, workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((8, 8), name="x")], autograph=False)
    def model(x: tf.Tensor) -> tf.Tensor:
        if inside == "a branch":
            return tf.cond(x[0, 0] > 0.0, lambda: ranks_around_erfc(x), lambda: x * 2.0)
        return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, ranks_around_erfc(x)), [0, x])[1]

    report = find(model, workers=workers)
    assert [[c.op for c in f.culprits] for f in report.findings] == [["Erfc"], ["Reshape"]], str(report)
    assert "rank" in report.findings[1].error_message
