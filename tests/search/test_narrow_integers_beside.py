"""Integers that nothing is cast to: the cast is to blame, and not what compares its values with others of that dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers


def compared(x: Any) -> Any:
    mask = tf.cast(x, tf.int8)
    return tf.cast(mask > 0, tf.float32) * x + tf.cast(mask < 0, tf.float32)


def clipped(x: Any) -> Any:
    return tf.cast(tf.maximum(tf.cast(x, tf.uint8), tf.constant(3, tf.uint8)), tf.float32) * x


def shifted(x: Any) -> Any:
    return tf.cast(tf.cast(x, tf.int16) + tf.constant(3, tf.int16), tf.float32) * x


@pytest.mark.parametrize(("body", "told"), [(compared, 2), (clipped, 1), (shifted, 0)])
def test_what_reads_them_is_told_in_a_note(body: Callable[..., Any], told: int, workers: Workers) -> None:
    report = find(tf.function(body, input_signature=[tf.TensorSpec((1, 8), name="x")]), workers=workers, numbers="off")
    (finding,) = report.findings
    assert [c.op for c in finding.culprits] == ["Cast"] and finding.remedies[0].verified and report.complete, str(
        report
    )
    assert sum("for which int32 stands" in note for note in report.notes) == told


def test_a_comparison_that_fails_in_the_model_itself_is_blamed(workers: Workers) -> None:
    spec = tf.TensorSpec((1, 8), tf.uint8, name="x")
    body = tf.function(lambda x: tf.minimum(x, tf.constant(9, tf.uint8)) * 2, input_signature=[spec])
    assert [c.op for f in find(body, workers=workers, numbers="off").findings for c in f.culprits][0] == "Minimum"
