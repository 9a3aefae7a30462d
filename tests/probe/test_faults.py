"""Conversions that end their process, hang, eat memory or fail at times, in real child processes: the right op, always."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from faults import CULPRIT, FAULTS, chain, plant
from leftovers import assert_nothing_is_left

from bisect_convert import find
from bisect_convert.errors import EnvironmentError_, Stopped
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
KINDS = {
    "segfault": "SIGSEGV", "abort": "SIGABRT", "sigkill": "SIGKILL", "hang": "timeout", "recursion": "RecursionError",
    "memory": "MemoryError", "flood": "ValueError", "exit": "exit 0", "leave": "exit 0", "raise": "ValueError",
}  # fmt: skip

#: Seconds after which a conversion hangs: what takes the longest here takes a tenth of it.
HANGS = 2.5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chain(tmp_path_factory.mktemp("chain"))


def blamed(report: Report) -> list[tuple[str, ...]]:
    return [tuple(c.name for c in finding.culprits) for finding in report.findings]


#: One of each way to end: what differs from these in its signal only is swept.
EACH_WAY = ("segfault", "hang", "memory", "flood", "exit", "raise")


def swept(values: Iterable[Any], often: Iterable[Any]) -> list[Any]:
    """The values, those that are not to be tried with each run of the tests behind their mark."""
    return [v if v in tuple(often) else pytest.param(v, marks=pytest.mark.sweep) for v in values]


@pytest.mark.parametrize("fault", swept(FAULTS, EACH_WAY))
def test_however_a_conversion_ends_its_op_is_found(
    fault: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, fault)
    report = find(model, timeout=HANGS if fault == "hang" else None, memory=1.0 if fault == "memory" else None)
    assert blamed(report) == [(CULPRIT,)]
    (finding,) = report.findings
    assert (finding.stage, finding.error_type) == ("lowering", KINDS[fault])
    assert report.complete and finding.witness.minimal and finding.witness.confirmed


@pytest.mark.parametrize("fault", swept(["segfault", "hang"], ["segfault"]))
def test_a_process_that_is_ended_in_a_pass_leaves_the_passs_name(
    fault: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, fault, "common::fuse_linear_bias")
    report = find(model, timeout=HANGS if fault == "hang" else None)
    assert blamed(report) == [(CULPRIT,)] and report.complete
    (finding,) = report.findings
    assert (finding.stage, finding.pass_name) == ("mil_pass", "common::fuse_linear_bias")


@pytest.mark.parametrize("noise", [0.02, 0.2, 0.5])
def test_processes_that_die_by_chance_change_no_finding(
    noise: float, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "raise", noise=noise)
    report = find(model)
    assert blamed(report) == [(CULPRIT,)] and report.complete


@pytest.mark.parametrize("rate", swept([0.02, 0.2, 0.5], [0.5]))
def test_an_op_that_fails_by_chance_is_blamed_or_nothing_is(
    rate: float, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "raise", rate=rate)
    report = find(model)
    if report.verdict == "fails":
        assert blamed(report) == [(CULPRIT,)]
    else:
        assert report.verdict == "converts" or any("unstable" in note for note in report.notes)


def test_a_crash_is_asked_about_again_in_the_next_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "segfault")
    first, second = (find(model, cache=tmp_path / "cache") for _ in range(2))
    assert blamed(first) == blamed(second) == [(CULPRIT,)]
    assert 0 < second.asked < first.asked  # the machine may have brought it about; what did not die is known


def test_the_report_is_the_same_with_any_number_of_jobs(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "abort")
    one = steady(find(model))
    for jobs in (2, 4):
        assert steady(find(model, jobs=jobs)) == one, jobs


def steady(report: Report) -> dict[str, Any]:
    """The report but for times."""
    data = report.to_dict()
    del data["seconds"]
    for probe in data["journal"]:
        del probe["seconds"]
    return data


def test_an_executor_of_the_callers_takes_the_workers_place(workers: Workers) -> None:
    path = FIXTURES / "two_culprits" / "model"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        lent = find(path, executor=executor)
        assert executor.submit(int, "7").result() == 7
    assert steady(lent) == steady(find(path, workers=workers))


def test_an_executor_that_breaks_ends_the_run_with_what_is_known(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "sigkill")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor, pytest.raises(Stopped) as stop:
        find(model, executor=executor)
    assert stop.value.report.verdict == "inconclusive"


def test_a_full_disk_is_not_taken_for_a_failure_of_the_model(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "full")
    with pytest.raises(EnvironmentError_, match="No space left on device"):
        find(model)


def test_a_slow_conversion_is_found_where_it_is_slow(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "slow")
    report = find(model, slow=2.0)
    assert report.verdict == "converts" and report.exit_code == 0 and report.complete
    assert blamed(report) == [(CULPRIT,)]
    assert (report.findings[0].stage, report.findings[0].error_type) == ("lowering", "Slow")
    assert "takes 1." in report.findings[0].error_message and "slow[lowering]" in str(report)


def test_what_a_worker_died_of_by_chance_is_asked_again(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*given: dict[str, Any]) -> dict[str, Any]:
        left = list(given)
        monkeypatch.setattr(workers, "ask", lambda request: left.pop(0))
        return workers.insist({"do": "load"}, 3)

    killed = {"death": "SIGKILL"}
    assert answers(killed, killed, {"ops": 3}) == {"ops": 3}
    assert answers(killed, killed, killed, {"ops": 3}) == killed
    assert answers({"death": "timeout"}, {"ops": 3}) == {"death": "timeout"}


# --- killed at any moment --------------------------------------------------------------------------------------------


def command(model: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    (folder / "tmp").mkdir(exist_ok=True)
    line = [sys.executable, "-m", "bisect_convert", str(model), "--cache", str(folder / "cache"), "--format", "json"]
    return line, {**os.environ, "TMPDIR": str(folder / "tmp")}


def kept(folder: Path) -> int:
    """How many answers are in the cache."""
    return len(list((folder / "cache").rglob("*.json")))


def after(seconds: float) -> Callable[[], bool]:
    """A moment so many seconds from now."""
    moment = time.monotonic() + seconds
    return lambda: time.monotonic() > moment


def once_kept(folder: Path, more: int) -> Callable[[], bool]:
    """The moment when there are so many answers more than now."""
    enough = kept(folder) + more
    return lambda: kept(folder) >= enough


def killed_at(moment: Callable[[], bool], model: Path, folder: Path) -> bool:
    """Kill the command at the moment and see that nothing is left; whether it was still running."""
    line, environment = command(model, folder)
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not moment() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    assert_nothing_is_left(folder / "tmp")
    return killed


def resumed(model: Path, folder: Path) -> dict[str, Any]:
    """What the command says when it is let come to its end: of what outcomes tell, not of a report that was kept."""
    line, environment = command(model, folder)
    line = [*line, "--verbose"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert_nothing_is_left(folder / "tmp")
    return dict(json.loads(done.stdout))


def ops_blamed(data: dict[str, Any]) -> list[list[str]]:
    return [[c["op"] for c in finding["culprits"]] for finding in data["findings"]]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_command_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = FIXTURES / "two_culprits" / "model"
    assert killed_at(after(1.0), path, tmp_path)
    for more in (1, 2):
        assert killed_at(once_kept(tmp_path, more), path, tmp_path)
    first, second = resumed(path, tmp_path), resumed(path, tmp_path)
    assert ops_blamed(first) == [["Lgamma"], ["Cast"]]
    assert second["probes"]["asked"] == 0 and second["findings"] == first["findings"]


@pytest.mark.sweep
def test_killed_at_twenty_moments(tmp_path: Path) -> None:
    rng = random.Random(0)
    path = FIXTURES / "two_culprits" / "model"
    assert any([killed_at(after(rng.uniform(0.1, 9.0)), path, tmp_path) for _ in range(20)])
    assert ops_blamed(resumed(path, tmp_path)) == [["Lgamma"], ["Cast"]]


def test_two_runs_at_once_share_the_cache(tmp_path: Path) -> None:
    line, environment = command(FIXTURES / "custom_op_skip" / "model", tmp_path)
    both = [
        subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    reports = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert reports[0]["findings"] == reports[1]["findings"] != []
    assert all(process.returncode == 1 for process in both)
