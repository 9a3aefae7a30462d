"""The same command on the same model: the report is there at once, and nothing that has changed brings it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def seconds(folder: Path, *words: str) -> tuple[list[str], float]:
    """The report but for what it took, and the seconds that it says it took."""
    command = [sys.executable, "-m", "bisect_convert", "model", "--cache", str(folder / "cache"), *words]
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=given, timeout=300)
    assert done.returncode == 1, done.stderr
    rows = done.stdout.splitlines()
    (took,) = [row for row in rows if row.endswith(" s") and " probe" in row]
    return [row for row in rows if row != took], float(took.split()[-2])


def test_nothing_is_asked_again_until_something_has_changed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures" / "exact_gelu" / "model", tmp_path / "model")
    first, long = seconds(tmp_path)
    again, short = seconds(tmp_path)
    assert again == first and short < 1 < long  # tensorflow alone takes longer to be imported
    assert seconds(tmp_path, "--compute-precision", "float32")[1] > 1
    (tmp_path / "model" / "notes.txt").write_text("another file of the model")
    assert seconds(tmp_path)[1] > 1
