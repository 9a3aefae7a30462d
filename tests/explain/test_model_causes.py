"""Causes that are no ops: what training left behind, state that was never frozen, constants without a value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Finding

v1 = tf.compat.v1


def weight(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).normal(0, 0.1, shape), tf.float32)


def only_finding(build: Callable[[], None], folder: Path, workers: Workers, **arguments: Any) -> Finding:
    """The one finding on the graph, after which all of the rest converts."""
    with tf.Graph().as_default() as graph:
        build()
    path = folder / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    report = find(path, workers=workers, **arguments)
    assert report.verdict == "fails" and report.complete
    (finding,) = report.findings
    return finding


def trained() -> None:
    x = v1.placeholder(tf.float32, [1, 8], "x")
    y = v1.placeholder(tf.float32, [1, 3], "labels")
    kernel = weight(8, 3)
    logits = tf.matmul(x, kernel, name="head/logits")
    tf.nn.softmax(logits, name="head/scores")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits), name="loss/mean")
    v1.gradients(loss, [kernel])
    v1.summary.scalar("loss_summary", loss)


def test_what_training_left_is_one_cause_and_the_output_is_named(tmp_path: Path, workers: Workers) -> None:
    finding = only_finding(trained, tmp_path, workers)
    assert "left over from training" in finding.cause and "--output head/scores" in finding.cause
    (remedy,) = finding.remedies
    assert remedy.verified and remedy.changes == {"outputs": [{"kind": "TensorType", "name": "head/scores"}]}


def test_with_its_output_named_nothing_of_training_is_in_the_way(tmp_path: Path, workers: Workers) -> None:
    import coremltools as ct

    with tf.Graph().as_default() as graph:
        trained()
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    assert find(path, workers=workers, outputs=[ct.TensorType(name="head/scores")]).verdict == "converts"


@pytest.mark.parametrize("resource", [False, True])
def test_variables_that_were_never_frozen_are_one_cause(resource: bool, tmp_path: Path, workers: Workers) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        with v1.variable_scope("cell"):
            state = v1.get_variable("memory", [1, 8], use_resource=resource, initializer=v1.zeros_initializer())
        after = tf.tanh(x + state, name="after")
        with v1.control_dependencies([v1.assign(state, after)]):
            tf.matmul(after, weight(8, 2), name="logits")

    import coremltools as ct

    finding = only_finding(build, tmp_path, workers, outputs=[ct.TensorType(name="logits")])
    assert finding.cause == "the variable `cell/memory` was not frozen and is assigned"
    assert [c.name for c in finding.culprits] == ["cell/memory"]
    code = finding.remedies[0].code or ""
    assert finding.remedies[0].verified and "placeholders" in code
    assert "ct.TensorType(name='cell/memory', shape=(1, 8))" in code


@pytest.mark.parametrize("resource", [False, True])
def test_weights_that_were_never_frozen_are_no_state(resource: bool, tmp_path: Path, workers: Workers) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        with v1.variable_scope("dense"):
            kernel = v1.get_variable(
                "kernel", [8, 2], use_resource=resource, initializer=v1.glorot_uniform_initializer()
            )
        tf.matmul(x, kernel, name="logits")

    finding = only_finding(build, tmp_path, workers)
    assert finding.cause == "the variable `dense/kernel` was not frozen"
    assert [(r.tried, "checkpoint" in r.summary) for r in finding.remedies] == [("not tried", True)]


@pytest.mark.parametrize("kind", ["quint8", "complex64"])
def test_what_keeps_weights_in_a_dtype_without_a_value_is_to_blame_and_no_reader(
    kind: str, tmp_path: Path, workers: Workers
) -> None:
    def kept(name: str, *shape: int) -> Any:
        if kind == "complex64":
            return tf.math.real(tf.constant(np.full(shape, 0.1), tf.complex64), name=name)
        held = tf.constant(np.full(shape, 7), tf.quint8)
        return tf.raw_ops.Dequantize(input=held, min_range=-0.2, max_range=0.2, mode="MIN_FIRST", name=name)

    def build() -> None:
        y = v1.placeholder(tf.float32, [1, 8, 8, 3], "x")
        for number in range(3):
            y = tf.nn.relu(tf.nn.conv2d(y, kept(f"weights{number}", 3, 3, y.shape[-1], 4), 1, "SAME"))
        tf.multiply(y, kept("scale", 4), name="out")

    finding = only_finding(build, tmp_path, workers)
    assert {c.name for c in finding.culprits} == {"weights0", "weights1", "weights2", "scale"}
    assert kind in finding.explanation and finding.remedies[0].verified
    assert finding.cause == (
        "weights are kept as quint8 behind `Dequantize`, a type that Core ML has no constants of" * (kind == "quint8")
    )


def test_quantization_in_training_and_graphs_that_compute_in_it_are_told_as_that(
    tmp_path: Path, workers: Workers
) -> None:
    def trained_for() -> None:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(weight(8, 4), -tf.ones(4), tf.ones(4))
        tf.nn.relu(tf.matmul(x, kernel), name="out")

    finding = only_finding(trained_for, tmp_path, workers)
    assert "quantization-aware training" in finding.cause and finding.remedies[0].verified

    def computes() -> None:
        raw, x = tf.raw_ops, v1.placeholder(tf.float32, [1, 4, 4, 2], "x")
        q = raw.QuantizeV2(input=x, min_range=-1.0, max_range=1.0, T=tf.quint8)
        held = tf.constant(np.full((3, 3, 2, 2), 7), tf.quint8)
        made = raw.QuantizedConv2D(
            input=q.output, filter=held, min_input=q.output_min, max_input=q.output_max, min_filter=-1.0, max_filter=1.0,
            strides=[1, 1, 1, 1], padding="SAME",
        )  # fmt: skip
        raw.Dequantize(input=made.output, min_range=made.min_output, max_range=made.max_output, name="out")

    with tf.Graph().as_default() as graph:
        computes()
    path = tmp_path / "quantized.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    first = find(path, workers=workers).findings[0]
    assert first.cause.startswith("the graph computes in ") and "before it was quantized" in first.cause
    assert "has a conversion" not in first.explanation and any("of floats" in r.summary for r in first.remedies)


@pytest.mark.parametrize("alone", [True, False])
def test_training_that_was_left_on_is_one_cause_by_its_layers(alone: bool, tmp_path: Path, workers: Workers) -> None:
    keras = tf.keras
    given = keras.Input((16, 16, 3), batch_size=1)
    y = keras.layers.RandomFlip("horizontal", name="flip")(given)
    y = keras.layers.RandomRotation(0.1, name="turn")(y)
    y = keras.layers.Conv2D(2, 3, activation=None if alone else "gelu", name="stem")(y)
    model = keras.Model(given, y)
    module = tf.Module()
    module.kept = [model, *(model.get_layer(n).generator.state.value for n in ("flip", "turn"))]
    spec = tf.TensorSpec([1, 16, 16, 3], tf.float32, "x")
    function = tf.function(lambda x: model(x, training=True), input_signature=[spec])
    path = tmp_path / "model"
    tf.saved_model.save(module, str(path), signatures=function.get_concrete_function())
    report = find(path, workers=workers, out=tmp_path / "out")
    finding, *others = report.findings
    assert [[c.op for c in other.culprits] for other in others] == ([] if alone else [["Erfc"]])
    for number, other in enumerate(others, 2):  # folders are numbered as findings are
        assert other.repro is not None and Path(other.repro).parent.name == f"finding-{number}"
    assert finding.cause.startswith(
        "the layers `flip` and `turn` draw random numbers and assign the seeds, as in training"
    )
    assert {c.op for c in finding.culprits} >= {"AssignVariableOp", "ImageProjectiveTransformV3"}
    assert "training=False" in finding.remedies[0].summary


def test_what_is_left_of_training_and_never_frozen_are_two_causes(tmp_path: Path, workers: Workers) -> None:
    with tf.Graph().as_default() as graph:
        x, y = v1.placeholder(tf.float32, [1, 8], "x"), v1.placeholder(tf.int32, [1], "labels")
        with v1.variable_scope("dense"):
            kernel = v1.get_variable("kernel", [8, 3], use_resource=True)
        logits = tf.matmul(x, kernel, name="logits")
        tf.nn.softmax(logits, name="scores")
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        v1.train.AdamOptimizer(0.1).minimize(loss)
        v1.train.Saver()
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    report = find(path, workers=workers)
    left, state = report.findings
    assert report.complete and left.cause.endswith("outputs: --output scores")
    assert state.cause == "the variable `dense/kernel` was not frozen"
    assert left.remedies[0].tried == "gets past this failure"


@pytest.mark.parametrize("scope", ["train/tower", "gradients/of/clouds"])
def test_a_scope_that_is_called_as_those_of_training_hides_no_op(scope: str, tmp_path: Path, workers: Workers) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        with v1.name_scope(scope):
            y = tf.math.erfc(tf.matmul(x, weight(8, 8)), name="bad")
        tf.nn.softmax(y, name="out")
        tf.tanh(x, name="other")

    finding = only_finding(build, tmp_path, workers)
    assert finding.cause == "" and [c.op for c in finding.culprits] == ["Erfc"]


def test_a_model_that_gives_gradients_has_nothing_left_over(tmp_path: Path, workers: Workers) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [1, 8], "x")
        energy = tf.reduce_sum(tf.sin(tf.matmul(x, weight(8, 8))), name="energy")
        (slope,) = v1.gradients(energy, [x])
        tf.math.erfc(slope, name="force")
        tf.tanh(x, name="other")

    finding = only_finding(build, tmp_path, workers)
    assert finding.cause == "" and [c.op for c in finding.culprits] == ["Erfc"]


def test_a_training_graph_whose_prediction_is_only_measured_is_told_to_name_it(
    tmp_path: Path, workers: Workers
) -> None:
    with tf.Graph().as_default() as graph:
        x, labels = v1.placeholder(tf.float32, (4, 6), "x"), v1.placeholder(tf.int32, (4,), "labels")
        keep = v1.placeholder_with_default(1.0, (), "keep")
        kernel = tf.constant(np.ones((6, 5), "f"))
        hidden = tf.nn.relu(x @ kernel) * keep
        logits = tf.matmul(hidden, tf.constant(np.ones((5, 3), "f")), name="logits")
        predicted = tf.nn.softmax(logits, name="predicted")
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), name="loss")
        right = tf.equal(tf.argmax(predicted, 1, output_type=tf.int32), labels)
        tf.reduce_mean(tf.cast(right, tf.float32), name="accuracy")
        tf.identity(tf.gradients(loss, kernel)[0], "slope")
    (tmp_path / "model.pb").write_bytes(graph.as_graph_def().SerializeToString())
    report = find(tmp_path / "model.pb", workers=workers)
    first, other = report.findings
    assert "--output predicted" in first.cause and first.remedies[0].tried == "gets past this failure"
    assert [c.name for c in other.culprits] == ["keep"]


def test_weights_that_a_layer_assigns_are_training_that_was_left_on(tmp_path: Path, workers: Workers) -> None:
    keras = tf.keras
    given = keras.Input((8, 8, 3), batch_size=1)
    model = keras.Model(given, keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 3), name="norm")(given))
    module = tf.Module()
    module.kept = model
    spec = tf.TensorSpec([1, 8, 8, 3], tf.float32, "x")
    function = tf.function(lambda x: model(x, training=True), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function.get_concrete_function())
    (finding,) = find(tmp_path / "model", workers=workers).findings
    assert finding.cause.startswith("training was left on in ") and "kernel" in finding.cause
    assert "training=False" in finding.remedies[0].summary


def test_state_of_a_model_in_memory_is_called_so_though_it_is_not_run(workers: Workers) -> None:
    keras = tf.keras
    given = keras.Input((4, 3), batch_size=1)
    model = keras.Model(given, keras.layers.GRU(5, stateful=True, unroll=True, name="memory")(given))
    (finding,) = find(model, workers=workers).findings
    assert finding.cause.startswith("the model assigns state as it runs in ") and "memory" in finding.cause
    assert [r.tried for r in finding.remedies] == ["not tried"]


@pytest.mark.parametrize("scope, training", [("up/dropout", True), ("latent", False)])
def test_a_draw_in_a_model_that_converts_is_named_by_its_layer_and_no_other_op_is(
    scope: str, training: bool, tmp_path: Path, workers: Workers
) -> None:
    def drawn(x: Any) -> Any:
        h = tf.nn.relu(tf.matmul(x, weight(16, 16)))
        with tf.name_scope(scope):
            h = tf.where(tf.random.uniform(tf.shape(h)) >= 0.5, h * 2.0, 0.0)
        return tf.tanh(tf.matmul(h, weight(16, 4)))

    spec = tf.TensorSpec([1, 16], tf.float32, "x")
    module = tf.Module()
    function = tf.function(drawn, input_signature=[spec]).get_concrete_function()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function)
    report = find(tmp_path / "model", workers=workers, numbers="random")
    assert report.verdict == "differs"
    (finding,) = report.findings
    assert f"`{scope}" in finding.cause and ("in training" in finding.cause) is training
    assert ("training=False" in finding.remedies[0].summary) is training
