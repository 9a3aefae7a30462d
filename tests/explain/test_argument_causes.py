"""Arguments that fit the model or not, where the converter does not look."""

from __future__ import annotations

from pathlib import Path

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
