"""Models that do not convert, edited until they do: what is written, that it computes the same, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import bisect_convert
from bisect_convert import Report
from bisect_convert.diagnose import find as find_module
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import Stopped, UsageError
from bisect_convert.fix import script as scripts
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import Destination, destination
from bisect_convert.fix.patches import patch_of, told_apart
from bisect_convert.fix.reading_code import Source
from bisect_convert.fix.script import names_taken, script
from bisect_convert.fix.step import Step
from bisect_convert.probe.client import Workers
from bisect_convert.render.fix_words import agreement_line
from bisect_convert.report.fix import Agreement, Fix

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
COMMAND = [sys.executable, "-m", "bisect_convert"]
#: Fixture -> the recipes with which it converts.
EDITED = {
    "erfc_in_cond": ["Erfc"],
    "roll_in_while": ["Roll"],
    "keras_lstm": ["without_limit"],
    "pair_apart": ["bridged"],
    "pair_only": ["renamed", "renamed"],
    "rank6": ["low_ranks"],
    "residual_ok": [],
    "string_label_pass": ["as_classifier"],
}


def fix_of(name: str, workers: Workers, place: Destination | None = None) -> tuple[Report, Fix]:
    report = find_packed(
        FIXTURES / name / "model", {}, Wishes(first=True), workers, fixing=partial(fixed, destination=place)
    )
    assert report.fix is not None
    return report, report.fix


@pytest.mark.parametrize("name", EDITED)
def test_it_converts_with_edits_that_change_nothing(name: str, workers: Workers) -> None:
    report, fix = fix_of(name, workers)
    assert fix.converted
    assert report.exit_code == 0
    assert sorted(edit.recipe for edit in fix.edits) == sorted(EDITED[name])
    assert all(edit.equal is None or edit.equal.max_rel <= 1e-6 for edit in fix.edits)
    assert fix.agreement is not None
    assert fix.agreement.samples >= 4
    assert fix.agreement.max_rel <= 1e-6
    assert all(edit.finding == 1 for edit in fix.edits)


def test_constants_without_a_value_are_folded(workers: Workers, tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        y = tf.compat.v1.placeholder(tf.float32, [1, 4], name="x")
        for number in range(3):
            held = tf.constant(np.array([[number, 3, 7, 250]] * 4, np.uint8), tf.quint8)
            kept = {"min_range": -0.5, "max_range": 0.5, "mode": "MIN_FIRST"}
            y = tf.tanh(tf.matmul(y, tf.raw_ops.Dequantize(input=held, **kept, name=f"weights{number}")))
    path = tmp_path / "net.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    place = destination(str(tmp_path / "net.mlpackage"), {}, overwrite=False)
    report = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place))
    fix = report.fix
    assert fix is not None and fix.converted and fix.verified and fix.agreement is not None
    assert [edit.recipe for edit in fix.edits] == ["folded"] * 3
    assert fix.agreement.max_rel <= 1e-6
    assert "`weights0` and 2 more places: What follows from constants alone is given as its value" in " ".join(
        str(report).split()
    )


def test_what_no_edit_mends_is_said(workers: Workers, tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.strings.length(tf.compat.v1.placeholder(tf.string, [1], name="words"), name="lengths")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    report = find_packed(tmp_path / "net.pb", {}, Wishes(), workers, fixing=partial(fixed, destination=None))
    fix = report.fix
    assert fix is not None
    assert not fix.converted
    assert report.exit_code == 1
    assert fix.remaining
    assert fix.reasons
    assert Report.from_json(report.to_json()) == report
    assert "no converted model" in str(report)


def test_the_command_writes_a_model_and_a_script_that_makes_it_again(tmp_path: Path) -> None:
    out = tmp_path / "net.mlpackage"
    command = [*COMMAND, str(FIXTURES / "erfc_in_cond" / "model"), "--fix", str(out), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fix = json.loads(done.stdout)["fix"]
    assert fix["converted"]
    assert fix["verified"]
    assert fix["model"] == str(out)
    assert fix["edits"][0]["at"] == ["StatefulPartitionedCall/gate/cond/gate/cond/Erfc"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.fix.py", "net.mlpackage"]
    assert "bisect_convert" not in (tmp_path / "net.fix.py").read_text()
    again = subprocess.run([*command, "--no-cache"], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "exists already; pass --overwrite" in again.stderr


def test_convert_takes_a_model_in_memory_and_warns_of_its_edits() -> None:
    code = """
import sys, warnings
import tensorflow as tf
import bisect_convert

@tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
def net(x):
    return tf.math.erfc(tf.nn.relu(x)) + tf.roll(x, 1, 1)

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    model = bisect_convert.convert([net.get_concrete_function()], source="tensorflow")
print(type(model).__name__, sum("converted, with edits" in str(w.message) for w in said))
try:
    bisect_convert.convert(tf.function(lambda s: tf.strings.length(s)).get_concrete_function(tf.TensorSpec([1], tf.string)))
except bisect_convert.NotConverted as error:
    print(type(error).__name__, error.report.verdict)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["MLModel", "1", "NotConverted", "fails"], done.stderr[-2000:]


def test_a_destination_is_looked_at_before_the_work_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is to end in \.mlpackage"):
        destination(str(tmp_path / "net"), {})
    with pytest.raises(UsageError, match=r"is to end in \.mlmodel"):
        destination(str(tmp_path / "net.mlpackage"), {"convert_to": "neuralnetwork"})
    with pytest.raises(UsageError, match="no such folder"):
        destination(str(tmp_path / "no" / "net.mlpackage"), {})
    (tmp_path / "net.fix.py").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        destination(str(tmp_path / "net.mlpackage"), {})
    assert destination(str(tmp_path / "net.mlpackage"), {}, overwrite=True).path == tmp_path / "net.mlpackage"


def test_what_was_there_stays_where_the_new_cannot_be_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Destination(tmp_path / "net.mlpackage")
    place.path.mkdir()
    (place.path / "old").touch()
    made = tmp_path / "made"
    made.mkdir()
    script_text = tmp_path / "script"
    script_text.touch()

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        place.filled(Fix(True), made, script_text)
    assert [p.name for p in place.path.iterdir()] == ["old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made", "net.mlpackage", "script"]


def test_no_name_of_a_model_gets_out_of_a_scripts_literals() -> None:
    name = 'x"""; import os; os.abort()\n\\"""'
    step = Step(((name, "body"),), name, "Erfc", True, name)
    text = script(Source(f"/{name}", "saved_model", name), [step], [name], {}, name, name)
    compile(text, "script", "exec")
    lines = [line for line in text.splitlines() if "os.abort" in line]
    assert lines
    assert all(ascii(name)[1:-1] in line or line.startswith(("  ", "Model:")) for line in lines)
    assert "bisect_convert" not in text.partition('"""\n')[2].replace("bisect-convert", "")


def test_no_two_functions_of_a_script_have_one_name() -> None:
    defined = [name for module in scripts._modules() for name in module.defined if not name.startswith("_")]
    assert len(defined) == len(set(defined))

    def rows(x: Any) -> Any:
        return x

    first = patch_of("a", rows)

    def rows(x: Any) -> Any:  # type: ignore[no-redef]
        return rows(-x)

    def Erfc(x: Any) -> Any:
        return 1.0 - tf.math.erf(x)

    made = told_apart([first, first, patch_of("b", rows), patch_of("c", Erfc)], names_taken())
    assert [p.name for p in made] == ["rows", "rows", "rows_2", "Erfc_2"]
    assert made[2].source is None or "def rows_2" in made[2].source
    assert made[3].source is not None and made[3].source.startswith("def Erfc_2(x")


def test_the_public_names_are_there() -> None:
    assert {"convert", "NotConverted"} <= set(bisect_convert.__all__)


@pytest.mark.parametrize("faithful", [True, False])
def test_what_was_written_is_evaluated_beside_the_original(workers: Workers, tmp_path: Path, faithful: bool) -> None:
    import tensorflow as tf

    def call(x: Any) -> Any:
        y = tf.roll(x, 1, 1)
        return {"y": y if faithful else tf.raw_ops.ResizeNearestNeighbor(images=y, size=(3, 3), name="smaller")}

    module = tf.Module()
    module.call = tf.function(call, input_signature=[tf.TensorSpec((1, 8, 8, 3), name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    place = Destination(tmp_path / "out.mlpackage")
    report = find_packed(
        tmp_path / "model", {}, Wishes(numbers="random"), workers, fixing=partial(fixed, destination=place)
    )
    fix = report.fix
    assert fix is not None and fix.converted and fix.agreement is not None and fix.edited is not None
    assert fix.edited.max_rel <= 1e-6 and report.numbers is not None
    assert report.exit_code == (0 if faithful else 1)
    if faithful:
        assert 0 < fix.agreement.max_rel <= 2e-3 and len(report.findings) == 1
    else:
        (culprit,) = report.findings[1].culprits
        assert (report.findings[1].error_type, culprit.op) == ("converter", "ResizeNearestNeighbor")
        assert fix.agreement.max_rel > 0.1


def test_by_itself_a_difference_is_a_note_and_the_model_stands(workers: Workers, tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.call = tf.function(
        lambda x: {"y": tf.raw_ops.ResizeNearestNeighbor(images=tf.roll(x, 1, 1), size=(3, 3))},
        input_signature=[tf.TensorSpec((1, 8, 8, 3), name="x")],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    place = Destination(tmp_path / "out.mlpackage")
    report = find_packed(
        tmp_path / "model", {}, Wishes(numbers="auto"), workers, fixing=partial(fixed, destination=place)
    )
    assert report.exit_code == 0 and len(report.findings) == 1 and report.fix is not None and report.fix.converted
    assert any("computes something else than the original" in note for note in report.notes)
    assert report.fix.agreement is not None and report.fix.agreement.max_rel > 0.1


def test_outputs_without_a_number_are_infinitely_far_apart_and_null_in_json() -> None:
    fix = Fix(True, agreement=Agreement(None, None, 5), edited=Agreement(0.0, 0.0, 4))
    assert "evaluated: infinitely far apart" in agreement_line(fix)
    assert json.loads(json.dumps(asdict(fix), allow_nan=False))["agreement"] == {
        "max_abs": None, "max_rel": None, "samples": 5
    }  # fmt: skip


@pytest.mark.parametrize("when", ["as it edits", "as it compares"])
def test_what_is_known_stands_where_it_is_stopped(when: str, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> Fix:
        raise KeyboardInterrupt

    fixing = stopped if when == "as it edits" else partial(fixed, destination=None)
    if when == "as it compares":
        monkeypatch.setattr(find_module, "held_against_the_original", stopped)
    with pytest.raises(Stopped) as stop:
        find_packed(FIXTURES / "erfc_in_cond/model", {}, Wishes(first=True), workers, fixing=fixing)
    report = stop.value.report
    assert report is not None and [c.op for f in report.findings for c in f.culprits] == ["Erfc"]
    assert (report.fix is None) is (when == "as it edits")
    assert any(note.startswith("stopped while") for note in report.notes)
