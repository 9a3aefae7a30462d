"""Forms that float16 breaks: found around the op at fault, what is better tried, and shown as code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import Destination
from bisect_convert.probe.client import Workers

rng = np.random.default_rng(3)


def normal(scale: float, shift: float = 0.0, size: int = 32) -> Any:
    return (rng.normal(0, scale, (1, size)) + shift).astype("f")


def softplus(x: Any) -> Any:
    return tf.math.log(1.0 + tf.exp(x))


def log_of_sum(x: Any) -> Any:
    return tf.math.log(tf.reduce_sum(tf.exp(x), -1))


def softmax(x: Any) -> Any:
    y = tf.exp(x)
    return y / tf.reduce_sum(y, -1, keepdims=True)


def log_of_product(x: Any) -> Any:
    return tf.math.log(tf.reduce_prod(tf.abs(x), -1))


def variance(x: Any) -> Any:
    return tf.reduce_mean(x * x, -1) - tf.square(tf.reduce_mean(x, -1))


def root_mean_square(x: Any) -> Any:
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + 1e-6)


def scaled_sum(x: Any) -> Any:
    return tf.reduce_sum(x, -1) / 32000.0


CASES = [
    (softplus, normal(4, 10), "overflow", "tf.nn.softplus(x)"),
    (log_of_sum, normal(4, 10), "overflow", "tf.reduce_logsumexp(x"),
    (softmax, normal(1, -25), "underflow", "tf.nn.softmax(x"),
    (log_of_product, normal(0.05, 0.3), "underflow", "tf.reduce_sum(tf.math.log(x)"),
    (variance, normal(0.3, 20, 256), "precision", "d = x - tf.reduce_mean(x"),
    (root_mean_square, normal(600), "overflow", "tf.square(x / 1024)"),
    (scaled_sum, normal(100, 5000), "overflow", "tf.reduce_sum(x * 3.125e-05"),
]


@pytest.mark.parametrize(("body", "x", "kind", "code"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_form_that_float16_breaks_is_written_in_a_better_way(
    body: Any, x: Any, kind: str, code: str, workers: Workers
) -> None:
    function = tf.function(body, input_signature=[tf.TensorSpec(x.shape, name="x")])
    report = find(function, numbers={"x": x}, workers=workers)
    assert [f.error_type for f in report.findings] == [kind], str(report)
    rewrites = [r for r in report.findings[0].remedies if r.kind == "rewrite"]
    assert len(rewrites) == 1 and rewrites[0].verified and code in (rewrites[0].code or ""), str(report)


def test_an_epsilon_that_float16_does_not_hold_is_an_underflow(workers: Workers) -> None:
    x = np.concatenate([np.zeros((1, 8)), rng.uniform(0.1, 1, (1, 8))], 1).astype("f")

    def floored(x: Any) -> Any:
        return tf.math.log(tf.add(x, 1e-9, name="plus"))

    function = tf.function(floored, input_signature=[tf.TensorSpec(x.shape, name="x")])
    report = find(function, numbers={"x": x}, workers=workers)
    assert [(f.error_type, [c.name for c in f.culprits]) for f in report.findings] == [("underflow", ["plus"])]
    assert "makes 1e-09" in report.findings[0].error_message
    kept, epsilon = report.findings[0].remedies
    assert kept.verified and not epsilon.verified and "change by" in epsilon.summary


def test_a_mask_for_infinity_is_one_that_float16_holds(workers: Workers) -> None:
    def masked(x: Any, mask: Any) -> Any:
        return tf.nn.softmax(x + (1.0 - mask) * -1e9)

    inputs = {"x": normal(1, size=8), "mask": np.zeros((1, 8), "f")}
    specs = [tf.TensorSpec(v.shape, name=k) for k, v in inputs.items()]
    report = find(tf.function(masked, input_signature=specs), numbers=inputs, workers=workers)
    assert [f.error_type for f in report.findings] == ["overflow"]
    assert any(r.verified and "-30000" in (r.code or "") for r in report.findings[0].remedies), str(report)


def test_what_would_help_is_tried_on_what_a_fix_wrote(workers: Workers, tmp_path: Path) -> None:
    x = normal(4, 10)
    module = tf.Module()
    module.call = tf.function(
        lambda x: {"y": tf.math.erfc(tf.math.log(1.0 + tf.exp(x, name="exp")) / 20.0)},
        input_signature=[tf.TensorSpec(x.shape, name="x")],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    place = Destination(tmp_path / "out.mlpackage")
    report = find_packed(
        tmp_path / "model", {}, Wishes(numbers={"x": x}), workers, fixing=partial(fixed, destination=place)
    )
    differs = report.findings[-1]
    assert differs.stage == "numbers" and differs.culprits[0].op == "Exp"
    assert [r.kind for r in differs.remedies] == ["option", "rewrite"] and all(r.verified for r in differs.remedies)
    assert "op_selector" in (differs.remedies[0].code or "")
