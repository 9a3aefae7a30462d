"""Many models on a Dask cluster: real worker processes, one killed in the middle; and what is said where there is none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bisect_convert.cli.command import main

FIXTURES = Path(__file__).parents[2] / "fixtures"
CLUSTER = """
import sys, time
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, *(w.pid for w in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[int]]]:
    """The address of a cluster of two processes, and their ids."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    home = tmp_path / "elsewhere"
    home.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address, *workers = process.stdout.readline().split()
        yield address, [int(pid) for pid in workers]
        process.terminate()


def models(folder: Path, count: int) -> Path:
    """A folder with so many models that fail by one op, and one that is none."""
    for n in range(count):
        shutil.copytree(FIXTURES / "exact_gelu" / "model", folder / f"m{n}")
    (folder / "broken.keras").write_text("no model")
    return folder


def command_of(worker: int, seconds: float = 90) -> psutil.Process | None:
    """The model's command that the worker has started, once there is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in psutil.Process(worker).children():
            if "bisect_convert" in child.cmdline():
                return child
        time.sleep(0.05)
    return None


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bisect_convert", *words], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
    )  # fmt: skip


def test_a_worker_killed_in_the_middle_loses_nothing(cluster: tuple[str, list[int]], tmp_path: Path) -> None:
    address, workers = cluster
    models(tmp_path / "models", 4)
    out = tmp_path / "out & about"
    words = ["models", "--out", str(out), "--dask", address, "--quiet", "--format", "json"]
    with started(words, tmp_path) as run:
        orphan = command_of(workers[0])
        assert orphan is not None
        os.kill(workers[0], signal.SIGKILL)
        said, _ = run.communicate(timeout=300)
    assert run.returncode == 1
    rows = {Path(row["model"]).name: row for row in json.loads(said)["models"]}
    assert [rows[f"m{n}"]["verdict"] for n in range(4)] == ["fails"] * 4
    assert "is no Keras file" in rows["broken.keras"]["why"]
    assert len(list(out.glob("*/report.html"))) == 4
    for report in out.glob("*/report.json"):
        repro = json.loads(report.read_text())["findings"][0]["repro"]
        assert repro == str(report.parent / "finding-1" / "repro.py") and Path(repro).exists()
    orphan.wait(timeout=40)
    (tmp_path / "models" / "m1" / "note.txt").write_text("changed")
    written = {path: path.stat().st_mtime_ns for path in out.glob("*/report.json")}
    with started(words, tmp_path) as run:
        assert run.wait(timeout=200) == 1
    assert [p.parent.name for p in written if p.stat().st_mtime_ns != written[p]] == ["models_m1"]


def test_stopped_here_the_commands_there_end(cluster: tuple[str, list[int]], tmp_path: Path) -> None:
    address, workers = cluster
    models(tmp_path / "models", 4)
    with started([str(tmp_path / "models"), "--dask", address, "--quiet"], tmp_path) as run:
        commands = [command_of(worker) for worker in workers]
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == 3
    for process in commands:
        assert process is not None
        process.wait(timeout=40)


def test_where_no_scheduler_answers_that_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models(tmp_path / "models", 1)
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        assert main([str(tmp_path / "models"), "--dask", address]) == 2
    assert time.monotonic() - began < 15
    said = capsys.readouterr().err
    assert f"no Dask scheduler answers at {address}" in said and said.count("\n") == 1
    assert main([str(tmp_path / "models" / "m0"), "--dask", "what is this"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([str(tmp_path / "models"), "--dask", address]) == 2
    assert capsys.readouterr().err.endswith("pip install 'bisect-convert[dask]'\n")
