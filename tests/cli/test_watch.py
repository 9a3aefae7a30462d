"""--watch: a real command over a model that is written anew, slowly, while it looks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from leftovers import assert_nothing_is_left

from bisect_convert.cli.command import main

FIXTURES = Path(__file__).parents[2] / "fixtures"


def wait(seen: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def write_slowly(source: Path, target: Path) -> None:
    """Write the model as a slow exporter does: half of a file, then the rest, then the other files."""
    shutil.rmtree(target)
    target.mkdir()
    data = (source / "saved_model.pb").read_bytes()
    with (target / "saved_model.pb").open("wb") as file:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            file.write(part)
            file.flush()
            time.sleep(1)
    shutil.copytree(source / "variables", target / "variables")


def test_it_asks_again_once_a_changed_model_is_whole(tmp_path: Path) -> None:
    model, out, err, tmp = (tmp_path / name for name in ("model", "out.txt", "err.txt", "tmp"))
    shutil.copytree(FIXTURES / "exact_gelu" / "model", model)
    tmp.mkdir()
    with (
        out.open("w") as said,
        err.open("w") as told,
        subprocess.Popen(
            [sys.executable, "-m", "bisect_convert", str(model), "--watch", "--no-cache", "--out", str(tmp_path / "report")],
            stdout=said, stderr=told, env={**os.environ, "TMPDIR": str(tmp)},
        ) as run,
    ):  # fmt: skip
        wait(lambda: "waiting for the model" in err.read_text())
        assert "does not convert: 1 finding" in out.read_text() and (tmp_path / "report" / "finding-1").exists()
        write_slowly(FIXTURES / "residual_ok" / "model", model)
        wait(lambda: out.read_text().count("\n\ncomplete: ") == 1 and f"{model} converts" in out.read_text())
        before = out.read_text()
        os.utime(model / "saved_model.pb")  # another time, the same content
        time.sleep(4)
        assert out.read_text() == before and not (tmp_path / "report" / "finding-1").exists()
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 0
    lines = err.read_text().splitlines()
    assert [line.removeprefix("bisect-convert: ") for line in lines] == [
        "waiting for the model's files to change; Ctrl-C ends", f"{model} changed; asking again",
    ]  # fmt: skip
    assert_nothing_is_left(tmp)


def test_stopped_in_the_search_it_ends_as_ever(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bisect_convert", str(FIXTURES / "exact_gelu" / "model"), "--watch", "--no-cache"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}) as run:
        wait(lambda: bool(os.listdir(tmp_path)))
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 3
    assert_nothing_is_left(tmp_path)


def test_what_cannot_be_asked_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no/such/model", "--watch"]) == 2
    assert main(["no/such/model", "--watch", "--shell"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
