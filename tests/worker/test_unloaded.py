"""A SavedModel that is frozen without its large weights gives the graph that loading it all gives, to the last constant.

Other models are held to that by `BISECT_CONVERT_MODELS='/models/*' pytest -n 0 tests/worker/test_unloaded.py`, with
`BISECT_CONVERT_LARGE=8` so that nearly every weight of theirs counts as large.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import Session
from bisect_convert.errors import EnvironmentError_
from bisect_convert.model import facts
from bisect_convert.probe.client import Workers
from bisect_convert.worker.nodes import called_by_role
from bisect_convert.worker.read import opening, writing
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.unloaded import read_unloaded
from bisect_convert.worker.request import Load
from bisect_convert.worker.weights import true_weights

#: The SavedModels of this repository.
FIXTURES = sorted(str(p.parent) for p in Path(__file__).parents[2].glob("fixtures/*/model/saved_model.pb"))
#: Those that the environment names, else a few of the fixtures, whose weights are as large as they are.
MODELS = sorted(p for p in glob.glob(os.environ.get("BISECT_CONVERT_MODELS", "")) if os.path.isdir(p)) or FIXTURES[:3]


def graph_of(folder: Path) -> Any:
    """The graph, with functions called by the order in which they are met, which TensorFlow numbers as it goes.

    Its inputs are in the order of their names: TensorFlow puts them in another each time.
    """
    graph_def = tf.compat.v1.GraphDef.FromString((folder / "graph.pb").read_bytes())
    library = {f.signature.name: f for f in graph_def.library.function}
    met: dict[str, str] = {}
    todo = list(graph_def.node)
    while todo:
        for _, name in called_by_role(todo.pop(0)):
            if name not in met:
                met[name] = f"function {len(met)}"
                todo += list(library[name].node_def) if name in library else []
    for node in [*graph_def.node, *(n for f in graph_def.library.function for n in f.node_def)]:
        for reference in (f for a in node.attr.values() for f in [a.func, *a.list.func] if f.name in met):
            reference.name = met[reference.name]
    for function in graph_def.library.function:
        function.signature.name = met.get(function.signature.name, function.signature.name)
    nodes = sorted(graph_def.node, key=lambda n: (n.op != "Placeholder", n.name if n.op == "Placeholder" else ""))
    del graph_def.node[:]
    graph_def.node.extend(nodes)
    ordered = sorted(graph_def.library.function, key=lambda f: f.signature.name)
    del graph_def.library.function[:]
    graph_def.library.function.extend(ordered)
    return graph_def


def read(path: str, folder: Path) -> facts.Facts:
    folder.mkdir()
    opening.read_model(Load(path, str(folder)))
    return facts.read(folder)


def held_against_loading(path: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> facts.Facts:
    """Read the model both ways and compare all that there is; returns what was read without loading."""
    light = read(path, folder / "light")
    with monkeypatch.context() as changed:
        for name in ("read_unloaded", "written_without"):
            changed.setattr(opening, name, lambda *given: None)
        full = read(path, folder / "full")
    assert graph_of(folder / "light") == graph_of(folder / "full")
    assert sorted(map(str, light.inputs)) == sorted(map(str, full.inputs))
    for name in ("path", "signature", "signatures", "slim", "mib", "keys", "refused", "handed", "variants"):
        assert getattr(light, name) == getattr(full, name), name
    assert light.graphs[""].results == full.graphs[""].results
    found, expected = true_weights(folder / "light"), true_weights(folder / "full")
    assert set(found) == set(expected)
    for name in found:
        assert found[name].attr["_output_shapes"] == expected[name].attr["_output_shapes"]
        values = [tf.make_ndarray(each[name].attr["value"].tensor) for each in (found, expected)]
        np.testing.assert_array_equal(*values)
    return light


@pytest.mark.parametrize("path", MODELS, ids=lambda path: "-".join(Path(path).parts[-2:]))
def test_models_with_weights_as_large_as_they_are(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", int(os.environ.get("BISECT_CONVERT_LARGE", writing.SLIM_ABOVE)))
    held_against_loading(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: Path(path).parent.name)
def test_fixtures_whose_weights_all_count_as_large(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 3)
    held_against_loading(path, tmp_path, monkeypatch)


def saved(module: tf.Module, call: Any, folder: Path) -> str:
    module.call = tf.function(call, input_signature=[tf.TensorSpec([1, 8, 8, 4], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return str(folder)


def weighty(folder: Path) -> str:
    """A model that uses large weights in each of the ways that matter to folding."""
    module, random = tf.Module(), np.random.default_rng(0)
    for name, shape in {"kernel": (3, 3, 4, 8), "scaled": (1, 1, 8, 8), "table": (8, 16), "shift": (8, 8, 8)}.items():
        setattr(module, name, tf.Variable(random.normal(0, 1, shape).astype("f")))
    module.scale, module.zeros = tf.Variable(random.normal(0, 1, 8).astype("f")), tf.Variable(tf.zeros([8, 8, 8]))
    module.ones = tf.Variable(tf.ones([8, 8, 8]))

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.nn.conv2d(x, module.kernel, 1, "SAME", name="kept") + module.shift
        x = tf.nn.conv2d(x + module.zeros, module.scaled, 1, "SAME", name="moved") * module.scale * module.ones
        x = x * tf.reduce_mean(module.table) * tf.cast(tf.argmax(module.table[:, 0]), tf.float32)
        x = (
            tf.matmul(tf.matmul(x, module.table), module.table, transpose_b=True)
            + tf.gather(module.table, [0], axis=1)[:, 0]
        )
        return {"y": x @ tf.transpose(module.table) if x.shape[-1] == 16 else x}

    return saved(module, call, folder)


def test_weights_that_are_folded_moved_or_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    known = held_against_loading(weighty(tmp_path / "model"), tmp_path, monkeypatch)
    assert known.unread is not None and known.unread.derived  # the kernel with the scale in it
    assert any(key.startswith("kernel") for key in known.unread.variables.values())
    assert not any(key.startswith("table") for key in known.unread.variables.values())  # values of it were read
    assert not any(key.startswith(("zeros", "ones")) for key in known.unread.variables.values())


def test_constants_of_the_code_around_are_found_without_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    module, inner = tf.Module(), tf.constant(np.arange(64).reshape(4, 16) % 5, tf.float32)
    module.kernel, words = tf.Variable(tf.ones([16, 4])), tf.constant(["seven", "eight"])
    module.choice, module.flag = tf.Variable(3), tf.constant(True)

    @tf.function(jit_compile=True)
    def called(x: tf.Tensor) -> tf.Tensor:
        return tf.math.erfc(x) @ inner

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        length = tf.strings.length(words)[0]
        return {"y": tf.cond(module.flag, lambda: called(x) @ module.kernel, lambda: x) * tf.cast(length, tf.float32)}

    path = saved(module, call, tmp_path / "model")
    assert read_unloaded(Load(path, str(tmp_path)), Reading(path)) is not None
    held_against_loading(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("end", ["keras", "h5"])
def test_a_keras_file_is_frozen_without_its_large_weights(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    layers = tf.keras.layers
    x = image = layers.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.BatchNormalization(moving_variance_initializer="random_uniform")(x)
    model = tf.keras.Model(image, layers.Dense(8)(layers.Flatten()(layers.Conv2D(8, 3, use_bias=False)(x))))
    model.save(tmp_path / f"model.{end}")
    known = held_against_loading(str(tmp_path / f"model.{end}"), tmp_path, monkeypatch)
    assert known.unread is not None and known.unread.derived and not known.unread.variables
    assert (tmp_path / "light/known.pb").stat().st_size > 0


def test_a_weight_alone_is_read_from_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    known = read(weighty(tmp_path / "model"), tmp_path / "facts")
    assert known.unread is not None
    weights = true_weights(tmp_path / "facts")
    assert all(weights[name].op == "Const" for name in known.unread.variables)
    assert not (tmp_path / "facts/weights.pb").exists()
    assert [weights[name].name for name in known.unread.derived] == list(known.unread.derived)
    assert (tmp_path / "facts/weights.pb").exists()


def test_a_model_that_is_written_anew_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    known = read(path := weighty(tmp_path / "model"), tmp_path / "facts")
    os.utime(Path(path) / "variables/variables.index", ns=(0, 0))
    assert known.unread is not None
    for name in (next(iter(known.unread.variables)), known.unread.derived[0]):
        with pytest.raises(EnvironmentError_, match="was changed"):
            true_weights(tmp_path / "facts")[name]


def test_another_value_of_one_weight_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLIM_ABOVE", 32)
    digests = []
    module = tf.Module()
    for value in (1.0, 1.0, 2.0):
        module.kernel = tf.Variable(np.append(np.zeros(127, "f"), np.float32(value)).reshape(8, 4, 4, 1))
        path = saved(module, lambda x: {"y": tf.nn.conv2d(x, module.kernel, 1, "SAME")}, tmp_path / f"{len(digests)}")
        digests.append(read(path, tmp_path / f"facts{len(digests)}").digest)
    assert digests[0] == digests[1] != digests[2]


def stateful(folder: Path) -> str:
    module = tf.Module()
    module.count = tf.Variable(0.0)
    return saved(module, lambda x: {"y": x + module.count.assign_add(1.0)}, folder)


def with_table(folder: Path) -> str:
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 2], [3, 4]), -1)
    module.kernel = tf.Variable(1.0)
    return saved(module, lambda x: {"y": x * module.kernel, "z": module.table.lookup(tf.cast(x, tf.int32))}, folder)


def damaged(folder: Path) -> str:
    path = Path(weighty(folder)) / "variables/variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-40])
    return str(folder)


def with_an_unknown_op(folder: Path) -> str:
    """A model with another function than its signature that no TensorFlow can load."""
    module = tf.Module()
    module.other = tf.function(lambda x: tf.math.erfc(x), input_signature=[tf.TensorSpec([1])])
    path = Path(saved(module, lambda x: {"y": x + 1.0}, folder)) / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"\x12\x04Erfc", b"\x12\x04Erfx"))
    return str(folder)


@pytest.mark.parametrize("make", [stateful, with_table, damaged, with_an_unknown_op])
def test_what_is_not_known_to_be_the_same_is_left_to_loading(make: Callable[[Path], str], tmp_path: Path) -> None:
    path = make(tmp_path / "model")
    assert read_unloaded(Load(path, str(tmp_path)), Reading(path)) is None


def test_a_search_and_what_it_runs_have_the_true_values(tmp_path: Path, workers: Workers) -> None:
    module, random = tf.Module(), np.random.default_rng(0)
    for name, shape in {"direct": (8, 8, 4, 512), "moved": (1, 1, 512, 512), "scale": (512,)}.items():
        setattr(module, name, tf.Variable(random.normal(0, 0.1, shape).astype("f")))

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.math.erfc(tf.nn.conv2d(x, module.direct, 1, "SAME", name="direct"), name="culprit")
        return {"y": tf.nn.conv2d(x, module.moved, 1, "SAME", name="moved") * module.scale}

    path = saved(module, call, tmp_path / "model")
    x = random.normal(0, 1, (1, 8, 8, 4)).astype("f")
    with Session(path, workers=workers) as session:
        report = session.hunt(progress=False)
        assert [c.op for f in report.findings for c in f.culprits] == ["Erfc"] and report.complete
        assert report.findings[0].witness.confirmed
        assert not list(Path(workers.folder).rglob(writing.COMPLETE))  # nothing that was asked needed the weights
        (found,) = session.whole.run({"x:0": x}).values()
        assert list(Path(workers.folder).rglob(writing.COMPLETE))
    np.testing.assert_allclose(found, module.call(x)["y"], rtol=1e-5, atol=1e-5)
