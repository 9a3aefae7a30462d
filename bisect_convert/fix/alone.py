"""A script run in a fresh process in which this package is not to be had, and which is begun before the script is sure."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Alone", "Sooner"]

#: Imports what every script does, while it is being made; then runs the one that it is told, unless there is none.
_CODE = """\
import json, os, runpy, sys
sys.modules["bisect_convert"] = None
sys.path[:] = [path for path in sys.path if path]
try:
    import numpy, tensorflow, coremltools
except Exception:
    pass  # the script says so itself
told = sys.stdin.readline()
if told:
    folder, sys.argv = json.loads(told)
    os.chdir(folder)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Alone:
    """The process; a context manager that ends it. modules: a user's own that the script imports, of the current folder."""

    def __init__(self, modules: Sequence[str]) -> None:
        known = os.environ.get("PYTHONPATH", "")
        paths = [os.getcwd(), known] if modules else [known]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.begun: str | None = None
        """The text of the script that was begun."""
        self._start()

    def _start(self) -> None:
        self._said = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said, text=True,
            env=self._environment,
        )  # fmt: skip

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._said.close()

    def begin(self, script: Path, words: Sequence[str]) -> None:
        """Begin to run the script with these arguments, in its folder, in place of any that was begun."""
        if self.begun is not None:
            self.__exit__()
            self._start()
        self.begun = script.read_text(encoding="utf-8")
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: its status says so
            self._process.stdin.write(json.dumps([str(script.parent), [str(script), *words]]) + "\n")
            self._process.stdin.flush()

    def ended(self, limit: float) -> tuple[int, str]:
        """Return the status of what was begun, and what it wrote to standard error.

        Raises subprocess.TimeoutExpired after so many seconds.
        """
        status = self._process.wait(limit)
        self._said.seek(0)
        return status, self._said.read()


class Sooner(threading.Thread):
    """Has the script begun as soon as a worker says what it likely is; a context manager."""

    def __init__(self, foreseen: Path, begin: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(daemon=True)
        self._foreseen, self._begin, self._over = foreseen, begin, threading.Event()

    def __enter__(self) -> Sooner:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look for the file until it is there, or nobody waits any more."""
        while not self._over.wait(0.1):
            if self._foreseen.exists():
                with contextlib.suppress(Exception):  # what is begun sooner may as well not be
                    self._begin(json.loads(self._foreseen.read_text()))
                return
