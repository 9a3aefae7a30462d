"""One cause at several places is one finding: pairs of calls that share a function, conditionals in branches."""

from __future__ import annotations

import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers


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
