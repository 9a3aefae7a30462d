"""Arguments that fit the model or not, where the converter does not look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers

v1 = tf.compat.v1


@pytest.mark.parametrize("labels", [10, 11])
def test_labels_are_counted_where_the_batch_is_open(labels: int, tmp_path: Path, workers: Workers) -> None:
    with tf.Graph().as_default() as graph:
        tf.nn.softmax(tf.matmul(v1.placeholder(tf.float32, [None, 8]), tf.ones([8, 11])), name="scores")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    config = ct.ClassifierConfig([f"class {n}" for n in range(labels)])
    report = find(path, workers=workers, classifier_config=config)
    counted = "10 labels were given, and the output `scores` has 11 values"
    assert report.verdict == "converts"
    assert any(note.startswith(counted) for note in report.notes) is (labels == 10)


def saved(path: Path, shape: tuple[int, ...], *classes: int) -> str:
    """A SavedModel with an output for each count of classes, the first called `p0`."""
    module = tf.Module()

    def results(x: Any) -> dict[str, Any]:
        flat = tf.reshape(x, [1, -1])
        return {f"p{n}": tf.nn.sigmoid(tf.matmul(flat, tf.ones([flat.shape[1], c]))) for n, c in enumerate(classes)}

    spec = tf.TensorSpec(shape, tf.float32, "x")
    tf.saved_model.save(module, str(path), signatures=tf.function(results).get_concrete_function(spec))
    return str(path)


def test_one_value_for_two_labels_is_a_probability_and_no_background(tmp_path: Path, workers: Workers) -> None:
    path = saved(tmp_path / "model", (1, 8), 1)
    (finding,) = find(path, workers=workers, classifier_config=ct.ClassifierConfig(["cat", "dog"])).findings
    assert finding.cause == "2 labels were given, and the output `Identity` has 1 value"
    (remedy,) = finding.remedies
    assert "one of two classes" in remedy.summary and "1.0 - y" in (remedy.code or "") and not remedy.verified


@pytest.mark.parametrize("labels", [5, 6])
def test_probabilities_named_as_in_the_signature_are_counted_there(
    labels: int, tmp_path: Path, workers: Workers
) -> None:
    path = saved(tmp_path / "model", (1, 8), 3, 5)
    config = ct.ClassifierConfig([f"class {n}" for n in range(labels)], predicted_probabilities_output="p1")
    (finding,) = find(path, workers=workers, classifier_config=config).findings
    assert finding.cause.startswith("the model has no output `p1`; `Identity_1` is what the signature calls so")
    assert ("6 labels were given, and the output `Identity_1` has 5 values" in finding.cause) is (labels == 6)
    assert finding.remedies[0].verified is (labels == 5)


@pytest.mark.parametrize("labels", [None, 4])
def test_an_image_with_one_bias_for_three_colours_is_told_so(
    labels: int | None, tmp_path: Path, workers: Workers
) -> None:
    path = saved(tmp_path / "model", (1, 8, 8, 3), 3)
    config = labels and ct.ClassifierConfig([f"class {n}" for n in range(labels)])
    image = ct.ImageType(name="x", shape=(1, 8, 8, 3), scale=1 / 127.5, bias=-1)
    finding, *others = find(path, workers=workers, inputs=[image], classifier_config=config).findings
    assert finding.cause == "the image `x` has three colours, and wants a bias for each"
    assert "bias=[-1, -1, -1]" in (finding.remedies[0].code or "") and finding.remedies[0].verified is not bool(labels)
    assert [f.cause for f in others] == (
        ["4 labels were given, and the output `Identity` has 3 values"] if labels else []
    )
