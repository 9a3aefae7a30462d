"""What is known to help with loops, conditionals, splits and values is tried, on models of TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Remedy


def first(model: Any, workers: Workers, **options: Any) -> Remedy:
    """The remedy of the only finding that stands first."""
    (finding,) = find(model, workers=workers, **options).findings
    return finding.remedies[0]


def recurrent(layer: str, masked: bool) -> Any:
    import keras

    inputs = keras.Input((5, 3))
    made = getattr(keras.layers, layer)(4, name="encoder")
    return keras.Model(inputs, made(keras.layers.Masking()(inputs) if masked else inputs))


def function(body: Callable[[Any], Any], *shape: int | None) -> Any:
    import tensorflow as tf

    return tf.function(body, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))


def counted(x: Any) -> Any:
    import tensorflow as tf

    turn = (lambda i, y: i < 3), (lambda i, y: (i + 1, tf.nn.relu(y) * 2.0))
    return tf.while_loop(*turn, [tf.constant(0), x], maximum_iterations=10)[1]


def split(x: Any) -> Any:
    import tensorflow as tf

    a, b, c = tf.split(x, [2, 3, -1], 1)
    return tf.reshape(c, (1, 5)) + tf.reduce_sum(a) + tf.reduce_sum(b)


def nested(x: Any) -> Any:
    import tensorflow as tf

    inner = lambda: tf.cond(tf.reduce_max(x) > 1, lambda: x * 2.0, lambda: x + 1.0)  # noqa: E731
    return tf.cond(tf.reduce_sum(x) > 0, inner, lambda: -x)


def narrow(x: Any) -> Any:
    import tensorflow as tf

    return tf.cast(tf.cast(tf.cast(x, tf.int32), tf.uint8), tf.float32)


def along_the_batch(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.cumprod(x, axis=0)


@pytest.mark.parametrize(("layer", "masked"), [("LSTM", False), ("GRU", True)])
def test_a_recurrent_layer_converts_unrolled(layer: str, masked: bool, workers: Workers) -> None:
    found = first(recurrent(layer, masked), workers)
    assert found.verified and "set_weights" in (found.code or "") and "same values" in (found.compared or "")


def test_code_that_unrolls_a_trained_model_computes_the_same() -> None:
    import keras

    from bisect_convert.remedies.structures import UNROLL

    model = recurrent("GRU", True)
    known: dict[str, Any] = {"keras": keras, "model": model}
    exec(UNROLL.format(layer="GRU"), known)
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    assert np.array_equal(model(x), known["again"](x)) and known["again"].get_layer("encoder").unroll


@pytest.mark.parametrize(
    ("body", "shape", "words"),
    [
        (counted, (1, 4), "give no `maximum_iterations`"),
        (split, (1, 10), "write all sizes of the split out"),
        (nested, (1, 4), "compute both branches"),
    ],
)
def test_what_helps_is_tried(body: Callable[[Any], Any], shape: tuple[int, ...], words: str, workers: Workers) -> None:
    found = first(function(body, *shape), workers)
    assert found.verified and words in found.summary and "same values" in (found.compared or "")


def test_the_split_is_written_with_its_sizes(workers: Workers) -> None:
    assert first(function(split, 1, 10), workers).code == "tf.split(x, [2, 3, 5], 1)\n"


def test_a_narrow_integer_goes_round_as_it_did(workers: Workers) -> None:
    found = first(function(narrow, None, 6), workers)
    assert found.verified and (found.compared or "").startswith("same values (random,")
    assert "differs" not in (found.compared or "") and "ends of types" in (found.compared or "")


def test_what_needs_the_batch_is_tried_with_a_fixed_one(workers: Workers) -> None:
    found = first(function(along_the_batch, None, 4), workers)
    assert found.verified and "fits with a fixed batch: --input x:1x4" in found.summary


def test_without_a_run_nothing_counts_as_verified(workers: Workers) -> None:
    found = first(function(narrow, None, 6), workers, no_run=True)
    assert found.tried == "converts, values not compared"
