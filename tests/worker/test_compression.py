"""The step behind a conversion, `optimize`: what fails in it is found, told apart from the call's fault, and mended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bisect_convert import find
from bisect_convert.arguments.as_code import arguments_code, step_code
from bisect_convert.arguments.compression_steps import STEPS
from bisect_convert.arguments.packing import pack, shown
from bisect_convert.cli.options import packed_options, parse
from bisect_convert.errors import EnvironmentError_, UsageError
from bisect_convert.model.outcome import Outcome, Signature, Stage, Verdict, judge
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report
from bisect_convert.worker.unpacking import unpack

WEIGHTS = np.random.default_rng(0).standard_normal((64, 64)).astype("float32")


def graph(build: Callable[[Any], Any], *shape: int) -> Any:
    """The GraphDef of what `build` makes of a placeholder `x`."""
    import tensorflow as tf

    with tf.Graph().as_default() as made:
        build(tf.compat.v1.placeholder(tf.float32, shape, name="x"))
    return made.as_graph_def()


def dense(x: Any, weights: Any = WEIGHTS, name: str = "dense") -> Any:
    import tensorflow as tf

    return tf.nn.relu(tf.matmul(x, weights, name=f"{name}/MatMul"), name=f"{name}_out")


def cropped(x: Any) -> Any:
    """A crop between two layers: read back for a newer target, its new input is of another dtype than its first."""
    import tensorflow as tf

    image = tf.reshape(dense(x), [1, 8, 8, 1], name="image")
    crop = tf.image.crop_and_resize(image, [[0.0, 0.0, 1.0, 1.0]], [0], [8, 8], name="crop")
    return dense(tf.reshape(crop, [1, 64], name="flat"), name="head")


@pytest.fixture(scope="module")
def crop(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return find(graph(cropped, 1, 64), optimize="linear8", workers=workers, out=tmp_path_factory.mktemp("out"))


def test_an_op_that_converts_and_fails_in_the_step_is_blamed_at_a_stage_of_its_own(crop: Report) -> None:
    (finding,) = crop.findings
    assert (finding.stage, finding.pass_name) == ("optimize", "common::topological_reorder")
    assert [c.name for c in finding.culprits] == list(finding.witness.ops) == ["crop"]
    assert finding.witness.minimal and finding.witness.confirmed and crop.complete
    assert "CropAndResize (float32, int32 -> float32) converts and then fails" in str(crop)
    assert crop.options["optimize"] == "linear8"
    assert "what fails in the pass `common::topological_reorder` is the step `linear8`" in finding.explanation


def test_the_target_with_which_the_step_goes_through_is_a_remedy(crop: Report) -> None:
    (remedy,) = [r for r in crop.findings[0].remedies if r.verified]
    assert remedy.code == "minimum_deployment_target=ct.target.iOS16"


def test_the_same_model_converts_where_no_step_follows_or_the_target_is_newer(workers: Workers) -> None:
    model = graph(cropped, 1, 64)
    assert find(model, workers=workers).verdict == "converts"
    assert find(model, workers=workers, optimize="prune", minimum_deployment_target="iOS16").verdict == "converts"


def test_the_repro_does_the_step_and_needs_nothing_of_ours(crop: Report) -> None:
    script = Path(crop.findings[0].repro or "")
    assert "cto.linear_quantize_weights(model, config)" in script.read_text()
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "pad_value" in done.stdout


@pytest.mark.parametrize(
    ("options", "argument", "code"),
    [
        ({"convert_to": "neuralnetwork"}, "convert_to", "convert_to='mlprogram'"),
        ({"convert_to": "milinternal"}, "convert_to", "convert_to='mlprogram'"),
        (
            {"minimum_deployment_target": "iOS14"}, "minimum_deployment_target",
            "minimum_deployment_target=ct.target.iOS15",
        ),
        (
            {"convert_to": "neuralnetwork", "minimum_deployment_target": "iOS14"}, "convert_to",
            "convert_to='mlprogram', minimum_deployment_target=ct.target.iOS15",
        ),
    ],
)  # fmt: skip
def test_a_format_that_the_step_does_not_take_is_the_calls_fault(
    options: dict[str, Any], argument: str, code: str, workers: Workers
) -> None:
    report = find(graph(dense, 1, 64), optimize="linear8", workers=workers, first=True, **options)
    (finding,) = report.findings
    assert finding.stage == "optimize" and not finding.culprits
    assert finding.explanation.startswith(f"The argument `{argument}` of `ct.convert`")
    assert finding.remedies[0].verified and finding.remedies[0].code == code


def test_the_calls_fault_is_seen_behind_an_op_that_does_not_convert(workers: Workers) -> None:
    import tensorflow as tf

    model = graph(lambda x: dense(tf.roll(x, 1, 1, name="roll")), 1, 64)
    report = find(model, optimize="prune", convert_to="neuralnetwork", workers=workers)
    assert [(f.stage, [c.name for c in f.culprits]) for f in report.findings] == [
        ("lowering", ["roll"]), ("optimize", []),
    ]  # fmt: skip
    assert report.complete


def test_a_bool_input_that_a_loop_reads_fails_and_a_cut_through_a_bool_does_not(workers: Workers) -> None:
    import tensorflow as tf

    def loop(mask: Any, x: Any) -> Any:
        def body(i: Any, y: Any) -> Any:
            return i + 1, tf.roll(tf.where(tf.logical_or(mask, y > 5.0), y * 2.0, y), 1, 1, name="roll")

        return tf.while_loop(lambda i, y: i < 3, body, [0, x], name="loop")[1]

    kinds = [tf.TensorSpec([1, 4], tf.bool, "mask"), tf.TensorSpec([1, 4], tf.float32, "x")]
    given = tf.function(loop, input_signature=kinds).get_concrete_function()
    made = tf.function(lambda x: loop(x > 0.0, x), input_signature=kinds[1:]).get_concrete_function()
    report = find(given, optimize="linear8", workers=workers)
    assert [(f.stage, {c.op for c in f.culprits} - {"StatelessWhile"}) for f in report.findings] == [
        ("lowering", {"Roll"}), ("optimize", {"Placeholder"}),
    ]  # fmt: skip
    report = find(made, optimize="linear8", workers=workers)
    assert [f.stage for f in report.findings] == ["lowering"] and report.complete


def test_what_the_step_needs_and_does_not_have_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sklearn.py").write_text("raise ModuleNotFoundError('No module named sklearn', name='sklearn')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvironmentError_, match="palettize4 needs scikit-learn .*: pip install scikit-learn"):
        find(graph(dense, 1, 64), optimize="palettize4")


@pytest.mark.parametrize("size", [64, 300])
def test_the_one_layer_whose_weights_are_at_fault_is_found_and_may_be_left_out(size: int, workers: Workers) -> None:
    good = np.random.default_rng(0).standard_normal((size, size)).astype("float32")
    bad = good.copy()
    bad[3, 3] = np.nan
    model = graph(lambda x: dense(dense(x, good, "first"), bad, "second"), 1, size)
    report = find(model, optimize="palettize4", compute_precision="float32", workers=workers)
    (finding,) = report.findings
    assert finding.pass_name == "compression::palettize_weights"
    assert [c.name for c in finding.culprits] == ["second/MatMul"] and report.complete
    (remedy,) = [r for r in finding.remedies if r.verified]
    assert "op_name_configs={'second_MatMul': None}" in (remedy.code or "")
    assert any("its own weights" in note for note in report.notes) == (size == 300)


def test_the_argument_travels_with_those_of_the_conversion() -> None:
    packed = pack({"optimize": "prune", "convert_to": "mlprogram"})
    assert json.loads(json.dumps(packed)) == packed == {"optimize": "prune", "convert_to": "mlprogram"}
    assert unpack(packed) == {"convert_to": "mlprogram"}
    assert shown(packed)["optimize"] == "prune"
    assert arguments_code(packed) == "convert_to='mlprogram'"
    assert packed_options(parse(["m", "--optimize", "linear8"])) == {"optimize": "linear8"}
    with pytest.raises(UsageError, match="linear8, palettize4, prune"):
        pack({"optimize": "int4"})


@pytest.mark.parametrize("step", STEPS)
def test_the_code_shown_is_what_the_probes_do(step: str, workers: Workers) -> None:
    import coremltools as ct

    model = ct.convert(graph(dense, 1, 64), source="tensorflow", skip_model_load=True)
    names: dict[str, Any] = {"model": model}
    wanted = {"step": step, "without": ["dense_MatMul_cast_fp16"]}
    exec(step_code(step).split("model = ")[0], names)
    assert set(names["config"].op_name_configs) == set()
    exec(step_code(wanted), names)
    assert isinstance(names["model"], ct.models.MLModel)


def test_a_section_that_passes_the_step_is_no_failure_of_it() -> None:
    target = Signature(Stage.OPTIMIZE, "compression::prune_weights", "ValueError", "odd")
    assert judge(Outcome(reached=Stage.OPTIMIZE), target) is Verdict.PASS
    assert judge(Outcome(reached=Stage.BACKEND), target) is Verdict.UNRESOLVED
