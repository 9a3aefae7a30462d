"""The same command on the same model: the report is there at once, and nothing that has changed brings it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bisect_convert.cli import kept_reports
from bisect_convert.cli.kept_reports import KeptReport
from bisect_convert.cli.options import packed_options, parse
from bisect_convert.report.report import Report

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "render" / "golden" / "skip.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "fixtures" / "exact_gelu" / "model", tmp_path / "model")
    return tmp_path / "model"


def seconds(folder: Path) -> tuple[list[str], float]:
    """The report but for what it took, and the seconds that it says it took."""
    command = [sys.executable, "-m", "bisect_convert", "model", "--cache", str(folder / "cache")]
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=given, timeout=300)
    assert done.returncode == 1, done.stderr
    rows = done.stdout.splitlines()
    (took,) = [row for row in rows if row.endswith(" s") and " probe" in row]
    return [row for row in rows if row != took], float(took.split()[-2])


def test_the_same_command_has_its_report_at_once(model: Path) -> None:
    first, long = seconds(model.parent)
    again, short = seconds(model.parent)
    assert again == first and short < 1 < long  # tensorflow alone takes longer to be imported


def place(model: Path, *words: str) -> KeptReport:
    """Where the command's report is kept."""
    arguments = parse([str(model), *words])
    return KeptReport(arguments, packed_options(arguments), model.parent / "cache")


def kept(model: Path, report: Report | None = None) -> bool:
    """Whether the report is there once it was kept."""
    place(model).keep(report or Report.from_json(GOLDEN.read_text()))
    return place(model).read() is not None


def test_what_is_kept_comes_back_as_it_was_with_nothing_asked(model: Path) -> None:
    report = Report.from_json(GOLDEN.read_text())
    assert kept(model, report)
    known = place(model, "--format", "json", "--jobs", "2", "--quiet").read()
    assert known is not None and known.asked == 0 and known.cached == report.asked + report.cached
    assert replace(known, asked=report.asked, cached=report.cached, seconds=report.seconds) == report


@pytest.mark.parametrize(
    "words",
    [
        "--compute-precision float32", "--input x:1x4", "--output y", "--first", "--no-run", "--numbers zeros", "--out o",
        "--fix m.mlpackage", "--verbose", "--slow 2", "--format html", "--import layers",
        "--timeout 3", "--convert-to neuralnetwork",
    ],
)  # fmt: skip
def test_another_command_has_none(model: Path, words: str) -> None:
    assert kept(model)
    assert place(model, *words.split()).read() is None


def _edited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _added(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (model / "notes.txt").write_text("another file of the model")


def _mended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_reports, "fingerprint", lambda: "another coremltools")


def _other_keras(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")


@pytest.mark.parametrize("change", [_edited, _added, _mended, _other_keras])
def test_what_has_changed_has_none(
    model: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    assert kept(model)
    change(model, monkeypatch)
    assert place(model).read() is None


@pytest.mark.parametrize("kind", ["SIGSEGV", "timeout", "MemoryError", "exit 0"])
def test_what_the_machine_may_have_done_is_not_kept(model: Path, kind: str) -> None:
    report = Report.from_json(GOLDEN.read_text())
    died = replace(report.findings[0], error_type=kind)
    assert not kept(model, replace(report, findings=(died, *report.findings[1:])))


def test_what_is_not_complete_or_steady_is_not_kept(model: Path) -> None:
    report = Report.from_json(GOLDEN.read_text())
    assert not kept(model, replace(report, complete=False))
    assert not kept(model, replace(report, notes=("unstable: of the conversions of the whole model 3 of 10 failed",)))
