"""Stages of strings and decoders at a model's edges, and SavedModels of several signatures: real models, one cause each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as started:
        yield started


class Served(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        keys = tf.lookup.KeyValueTensorInitializer(["r", "g", "b"], [0, 1, 2])
        self.table = tf.lookup.StaticHashTable(keys, -1)
        self.names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([0, 1], ["no", "yes"]), "")
        self.rows = tf.Variable(tf.random.normal((4, 6)))
        self.kernel = tf.Variable(tf.random.normal((3, 3, 3, 2)))

    def words(self, text: Any) -> Any:
        ids = self.table.lookup(tf.strings.lower(text)) + 1
        return {"y": tf.reduce_sum(tf.gather(self.rows, ids), 1) @ tf.ones((6, 2))}

    def words_and_more(self, text: Any) -> Any:
        return {"y": tf.math.lgamma(tf.abs(self.words(text)["y"]) + 1.0)}

    def image(self, png: Any) -> Any:
        pixels = tf.image.resize(tf.cast(tf.io.decode_png(png, channels=3), tf.float32), (8, 8))[None]
        return {"y": tf.nn.conv2d(pixels / 255.0, self.kernel, 1, "SAME")}

    def buckets(self, text: Any) -> Any:
        unknown = tf.strings.to_hash_bucket_fast(text, 2)
        known = self.table.lookup(text)
        ids = tf.where(known < 0, tf.cast(unknown, tf.int32), known)
        return {"y": tf.nn.relu(tf.reduce_sum(tf.gather(self.rows, ids), 1) @ tf.ones((6, 2)))}

    def keyed(self, x: Any, key: Any) -> Any:
        return {"y": x @ self.rows, "key": tf.identity(key)}

    def drawn(self, x: Any) -> Any:
        pixels = tf.cast(255.0 * tf.sigmoid(tf.nn.conv2d(x, self.kernel, 1, "SAME"))[0], tf.uint8)
        return {"png": tf.io.encode_png(tf.concat([pixels, pixels[..., :1]], -1))}

    def named(self, x: Any) -> Any:
        return {"label": self.names.lookup(tf.cast(tf.argmax(x @ self.rows, 1) % 2, tf.int32)), "scores": x @ self.rows}


def saved(folder: Path, method: str, *specs: tf.TensorSpec) -> str:
    module = Served()
    function = tf.function(getattr(module, method)).get_concrete_function(*specs)
    tf.saved_model.save(module, str(folder / method), signatures=function)
    return str(folder / method)


WORDS = tf.TensorSpec((1, 5), tf.string, name="text")


def test_what_turns_words_into_ids_is_one_cause_and_where_the_model_starts_is_tried(
    tmp_path: Path, workers: Workers
) -> None:
    report = find(saved(tmp_path, "words", WORDS), workers=workers)
    (finding,) = report.findings
    assert report.complete and {c.op for c in finding.culprits} >= {"StringLower", "LookupTableFindV2"}
    assert "in front of the model, which starts at" in finding.cause and "LookupTableFindV2" in finding.cause
    assert finding.remedies[0].tried == "verified"
    assert finding.cause[:60] in "".join(str(report).splitlines()[:10])


def test_what_fails_behind_the_stage_is_a_finding_of_its_own(tmp_path: Path, workers: Workers) -> None:
    report = find(saved(tmp_path, "words_and_more", WORDS), workers=workers)
    stage, other = report.findings
    assert report.complete and [c.op for c in other.culprits] == ["Lgamma"]
    assert stage.remedies[0].tried == "gets past this failure"


def test_a_decoder_and_what_brings_its_image_to_size_are_one_stage(tmp_path: Path, workers: Workers) -> None:
    report = find(saved(tmp_path, "image", tf.TensorSpec((), tf.string, name="png")), workers=workers)
    (finding,) = report.findings
    assert report.complete and "decodes images" in finding.cause and "float32 1x8x8x3" in finding.cause


def test_names_of_classes_stand_behind_the_model(tmp_path: Path, workers: Workers) -> None:
    given = {"inputs": [ct.TensorType(name="x", shape=(1, 4))]}
    report = find(saved(tmp_path, "named", tf.TensorSpec((1, 4), name="x")), workers=workers, **given)
    (finding,) = report.findings
    assert report.complete and "behind the model, which ends at" in finding.cause
    assert finding.remedies[0].tried == "verified"


def test_ids_of_known_and_of_unknown_words_are_joined_in_the_stage(tmp_path: Path, workers: Workers) -> None:
    (finding,) = find(saved(tmp_path, "buckets", WORDS), workers=workers).findings
    assert "starts at `SelectV2" in finding.cause and finding.remedies[0].tried == "verified"


def test_a_key_that_goes_in_and_comes_out_passes_by(tmp_path: Path, workers: Workers) -> None:
    specs = tf.TensorSpec((1, 4), name="x"), tf.TensorSpec((1,), tf.string, name="key")
    report = find(saved(tmp_path, "keyed", *specs), workers=workers)
    (finding,) = report.findings
    assert report.complete and "passes by" in finding.cause and finding.remedies[0].tried == "verified"


def test_an_encoder_takes_the_cast_in_front_of_it_along(tmp_path: Path, workers: Workers) -> None:
    report = find(saved(tmp_path, "drawn", tf.TensorSpec((1, 8, 8, 3), name="x")), workers=workers)
    (finding,) = report.findings
    assert report.complete and {c.op for c in finding.culprits} >= {"Cast", "EncodePng"} and "ends at" in finding.cause


class Several(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((2, 3), name="x")])
    def ages(self, x: Any) -> Any:
        return {"y": tf.math.lgamma(x)}

    @tf.function(input_signature=[tf.TensorSpec((2, 3), name="x")])
    def zones(self, x: Any) -> Any:
        return {"y": x + 1.0}


def test_of_several_signatures_another_is_tried_where_the_choice_was_ours(tmp_path: Path, workers: Workers) -> None:
    module, path = Several(), str(tmp_path / "several")
    tf.saved_model.save(module, path, signatures={"ages": module.ages, "zones": module.zones})
    report = find(path, workers=workers)
    assert report.signature == "ages" and any("zones converts (--signature zones)" in note for note in report.notes)
    chosen = find(path, workers=workers, signature="ages")
    assert chosen.findings and not any("tried" in note for note in chosen.notes)


@pytest.mark.parametrize("size", [8, None])
def test_an_image_that_comes_out_channels_last_is_told_the_transpose(workers: Workers, size: int | None) -> None:
    kernel = tf.random.normal((3, 3, 3, 3))
    spec = tf.TensorSpec((1, size, size, 3), name="x")
    function = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME")).get_concrete_function(spec)
    open_size = size or ct.RangeDim(8, 32)
    report = find(
        [function], workers=workers, outputs=[ct.ImageType(color_layout=ct.colorlayout.RGB)],
        inputs=[ct.ImageType(shape=(1, open_size, open_size, 3))], minimum_deployment_target=ct.target.iOS17,
    )  # fmt: skip
    (finding,) = report.findings
    assert "has its channels last" in finding.cause and not finding.culprits
    assert finding.remedies[0].verified and "(0, 3, 1, 2)" in (finding.remedies[0].code or "")


@pytest.mark.parametrize("kind", ["one_shot", "initializable"])
def test_the_data_of_training_in_front_is_one_cause_and_the_model_starts_behind(
    kind: str, tmp_path: Path, workers: Workers
) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        data = tf.data.Dataset.from_tensor_slices(tf.zeros([4, 8])).batch(1)
        made = v1.data.make_one_shot_iterator(data) if kind == "one_shot" else v1.data.make_initializable_iterator(data)
        tf.nn.relu(tf.matmul(made.get_next() / 255.0, tf.ones([8, 3])), name="scores")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    report = find(path, workers=workers)
    (finding,) = report.findings
    assert report.complete and finding.cause.startswith("a stage that reads the data of its training (")
    assert finding.cause.endswith("in front of the model, which starts at `IteratorGetNext (float32 ?x8)`")
    assert finding.remedies[0].verified and "tables" not in finding.explanation
