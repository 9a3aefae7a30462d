"""Ops in the bodies of loops and branches that make a model compute something else: blamed where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report

x = np.linspace(0.9, 1.1, 8, dtype="f")[None]


def turns(count: int, body: Callable[..., Any], *state: Any) -> Any:
    def step(i: Any, *state: Any) -> Any:
        return i + 1, *body(i, *state)

    return tf.while_loop(lambda i, *state: i < count, step, [tf.constant(0), *state])[1:]


def sum_of_large(x: Any) -> Any:
    (s,) = turns(12, lambda i, s: [tf.add(s, x * 10000.0, name="acc")], tf.zeros_like(x))
    return s / 100000.0


def sum_of_small(x: Any) -> Any:
    (s,) = turns(400, lambda i, s: [tf.add(s, x * 0.0004, name="acc")], tf.ones_like(x))
    return s - 1.0


def in_a_list(x: Any) -> Any:
    def body(i: Any, h: Any, ta: Any) -> Any:
        h = tf.sqrt(tf.square(x * 300.0 + h, name="sq")) * 0.1
        return h, ta.write(i, h)

    _, ta = turns(4, body, tf.zeros_like(x), tf.TensorArray(tf.float32, 4, element_shape=(1, 8)))
    return tf.reduce_mean(ta.stack(), 0)


def in_a_branch(x: Any) -> Any:
    return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.math.log(1.0 + tf.exp(x * 15.0, name="exp")), lambda: tf.nn.relu(x))


def hash_in_turns(x: Any) -> Any:
    ids = tf.cast(x * 1000.0, tf.int64)
    (s,) = turns(3, lambda i, s: [tf.math.floormod(tf.multiply(s, tf.constant(2654435, tf.int64), name="mul"),
                                                    tf.constant(997, tf.int64))], ids)  # fmt: skip
    return tf.cast(s, tf.float32) / 1000.0


def fine(x: Any) -> Any:
    (s,) = turns(5, lambda i, s: [tf.nn.relu(s) + x * 0.1], x)
    return s


def compared(body: Any, workers: Workers) -> Report:
    function = tf.function(body, input_signature=[tf.TensorSpec((1, 8), name="x")])
    return find(function, numbers={"x": x}, workers=workers)


@pytest.mark.parametrize(
    ("body", "op", "kind", "type"),
    [
        (sum_of_large, "while/acc", "overflow", "loop_body"),
        (sum_of_small, "while/acc", "precision", "loop_body"),
        (in_a_list, "while/sq", "overflow", "loop_body"),
        (in_a_branch, "cond/exp", "overflow", "then"),
        (hash_in_turns, "while/mul", "integer", "loop_body"),
    ],
)
def test_the_op_in_a_body_is_blamed(body: Any, op: str, kind: str, type: str, workers: Workers) -> None:
    report = compared(body, workers)
    assert [(f.error_type, [c.name for c in f.culprits]) for f in report.findings] == [(kind, [op])], str(report)
    assert report.findings[0].context.enclosing[0].kind == type and report.findings[0].culprits[0].function
    if kind != "integer":
        remedy = report.findings[0].remedies[0]
        assert remedy.verified and "op_selector" in (remedy.code or "")


def test_a_loop_that_agrees_is_measured_by_the_precision_within(workers: Workers) -> None:
    report = compared(fine, workers)
    assert report.verdict == "converts" and report.numbers is not None and report.numbers.precision == "float16"
