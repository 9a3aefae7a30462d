"""The call that is shown for a model is run as it stands, and what `ct.convert` says to the model itself is seen."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bisect_convert import find
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.probe.client import Workers
from bisect_convert.render import words
from bisect_convert.report.report import Report

KINDS = (
    "functional.h5",
    "functional.keras",
    "sequential.h5",
    "sequential.keras",
    "one_signature",
    "exported",
    "frozen.pb",
)


def sequential() -> Any:
    return tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in every form that the command takes."""
    folder, stacked = tmp_path_factory.mktemp("handed"), sequential()
    functional = tf.keras.Model(stacked.inputs, stacked.outputs)
    for end in ("h5", "keras"):
        stacked.save(folder / f"sequential.{end}")
        functional.save(folder / f"functional.{end}")
    functional.export(folder / "exported")
    function = tf.function(lambda x: {"y": functional(x)}).get_concrete_function(tf.TensorSpec((1, 4), name="x"))
    tf.saved_model.save(functional, str(folder / "one_signature"), signatures=function)
    frozen = convert_variables_to_constants_v2(function)
    (folder / "frozen.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return folder


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as started:
        yield started


def converted(report: Report, **known: Any) -> Any:
    """What the last line of the call makes."""
    *opening, call = ast.parse(report.call).body
    scope = {"tf": tf, "ct": ct, **known}
    exec(compile(ast.Module(opening, []), "call", "exec"), scope)
    assert isinstance(call, ast.Expr)
    return eval(compile(ast.Expression(call.value), "call", "eval"), scope)


def refused(model: Any) -> bool:
    try:
        ct.convert(model, source="tensorflow")
    except Exception:
        return True
    return False


@pytest.mark.parametrize("name", KINDS)
def test_the_call_that_is_shown_converts_and_a_call_that_fails_is_said(
    files: Path, workers: Workers, name: str
) -> None:
    path = str(files / name)
    report = find(path, workers=workers)
    assert len(converted(report).get_spec().description.input) == 1
    assert report.to_dict()["converter"]["call"] == report.call
    said = any("itself " in note for note in report.notes) or bool(report.findings)
    assert said == refused(path)
    keras = name.startswith("sequential")
    assert (report.verdict, len(report.findings)) == (("fails", 1) if keras else ("converts", 0))
    if keras:
        (finding,) = report.findings
        assert (finding.stage, finding.culprits) == ("load", ()) and "output_names" in finding.cause
        assert finding.remedies[0].verified and finding.remedies[0].code == report.call
    else:
        assert report.call.splitlines()[-1] in str(report)


class Doubled(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((2, 3))])
    def twice(self, x: Any) -> Any:
        return x + x


@pytest.mark.parametrize("kind", ["sequential", "functional", "function", "concrete", "listed", "module", "loaded"])
def test_models_in_memory_are_handed_over_as_shown(files: Path, workers: Workers, kind: str) -> None:
    stacked, module = sequential(), Doubled()
    models = {
        "sequential": stacked, "functional": tf.keras.Model(stacked.inputs, stacked.outputs), "function": module.twice,
        "concrete": module.twice.get_concrete_function(), "listed": [module.twice.get_concrete_function()],
        "module": module, "loaded": tf.saved_model.load(str(files / "exported")),
    }  # fmt: skip
    report = find(models[kind], workers=workers)
    assert converted(report, model=models[kind]) is not None
    assert (any("itself " in note for note in report.notes) or bool(report.findings)) == refused(models[kind])


def test_arguments_stand_in_the_call(files: Path, workers: Workers) -> None:
    arguments = {"inputs": [ct.TensorType(name="x", shape=(1, 4))], "minimum_deployment_target": ct.target.iOS17}
    report = find(str(files / "one_signature"), workers=workers, convert_to="mlprogram", **arguments)
    assert converted(report).get_spec().specificationVersion == ct.target.iOS17.value


@pytest.mark.parametrize("named", [{"name": "cleanup", "without": []}, {"without": ["common::fuse_conv_bias"]}])
def test_a_pipeline_stands_in_the_call_by_its_name(files: Path, workers: Workers, named: dict[str, Any]) -> None:
    packed = {"pass_pipeline": {"name": "default", **named}}
    report = find_packed(str(files / "one_signature"), packed, Wishes(), workers)
    assert len(report.call) < 300 and "pickled" not in report.call
    assert converted(report) is not None


def test_a_classifier_is_compared_and_its_labels_stand_in_the_call(files: Path, workers: Workers) -> None:
    config = ct.ClassifierConfig(["a", "b", "c"])
    report = find(str(files / "one_signature"), workers=workers, classifier_config=config, numbers="random")
    assert report.verdict == "converts" and report.numbers is not None and report.numbers.compared
    assert converted(report).get_spec().description.predictedFeatureName == "classLabel"


@pytest.mark.parametrize("kind", ["file", "function"])
def test_a_model_that_fails_and_is_refused_as_it_was_given_is_told_both(
    kind: str, tmp_path: Path, workers: Workers
) -> None:
    function = tf.function(lambda x: tf.math.erfc(x), input_signature=[tf.TensorSpec((2, 3), name="x")])
    path = tmp_path / "model.pb"
    path.write_bytes(function.get_concrete_function().graph.as_graph_def().SerializeToString())
    report = find(path if kind == "file" else function, workers=workers)
    assert (report.verdict, len(report.findings)) == ("fails", 1)
    (refusal,) = [n for n in report.notes if "itself refuses" in n]
    assert refusal in words.notes_before(report) and len(refusal) < 100
    assert any(report.call.splitlines()[-1] in n for n in report.notes if n != refusal)


def test_a_frozen_graph_with_functions_is_handed_over_as_a_fresh_process_takes_it(
    tmp_path: Path, workers: Workers
) -> None:
    def looped(x: Any) -> Any:
        return tf.while_loop(lambda i, y: tf.reduce_sum(y) < 100.0, lambda i, y: (i + 1, y * 2.0 + 1.0), [0, x])[1]

    concrete = tf.function(looped, input_signature=[tf.TensorSpec((1, 8), name="x")]).get_concrete_function()
    graph_def = convert_variables_to_constants_v2(concrete, lower_control_flow=False).graph.as_graph_def()
    (path := tmp_path / "looped.pb").write_bytes(graph_def.SerializeToString())
    report = find(path, workers=workers, numbers="off")
    assert report.verdict == "converts"
    text = f"import coremltools as ct\nimport tensorflow as tf\n{report.call}\n"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    held = find(graph_def, workers=workers, numbers="off")
    assert "wrap_function" in held.call and any("does not know the functions" in note for note in held.notes)


def test_a_graph_in_memory_that_fails_says_how_its_functions_were_made_known(workers: Workers) -> None:
    def looped(x: Any) -> Any:
        return tf.roll(tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * 2.0 + 1.0,), [x])[0], 1, 1)

    concrete = tf.function(looped, input_signature=[tf.TensorSpec((1, 8), name="x")]).get_concrete_function()
    graph_def = convert_variables_to_constants_v2(concrete, lower_control_flow=False).graph.as_graph_def()
    notes = find(graph_def, workers=workers, numbers="off").notes
    assert any("wrap_function" in note for note in notes) and not any("whatever is in it" in note for note in notes)
