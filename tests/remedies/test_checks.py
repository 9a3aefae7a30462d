"""Checks that a model makes of its values: each is blamed alone, and that the model converts without them was seen."""

from __future__ import annotations

import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers


@tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
def checked(x: tf.Tensor) -> tf.Tensor:
    weight = tf.random.stateless_normal([4, 4], [0, 1])
    with tf.control_dependencies([tf.debugging.assert_less_equal(tf.reduce_max(x), 9.0)]):
        y = tf.nn.relu(tf.matmul(x, weight))
    with tf.control_dependencies(
        [tf.debugging.assert_all_finite(y, "not finite"), tf.debugging.assert_non_negative(y)]
    ):
        return tf.tanh(tf.matmul(y, weight))


def test_checks_are_blamed_alone_and_are_seen_to_be_left_out(workers: Workers) -> None:
    report = find(checked, workers=workers)
    (finding,) = report.findings
    assert report.complete and [c.op for c in finding.culprits] == ["If", "If"]
    assert len(finding.witness.ops) == 1 and "check" in finding.explanation
    assert finding.remedies[0].verified and finding.remedies[0].summary.startswith("leave the check out")
