"""An output that was joined of several quantities: each is compared by itself, whatever is beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.evaluator import program_of
from bisect_convert.probe.client import Workers
from bisect_convert.worker.numbers.agreement import agree, agreement
from bisect_convert.worker.numbers.lockstep import Lockstep
from bisect_convert.worker.numbers.parts import Parts, parts_of

rng = np.random.default_rng(3)


def scores(y: Any) -> Any:
    return tf.minimum(tf.multiply(tf.square(y, name="score/square"), 1e7, name="score/scaled"), 1.0)


def boxes_first(boxes: Any, y: Any) -> Any:
    return tf.transpose(tf.concat([boxes, scores(y)], -1), [0, 2, 1])


def test_scores_beside_boxes_in_pixels_are_compared_by_themselves(workers: Workers) -> None:
    boxes = (rng.normal(0, 100, (1, 8, 4)) + 300).astype("f")
    model = tf.function(
        boxes_first, input_signature=[tf.TensorSpec((1, 8, 4), name="boxes"), tf.TensorSpec((1, 8, 2), name="y")]
    )
    lost = {"boxes": boxes, "y": rng.uniform(2e-5, 1e-4, (1, 8, 2)).astype("f")}
    report = find(model, numbers=lost, workers=workers)
    assert [(c.name, f.error_type) for f in report.findings for c in f.culprits] == [("score/square", "underflow")]
    assert report.numbers is not None and (report.numbers.outputs[0].max_rel or 0) > 0.1
    held = {"boxes": boxes, "y": rng.uniform(2e-2, 1e-1, (1, 8, 2)).astype("f")}
    assert find(model, numbers=held, workers=workers).verdict == "converts"


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (lambda x: tf.concat([x, x[:, :2]], 1), Parts(1, (3, 2))),
        (lambda x: tf.identity(tf.stack([x, x], -1)), Parts(2, (1, 1))),
        (lambda x: tf.transpose(tf.concat([x, x[:, :1], x], 1)), Parts(0, (3, 1, 3))),
        (lambda x: tf.concat([x, tf.concat([x, x[:, :1]], 1)], -1), Parts(1, (3, 3, 1))),
        (lambda x: tf.concat([x, tf.concat([x, x[:1]], 0)], 0), Parts(0, (2, 2, 1))),
        (lambda x: tf.cast(tf.concat([x, x], 1), tf.int32), None),
        (lambda x: tf.nn.relu(tf.concat([x, x], 1)), None),
    ],
)
def test_what_a_tensor_was_joined_of_is_read_from_the_graph(made: Any, wanted: Parts | None) -> None:
    with tf.Graph().as_default():
        assert parts_of(made(tf.compat.v1.placeholder(tf.float32, (2, 3)))) == wanted


def test_a_part_has_a_scale_of_its_own_and_one_of_zeros_has_none() -> None:
    want = np.array([[1000.0, 2000.0, 1e-3, 0.0]], "f")
    got = np.array([[1000.1, 2000.1, 2e-3, 1e-5]], "f")
    assert agree(got, want, 0.02) and not agree(got, want, 0.02, Parts(1, (2, 1, 1)))
    assert agree(got, want, 0.02, Parts(1, (3, 1)))
    apart = agreement([{"y": want}], [{"y": got}], {"y": Parts(1, (2, 1, 1))}).outputs["y"]
    assert apart.max_rel == pytest.approx(1.0, rel=1e-3) and apart.scale == pytest.approx(1e-3)


def test_a_name_that_stands_for_another_size_is_none_of_the_originals() -> None:
    import coremltools as ct

    def body(x: Any) -> Any:
        return tf.nn.relu(tf.square(x, name="sq") * 2.0, name="out")

    model = tf.function(body, input_signature=[tf.TensorSpec((1, 4), name="x")]).get_concrete_function()
    program = program_of(ct.convert([model], source="tensorflow", skip_model_load=True))
    x = np.ones((1, 4), "f")
    steps = Lockstep(program, {"x": x}, {"sq:0": np.ones((1, 7), "f"), "out:0": 2 * x})
    assert set(steps.local(rounded=True)) == {"out:0"} and not steps.known("sq:0")
