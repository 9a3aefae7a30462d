"""One model's own command: a process group of its own, which is ended when its time is up, and ends with its starter."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bisect_convert.cli.stopping import KEPT_BY_PARENT

__all__ = ["Ended", "Flag", "run"]

#: Seconds in which a command that is told to end may say what it knows, before it is killed.
_GRACE = 15.0
_POLL = 0.5


class Flag(Protocol):
    """What says whether to stop: an Event does."""

    def is_set(self) -> bool:
        """Return whether it is time to stop."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: what it wrote, its status as `subprocess` has it, and whether it was told to end.

    late: because its time was up; stopped: because we were. files: what it wrote into the folder `place`, by their names
    there, where it ran on another machine.
    """

    stdout: str
    stderr: str
    status: int
    seconds: float
    late: bool = False
    stopped: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    place: str = ""


def run(
    words: Sequence[str],
    limit: float,
    stop: Flag,
    *,
    cwd: str | None = None,
    lent: Mapping[str, str] | None = None,
    kept: Collection[int] = (),
) -> Ended:
    """Run the command with these words, for so many seconds at most and until `stop` is set; no process of it is left.

    lent, kept: environment variables and open files that it gets from us. Where this process is killed, the command
    notices and ends too.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", "bisect_convert", *words]
    environment = {**os.environ, KEPT_BY_PARENT: "1", **(lent or {})}
    theirs, ours = os.pipe()  # nothing is ever written: its end is the sign
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, os.fdopen(ours, "wb"):
        try:
            process = subprocess.Popen(
                command, stdin=theirs, stdout=out, stderr=err, env=environment, cwd=cwd, pass_fds=tuple(kept),
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(theirs)
        ended = _wait(process, began + limit, stop)
        out.seek(0)
        err.seek(0)
        said = [file.read().decode("utf-8", "replace") for file in (out, err)]
    seconds = round(time.monotonic() - began, 1)
    stopped = stop.is_set() and not ended
    return Ended(said[0], said[1], process.returncode, seconds, late=not ended and not stopped, stopped=stopped)


def _wait(process: subprocess.Popen[bytes], deadline: float, stop: Flag) -> bool:
    """Wait for the process, and end it and its group in time; True where it ended by itself."""
    while time.monotonic() < deadline and not stop.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(_POLL, max(0.01, deadline - time.monotonic())))
            return True
    for number, grace in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
            break
    return False
