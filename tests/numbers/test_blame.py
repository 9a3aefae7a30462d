"""Who is blamed where float16 loses numbers before they are read, where constants are rounded, and where causes are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.worker.numbers.bodies import Inside

rng = np.random.default_rng(11)


def small(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Any:
    return (rng.normal(0, scale, shape) + shift).astype("f")


def weights(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(0, 0.1, shape).astype("f")


def entropy(x: Any) -> Any:
    return tf.math.log(tf.nn.softmax(x, name="p") + 1e-10)


def cold(x: Any) -> Any:
    return tf.nn.softmax(tf.divide(x, 1e-5, name="temperature"))


def normed(x: Any) -> Any:
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-12)


def scaled(x: Any) -> Any:
    squares = tf.reduce_mean(tf.square(x), -1, keepdims=True)
    return x * tf.math.rsqrt(tf.multiply(squares, 1e-3, name="scaled") + 1e-12) / 30.0


def logit(p: Any) -> Any:
    p = tf.clip_by_value(p, 1e-7, 1 - 1e-7, name="clip")
    return tf.math.log(p) - tf.math.log(tf.subtract(1.0, p, name="rest"))


def summed(x: Any) -> Any:
    y = tf.nn.relu(tf.nn.conv2d(x, np.full((5, 5, 3, 4), 8, "f"), 1, "SAME", name="edge"))
    return tf.reduce_mean(y / 2e5, [1, 2])


def floored(x: Any) -> Any:
    return tf.math.log(tf.add(x, 1e-9, name="floor"))


def ratio(x: Any, y: Any) -> Any:
    return tf.divide(tf.multiply(y, 1e-5, name="part"), tf.add(x, 1e-9, name="whole"))


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any], set[tuple[str, str]]]] = {
    "what the logarithm reads is lost already": (entropy, {"x": small(1, 16, scale=8)}, {("add", "underflow")}),
    "held in float32 until it is read": (cold, {"x": small(1, 10, scale=3)}, {("temperature", "overflow")}),
    "lost before the mean": (
        normed, {"x": small(1, 64, scale=2e-5)}, {("moments/SquaredDifference", "underflow")},
    ),
    "lost behind the mean": (scaled, {"x": small(2, 16, scale=1e-3)}, {("scaled", "underflow")}),
    "a constant rounded to one": (
        logit, {"p": np.array([[0, 0.2, 0.7, 1]], "f")}, {("clip", "underflow"), ("rest", "underflow")},
    ),
    "between transposes": (
        summed, {"x": rng.integers(0, 255, (1, 12, 12, 3)).astype("f")}, {("edge", "overflow")},
    ),
    "a constant rounded up": (floored, {"x": np.maximum(small(1, 32), 0)}, {("floor", "underflow")}),
    "two of them": (
        ratio, {"x": np.zeros((1, 4), "f"), "y": np.linspace(1e-4, 3e-4, 4, dtype="f")[None]},
        {("part", "underflow"), ("whole", "underflow")},
    ),
}  # fmt: skip


def function(body: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    return tf.function(body, input_signature=[tf.TensorSpec(v.shape, v.dtype, k) for k, v in inputs.items()])


@pytest.mark.parametrize("name", CASES)
def test_the_op_that_loses_the_numbers_is_blamed_alone(name: str, workers: Workers) -> None:
    body, inputs, wanted = CASES[name]
    report = find(function(body, inputs), numbers=inputs, workers=workers)
    assert {(c.name, f.error_type) for f in report.findings for c in f.culprits} == wanted
    assert all(f.remedies[0].verified and "op_selector" in (f.remedies[0].code or "") for f in report.findings)


def test_what_helps_against_float16_is_seen_to_beside_what_is_wrong_in_any_precision(workers: Workers) -> None:
    def three(x: Any, y: Any, ids: Any) -> Any:
        a = tf.math.log(1.0 + tf.exp(x, name="a/exp"))
        b = y / tf.sqrt(tf.reduce_sum(tf.square(y, name="b/sq"), -1, keepdims=True))
        bucket = tf.math.floormod(tf.multiply(ids, tf.constant(31, tf.int64), name="c/mul"), tf.constant(100, tf.int64))
        return tf.concat([a, b, tf.gather(weights(100, 4), bucket)[:, 0]], -1)

    inputs = {"x": small(1, 16, shift=13), "y": small(1, 16, scale=2e-5), "ids": np.array([[3_000_000_000]], "int64")}
    report = find(function(three, inputs), numbers=inputs, workers=workers)
    kinds = {c.name: f for f in report.findings for c in f.culprits}
    assert {name: f.error_type for name, f in kinds.items()} == {
        "a/exp": "overflow",
        "b/sq": "underflow",
        "c/mul": "integer",
    }
    for name in ("a/exp", "b/sq"):
        assert kinds[name].remedies[0].verified and "wrong in any precision: Mul" in kinds[name].remedies[0].summary


def test_a_long_loop_is_looked_into_to_its_end(workers: Workers) -> None:
    def long(x: Any, rows: Any) -> Any:
        def turn(i: Any, s: Any) -> tuple[Any, Any]:
            return i + 1, tf.add(s, x * 3e-4 + rows[i] * 1e-5, name="acc")

        return tf.while_loop(lambda i, s: i < 3000, turn, [0, tf.ones_like(x)])[1] - 1.0

    inputs = {"x": np.full((1, 8), 0.9, "f"), "rows": small(3000, 1, 8)}
    report = find(function(long, inputs), numbers=inputs, workers=workers)
    (finding,) = report.findings
    assert ([c.name for c in finding.culprits], finding.error_type) == (["while/acc"], "precision")
    assert finding.remedies[0].verified


def test_what_a_loop_hands_on_unchanged_is_kept_once() -> None:
    inside, large = Inside(), np.zeros(1 << 22, "f")
    for turn in range(100):
        inside.keep("body large:0", large)
        inside.keep("body i:0", np.int32(turn)[None])
    assert len(inside.values["body large:0"]) == len(inside.values["body i:0"]) == 100
    assert inside.bytes < 2 * large.nbytes
