"""Many models in one run: a row each, whatever becomes of one; causes together; and a second run that does what changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from leftovers import assert_nothing_is_left, processes

from bisect_convert.cli.command import main
from bisect_convert.cli.many import several

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with two models that fail by one op, and a file that is none."""
    folder = tmp_path / "models"
    for name in ("a", "deep/b"):
        shutil.copytree(FIXTURES / "exact_gelu" / "model", folder / name)
    (folder / "<c>.keras").write_text("no model")
    return folder


def test_models_are_found_in_folders_and_one_model_is_no_batch(models: Path) -> None:
    found = several([str(models)])
    assert found is not None and [Path(m).name for m in found] == ["<c>.keras", "a", "b"]
    assert several([str(models / "a")]) is None and several([str(models / "deep")]) is None
    assert several([str(models / "a"), str(models / "deep")]) == [str(models / "a"), str(models / "deep" / "b")]


def test_each_is_a_row_and_a_second_run_does_only_what_changed(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = models.parent / "out"
    words = [str(models), "--out", str(out), "--jobs", "2", "--quiet"]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert text.startswith("3 models: 1 was not read, 2 fail\n") and "lowering: Erfc       2       2       2" in text
    data = json.loads((out / "summary.json").read_text())
    assert [(row["cause"], len(row["models"])) for row in data["causes"]] == [("lowering: Erfc", 2)]
    assert data["models"][0]["why"].startswith("is no Keras file")
    page = (out / "summary.html").read_text()
    assert "&lt;c&gt;.keras" in page and "<c>" not in page
    suite = ElementTree.parse(out / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "1")
    written = {p: p.stat().st_mtime_ns for p in out.glob("*/report.json")}
    assert len(written) == 2
    (models / "a" / "note.txt").write_text("changed")
    assert main(words) == 1
    assert [p.parent.name for p in written if p.stat().st_mtime_ns != written[p]] == ["models_a"]


def test_ended_in_the_middle_what_is_known_is_kept(models: Path) -> None:
    out = models.parent / "out"
    command = [sys.executable, "-m", "bisect_convert", str(models), "--out", str(out), "--quiet"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while '"fails"' not in _text(out / "summary.json") and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGKILL)
    rows = {Path(row["model"]).name: row for row in json.loads((out / "summary.json").read_text())["models"]}
    assert rows["a"]["verdict"] == "fails" and rows["b"]["why"] == "stopped before its turn"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_pipe_in_a_models_place_is_a_row_and_not_waited_for(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/saved_model.pb", "deep/b/variables/variables.index"):
        (models / name).unlink()
        os.mkfifo(models / name)
    os.mkfifo(models / "d.pb")
    assert main([str(models), "--quiet", "--format", "json"]) == 3
    rows = {Path(row["model"]).name: row["why"] for row in json.loads(capsys.readouterr().out)["models"]}
    assert "its saved_model.pb is no file" in rows["a"] and "neither a file nor a folder" in rows["d.pb"]
    assert "its variables/variables.index is no file" in rows["b"]


#: Reading one of the models never ends.
HANGS = """
import time
from bisect_convert.worker.read import opening
real = opening.read_unloaded
def hangs(request, reading):
    if request.path.endswith("b"):
        time.sleep(600)
    return real(request, reading)
opening.read_unloaded = hangs
"""


def test_one_that_hangs_is_a_row_and_leaves_no_process(models: Path, tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    (tmp_path / "tmp").mkdir()
    words = [str(models), "--import", "hangs", "--model-timeout", "25", "--out", "out", "--format", "json", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "bisect_convert", *words], cwd=tmp_path, capture_output=True, text=True, timeout=200,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    rows = {Path(row["model"]).name: row for row in json.loads(done.stdout)["models"]}
    assert done.returncode == 1 and rows["a"]["verdict"] == "fails" and rows["a"]["key"]
    assert rows["b"]["verdict"] == "unread" and "did not come to an end within 25 s" in rows["b"]["why"]
    assert_nothing_is_left(tmp_path / "tmp")


def test_where_the_whole_run_is_killed_its_commands_end_too(models: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "bisect_convert", str(models), "--out", str(tmp_path / "out"), "--quiet"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}) as run:
        deadline = time.monotonic() + 60
        while len(processes(tmp_path / "tmp")) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        run.kill()
    assert_nothing_is_left(tmp_path / "tmp", seconds=40)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_what_is_known_and_goes_on_from_there(number: int, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "bisect_convert", str(models), "--out", str(out), "--quiet"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    ) as run:
        deadline = time.monotonic() + 60
        while '"fails"' not in _text(out / "summary.json") and time.monotonic() < deadline:
            time.sleep(0.1)
        run.send_signal(number)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 3 and "3 models: " in said
    assert_nothing_is_left(tmp_path / "tmp")
    written = (out / "models_a" / "report.json").stat().st_mtime_ns
    # by a process again: this one may import the package from elsewhere, on which a kept report hangs
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 1
    assert {row["verdict"] for row in json.loads(_text(out / "summary.json"))["models"]} == {"fails", "unread"}
    assert (out / "models_a" / "report.json").stat().st_mtime_ns == written


def test_what_one_model_only_can_be_asked_is_refused(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(models), "--fix", "out.mlpackage"]) == 2
    assert "--fix takes one model, and 3 are given" in capsys.readouterr().err
    assert main([str(models), "--format", "markdown"]) == 2


def test_a_model_among_others_gets_the_report_that_it_gets_alone(tmp_path: Path) -> None:
    """What functions are called, as TensorFlow numbers them, does not hang on the models before it."""
    for n in range(3):
        shutil.copytree(FIXTURES / "erfc_in_cond" / "model", tmp_path / "models" / f"m{n}")
    assert main([str(tmp_path / "models"), "--out", str(tmp_path / "all"), "--quiet", "--no-cache"]) == 1
    assert main([str(tmp_path / "models" / "m2"), "--out", str(tmp_path / "one"), "--quiet", "--no-cache"]) == 1
    alone, among = (json.loads((tmp_path / p / "report.json").read_text()) for p in ("one", "all/models_m2"))
    alone["findings"][0]["repro"] = among["findings"][0]["repro"]
    assert alone["findings"] == among["findings"] and alone["model"] == among["model"]
