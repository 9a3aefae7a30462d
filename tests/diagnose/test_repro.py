"""The repro of a finding: a script that stands alone, whatever names the model has, and fails as recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bisect_convert import find
from bisect_convert.diagnose.repro import script
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Culprit, Finding

FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = 'a"""\\\nimport os; os.abort()\n\'{x}\u202e\x00'


def finding(name: str = "erfc") -> Finding:
    return Finding("lowering", None, "ValueError", "odd", (Culprit(name, "Erfc"),))


def run(path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as anyone would, from somewhere else, without us on the path."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    command = [sys.executable, str(path)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=300)


def test_the_script_holds_what_is_recorded_and_the_arguments_as_they_were() -> None:
    options = {
        "convert_to": "mlprogram",
        "minimum_deployment_target": "iOS17",
        "inputs": [{"kind": "name", "name": "x"}],
    }
    text = script(finding(), "model", options, ("ValueError", "odd"))
    compile(text, "repro.py", "exec")
    assert "minimum_deployment_target=ct.target.iOS17" in text and "'odd'" in text
    assert len(text.splitlines()) < 60


def test_names_and_messages_from_a_model_cannot_become_code() -> None:
    options = {"inputs": [{"kind": "TensorType", "name": HOSTILE, "shape": [1, 2]}]}
    text = script(finding(HOSTILE), HOSTILE, options, ("ValueError", HOSTILE))
    names: dict[str, object] = {}
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("RECORDED"))
    exec("\n".join(lines[start : start + 4]), names)
    assert names["RECORDED"] == ("ValueError", HOSTILE)
    code = compile(text, "repro.py", "exec")
    assert "abort" not in code.co_names and text.isascii()


@pytest.mark.parametrize("fixture", ["exact_gelu", "roll_in_while", "keras_lstm"])
def test_the_script_fails_as_recorded(fixture: str, tmp_path: Path, workers: Workers) -> None:
    options = json.loads((FIXTURES / fixture / "cause.json").read_text())["options"]
    report = find(FIXTURES / fixture / "model", workers=workers, out=tmp_path, **options)
    for number, found in enumerate(report.findings, 1):
        folder = tmp_path / f"finding-{number}"
        assert found.repro == str(folder / "repro.py")
        assert sorted(p.name for p in folder.iterdir()) == ["finding.json", "issue.md", "repro.py", "section.pb"]
        assert json.loads((folder / "finding.json").read_text())["culprits"][0]["name"] == found.culprits[0].name
        done = run(folder / "repro.py")
        assert done.returncode == 1, done.stderr[-2000:]
        assert done.stdout.startswith(f"{found.error_type}: ")


def test_the_script_tells_a_conversion_and_another_failure_from_the_recorded_one(
    tmp_path: Path, workers: Workers
) -> None:
    find(FIXTURES / "exact_gelu" / "model", workers=workers, out=tmp_path)
    path = tmp_path / "finding-1" / "repro.py"
    text = path.read_text()
    path.write_text(text.replace("    'NotImplementedError',", "    'KeyError',"))
    assert run(path).returncode == 2
    path.write_text(text.replace("    ct.convert(", "    (lambda graph, **how: None)("))
    assert run(path).returncode == 0


def test_the_search_goes_on_where_a_repro_cannot_be_written(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "finding-1").write_text("in the way")
    report = find(FIXTURES / "exact_gelu" / "model", workers=workers, out=tmp_path)
    assert report.complete and report.findings[0].repro is None
    assert any("repro of finding 1" in note for note in report.notes)
