"""Models whose edges have no place in Core ML: they start later or end earlier, and the script does the rest in TensorFlow."""

from __future__ import annotations

import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import Report, evaluate
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.model.outcome import Failure, Frame, Signature, Stage
from bisect_convert.probe.client import Workers
from bisect_convert.worker.rewrite.frontier import moved

RNG = np.random.default_rng(5)
WORDS = ["the", "quick", "brown", "fox", "jumps"]


def _weights(*shape: int) -> Any:
    return tf.constant(RNG.normal(0, 0.4, shape).astype("f"))


def _saved(module: tf.Module, path: Path, call: Any, *specs: Any) -> Path:
    tf.saved_model.save(module, str(path), signatures=tf.function(call).get_concrete_function(*specs))
    return path


def _fixed(path: Path, workers: Workers, out: Path, numbers: str | None = None) -> Report:
    place = destination(str(out), {})
    return find_packed(path, {}, Wishes(numbers=numbers), workers, fixing=partial(fixed, destination=place))


def _script(out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(sys.modules, "bisect_convert", None)
    return runpy.run_path(str(out.with_suffix("")) + ".fix.py")


def test_a_text_model_starts_at_the_ids_and_brings_its_vocabulary(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tf.Module()
    init = tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(2, 7, dtype=tf.int64))
    module.table = tf.lookup.StaticHashTable(init, 1)
    rows, dense = _weights(9, 4), _weights(4, 3)

    def call(text: Any) -> Any:
        words = tf.strings.split(tf.strings.lower(text))
        ids = module.table.lookup(words).to_tensor(0, shape=[None, 6])
        return {"score": tf.nn.softmax(tf.reduce_mean(tf.gather(rows, ids), 1) @ dense)}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([None], tf.string, name="text"))
    out = tmp_path / "out.mlpackage"
    report = _fixed(path, workers, out)
    fix = report.fix
    assert fix is not None and fix.converted and fix.verified and report.exit_code == 0
    assert [e.kind for e in fix.moved] == ["boundary"] and fix.agreement is not None and fix.agreement.max_rel <= 1e-6
    assert "the model's boundary moved" in str(report)
    table = (tmp_path / "out.table0.tsv").read_text().splitlines()
    assert table == [f"{word}\t{number}" for number, word in enumerate(WORDS, 2)]
    text = np.array(["The QUICK fox", "nothing known"])
    given = _script(out, monkeypatch)["before"](str(path), {"text": text})
    monkeypatch.undo()
    (made,) = evaluate(out, {name: value.numpy() for name, value in given.items()}, precision="float32").values()
    np.testing.assert_allclose(made, call(tf.constant(text))["score"], rtol=1e-3, atol=1e-4)


def test_a_bag_of_words_starts_at_the_counts_whose_sizes_the_matrix_behind_them_tells(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, dense = tf.Module(), _weights(8, 3)
    init = tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(2, 7, dtype=tf.int64))
    module.table = tf.lookup.StaticHashTable(init, 1)

    def call(text: Any) -> Any:
        ids = module.table.lookup(tf.strings.split(text))
        counts = tf.raw_ops.RaggedBincount(
            splits=ids.row_splits, values=ids.flat_values, size=tf.constant(8, tf.int64), weights=tf.zeros([0])
        )
        return {"score": tf.nn.softmax(tf.raw_ops.MatMul(a=counts, b=dense))}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([None], tf.string, name="text"))
    fix = _fixed(path, workers, out := tmp_path / "out.mlpackage").fix
    assert fix is not None and fix.converted and fix.verified, fix and fix.reasons
    assert [e.recipe for e in fix.edits] == ["starts_here"]
    text = np.array(["the quick quick fox", "jumps", "nothing known"])
    given = _script(out, monkeypatch)["before"](str(path), {"text": text})
    monkeypatch.undo()
    (made,) = evaluate(out, {name: value.numpy() for name, value in given.items()}, precision="float32").values()
    np.testing.assert_allclose(made, call(tf.constant(text))["score"], rtol=1e-3, atol=1e-4)


def test_a_model_of_parsed_records_starts_at_each_part_that_its_layers_read(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy, light = _weights(4, 3), _weights(2, 3)
    kinds = {"age": ((2,), tf.float32), "form": ((4,), tf.float32), "size": ((3,), tf.float32)}

    def call(records: Any) -> Any:
        parts = tf.io.parse_example(records, {n: tf.io.FixedLenFeature(*kind) for n, kind in kinds.items()})
        return {"score": tf.nn.softmax(parts["form"] @ heavy + parts["age"] @ light) * tf.nn.relu(parts["size"])}

    path = _saved(tf.Module(), tmp_path / "model", call, tf.TensorSpec([None], tf.string, name="records"))
    out = tmp_path / "out.mlpackage"
    report = _fixed(path, workers, out)
    assert report.fix is not None and report.fix.converted and report.fix.verified and len(report.findings) == 1
    values = {name: RNG.normal(size=shape).astype("f") for name, (shape, _) in kinds.items()}
    features = {n: tf.train.Feature(float_list=tf.train.FloatList(value=v)) for n, v in values.items()}
    records = np.array([tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()])
    given = _script(out, monkeypatch)["before"](str(path), {"records": records})
    monkeypatch.undo()
    (made,) = evaluate(out, {name: value.numpy() for name, value in given.items()}, precision="float32").values()
    np.testing.assert_allclose(made, call(tf.constant(records))["score"], rtol=1e-3, atol=1e-4)


def test_what_decodes_the_scores_stays_in_the_app(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, dense = tf.Module(), _weights(8, 5)

    def call(frames: Any) -> Any:
        scores = tf.nn.log_softmax(frames @ dense)
        decoded, _ = tf.nn.ctc_beam_search_decoder(tf.transpose(scores, [1, 0, 2]), [12], beam_width=4)
        return {"letters": tf.sparse.to_dense(decoded[0], default_value=-1)}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([1, 12, 8], name="frames"))
    out = tmp_path / "out.mlpackage"
    fix = _fixed(path, workers, out).fix
    assert fix is not None and fix.converted and [e.recipe for e in fix.edits] == ["ends_before"]
    frames = RNG.normal(size=(1, 12, 8)).astype("f") * 3
    made = evaluate(out, {"frames": frames}, precision="float32")
    (letters,) = _script(out, monkeypatch)["after"](str(path), made).values()
    np.testing.assert_array_equal(letters, call(tf.constant(frames))["letters"])


def test_the_likeliest_letters_are_found_by_the_model_itself(tmp_path: Path, workers: Workers) -> None:
    module, dense = tf.Module(), _weights(8, 5)

    def call(frames: Any) -> Any:
        decoded, _ = tf.nn.ctc_greedy_decoder(tf.transpose(frames @ dense, [1, 0, 2]), [12])
        return {"letters": tf.sparse.to_dense(decoded[0], default_value=-1)}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([1, 12, 8], name="frames"))
    out = tmp_path / "out.mlpackage"
    fix = _fixed(path, workers, out).fix
    assert fix is not None and fix.converted and not fix.moved
    frames = RNG.normal(size=(1, 12, 8)).astype("f") * 3
    (letters,) = evaluate(out, {"frames": frames}, precision="float32").values()
    np.testing.assert_array_equal(letters, call(tf.constant(frames))["letters"])


def test_what_the_model_gives_beside_passes_through(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, dense = tf.Module(), _weights(8, 5)
    init = tf.lookup.KeyValueTensorInitializer(tf.range(5, dtype=tf.int64), list("abcde"))
    module.names = tf.lookup.StaticHashTable(init, "")

    def call(x: Any) -> Any:
        scores = tf.nn.softmax(x @ dense)
        return {"best": module.names.lookup(tf.argmax(scores, 1)), "scores": scores}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([2, 8], name="x"))
    out = tmp_path / "out.mlpackage"
    report = _fixed(path, workers, out, numbers="random")
    assert report.fix is not None and [e.recipe for e in report.fix.edits] == ["ends_before"]
    assert report.numbers is not None and report.numbers.compared and report.fix.edited is not None
    x = RNG.normal(size=(2, 8)).astype("f")
    made = _script(out, monkeypatch)["after"](str(path), evaluate(out, {"x": x}, precision="float32"))
    wanted = call(tf.constant(x))
    assert len(made) == 2
    for value in made.values():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(value, wanted["scores"], rtol=1e-3)
        else:
            assert np.asarray(value).tolist() == wanted["best"].numpy().tolist()


def test_what_overflows_behind_a_moved_boundary_is_seen(tmp_path: Path, workers: Workers) -> None:
    module, rows = tf.Module(), np.full((9, 4), 500.0, "f")
    module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), 0)

    def call(text: Any) -> Any:
        read = tf.gather(rows, module.table.lookup(text))
        return {"length": tf.sqrt(tf.reduce_sum(tf.square(read, name="squares"), -1)) @ tf.ones((3, 1))}

    path = _saved(module, tmp_path / "model", call, tf.TensorSpec([1, 3], tf.string, name="text"))
    report = _fixed(path, workers, tmp_path / "out.mlpackage", numbers="random")
    assert report.fix is not None and report.fix.converted and report.fix.moved
    assert report.exit_code == 1 and [f.error_type for f in report.findings[1:]] == ["overflow"]


# --- where it may move -----------------------------------------------------------------------------------------------


def _program(build: Any) -> Any:
    with tf.Graph().as_default() as graph:
        build()
    return graph.as_graph_def(add_shapes=True)


def _failure(op: str) -> Failure:
    return Failure(Signature(Stage.LOWERING, None, "E", ""), "E", "", (Frame("", op),))


def _layers(x: Any, op: Any) -> Any:
    for number in range(2):
        x = tf.matmul(x, np.ones((4, 4), "f"), name=f"before{number}")
    x = op(x)
    for number in range(2):
        x = tf.matmul(x, np.ones((4, 4), "f"), name=f"behind{number}")
    return tf.identity(x, name="out")


def test_no_layer_is_left_to_the_app() -> None:
    placeholder = tf.compat.v1.placeholder
    program = _program(
        lambda: _layers(placeholder(tf.float32, [1, 4], name="x"), lambda x: tf.math.igamma(x, x, name="odd"))
    )
    assert moved(program, ["out"], [_failure("odd")], frozenset()) is None


def test_it_starts_behind_what_stands_at_the_front_and_other_inputs_stay() -> None:
    placeholder = tf.compat.v1.placeholder

    def build() -> None:
        size = tf.cast(tf.strings.length(placeholder(tf.string, [1, 4], name="words")), tf.float32, name="sizes")
        tf.add(_layers(size, tf.tanh), placeholder(tf.float32, [1, 4], name="other"), name="sum")

    found = moved(_program(build), ["sum"], [], frozenset())
    assert found is not None and [(e.recipe, e.op) for e in found.edits] == [("starts_here", "StringLength")]
    assert {n.name for n in found.program.node if n.op == "Placeholder"} == {"StringLength", "other"}
    assert found.results == ("sum",)


def test_it_ends_before_what_stands_at_the_back_and_other_outputs_stay() -> None:
    placeholder = tf.compat.v1.placeholder

    def build() -> None:
        made = _layers(placeholder(tf.float32, [1, 4], name="x"), tf.tanh)
        tf.strings.join([tf.as_string(made, name="words"), tf.constant("!")], name="said")
        tf.reduce_sum(made, name="total")

    found = moved(_program(build), ["said", "total"], [], frozenset())
    assert found is not None and [(e.recipe, e.op) for e in found.edits] == [("ends_before", "words")]
    assert found.results == ("total", "out_0_to_app")


def test_the_same_is_not_moved_twice() -> None:
    placeholder = tf.compat.v1.placeholder
    program = _program(lambda: _layers(tf.cast(tf.strings.length(placeholder(tf.string, [1, 4])), tf.float32), tf.tanh))
    found = moved(program, ["out"], [], frozenset())
    assert found is not None and moved(program, ["out"], [], found.bad) is None
