"""Commands run to their ends as whole processes, and what they take: seconds, memory, and how soon they say what they find."""

from __future__ import annotations

import contextlib
import math
import os
import pty
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BARE", "SOURCE_GIVEN", "Taken", "bare", "environment", "ours", "run", "seconds_until"]

ROOT = Path(__file__).resolve().parent.parent
BARE = "import sys, coremltools; coremltools.convert(sys.argv[1])"
#: The same where the caller knows that `source` spares coremltools one of two readings of the model.
SOURCE_GIVEN = "import sys, coremltools; coremltools.convert(sys.argv[1], source='tensorflow')"
MARK = "BISECT_CONVERT_BENCHMARK"


@dataclass(frozen=True)
class Taken:
    """What one run took; memory in MiB, of its largest process and of all its processes at once."""

    seconds: float
    largest: float
    together: float
    status: int


def ours(model: Path) -> list[str]:
    """The command that finds what does not convert, knowing nothing from before."""
    return [sys.executable, "-m", "bisect_convert", str(model), "--no-cache"]


def bare(model: Path, code: str = SOURCE_GIVEN) -> list[str]:
    """A script of the one call of the converter."""
    return [sys.executable, "-c", code, str(model)]


def run(command: list[str], *, watched: bool = False) -> Taken:
    """Run the command to its end; `watched`: look on all the while how much memory its processes hold."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    marked = environment() | {MARK: mark}
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=marked
    )  # fmt: skip
    over, peak = threading.Event(), [0.0, 0.0]
    watcher = threading.Thread(target=_watch, args=(mark, over, peak))
    if watched:
        watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    over.set()
    if watched:
        watcher.join()
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Taken(seconds, max(usage.ru_maxrss / unit, peak[0]), peak[1], process.returncode)


def seconds_until(command: list[str], said: str) -> tuple[float, float]:
    """Run the command in a terminal; returns the seconds until it said this, and in all.

    The first is not a number where it never did.
    """
    ours, theirs = pty.openpty()
    started, until, text = time.monotonic(), math.nan, b""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment())
    os.close(theirs)
    with contextlib.suppress(OSError):  # how a terminal says that nobody is left at its other end
        while part := os.read(ours, 65536):
            text += part
            if math.isnan(until) and said.encode() in text:
                until = time.monotonic() - started
    process.wait()
    os.close(ours)
    return until, time.monotonic() - started


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _watch(mark: str, over: threading.Event, peak: list[float]) -> None:
    """Keep in `peak` the most that one of the marked processes, and that all of them hold at once (Linux only)."""
    while not over.wait(0.05):
        held = [_holding(process) for process in Path("/proc").glob("[0-9]*") if _marked(process, mark)]
        if held:
            # Anonymous pages that a fork shares count once; so do files, which are the same libraries in each process.
            together = sum(h["Pss_Anon"] for h in held) + max(h["Rss"] - h["Anonymous"] for h in held)
            peak[0] = max(peak[0], max(h["Rss"] for h in held))
            peak[1] = max(peak[1], together)


def _marked(process: Path, mark: str) -> bool:
    """Whether the process, or one that it comes from, was started with the mark."""
    try:
        return f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _holding(process: Path) -> dict[str, float]:
    """What the process holds by kind, in MiB."""
    held = dict.fromkeys(("Rss", "Anonymous", "Pss_Anon"), 0.0)
    try:
        rows = [line.split() for line in (process / "smaps_rollup").read_text().splitlines()]
    except OSError:
        return held
    return held | {row[0][:-1]: int(row[1]) / 2**10 for row in rows if row[0][:-1] in held}
