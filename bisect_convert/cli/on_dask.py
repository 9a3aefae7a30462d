"""The commands of several models on the workers of a Dask cluster; what they write comes back to this machine.

A command is a task: where its worker is killed, Dask gives it to another, three times at most.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.cli import own_command
from bisect_convert.cli.own_command import Ended
from bisect_convert.errors import UsageError

__all__ = ["OnDask", "moved", "program", "run_on_worker"]

#: Seconds in which a scheduler answers.
_ANSWER = 6.0
_ESCAPES: Mapping[str, Callable[[str], str]] = {".json": lambda text: json.dumps(text)[1:-1], ".html": html.escape}


class OnDask:
    """Runs commands on a cluster; a context manager that withdraws them. Raises UsageError where there is no cluster."""

    def __init__(self, arguments: argparse.Namespace, limit: float, say: Callable[[str], None]) -> None:
        self._limit = limit
        if not arguments.verbose:
            logging.getLogger("distributed").setLevel(
                logging.CRITICAL
            )  # what comes of a lost worker is said in its row
        self._client = _connected(arguments.dask)
        try:
            self._look(arguments.dask, say)
        except BaseException:
            self._client.close()
            raise
        self._executor = self._client.get_executor(pure=False)

    def __enter__(self) -> OnDask:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._client.close()

    def submit(self, words: Sequence[str], out: Path | None) -> Future[Ended]:
        """Run the command with these words in its turn; `moved` says what it would have written into the folder."""
        model, *options = words
        given = [os.path.abspath(model), *options]
        future: Future[Ended] = self._executor.submit(run_on_worker, given, self._limit, os.getcwd(), out is not None)
        return future

    def stop(self) -> None:
        """Withdraw the commands that are not done: their workers end them."""
        self._executor.shutdown(wait=False)  # cancels what is not done

    def _look(self, address: str, say: Callable[[str], None]) -> None:
        """See that the workers that are there already have the same program as we."""
        try:
            found = self._client.run(program)
        except Exception as error:
            raise UsageError(
                f"the workers of --dask {address} cannot import bisect_convert ({type(error).__name__}: {error}); "
                "install it there as here"
            ) from error
        if other := sorted(worker for worker, made in found.items() if made != program()):
            raise UsageError(f"the worker {other[0]} has another version of bisect-convert; install there what is here")
        if not found:
            say(f"there is no worker at {address} yet; waiting for one")


def program() -> str:
    """Return a digest of the code of this package, the same on all machines that have the same."""
    made = hashlib.sha256()
    home = Path(__file__).parents[1]
    for file in sorted(home.rglob("*.py")):
        made.update(str(file.relative_to(home)).encode() + file.read_bytes())
    return made.hexdigest()


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--dask needs dask.distributed: pip install 'bisect-convert[dask]'") from None
    try:
        return Client(address, timeout=_ANSWER, set_as_default=False)  # type: ignore[no-untyped-call,unused-ignore]
    except Exception as error:  # of many kinds, by what is wrong with the address
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"no Dask scheduler answers at {address} ({reason}); start one with `dask scheduler`, workers with `dask worker`"
        ) from error


def run_on_worker(words: Sequence[str], limit: float, cwd: str, wanted: bool) -> Ended:
    """Run the command in this Dask worker, and return what it wrote into a folder, where that is wanted, with how it ended."""
    from distributed import get_worker

    here, home = cwd if os.path.isdir(cwd) else None, os.path.abspath(get_worker().local_directory)
    with tempfile.TemporaryDirectory(dir=home) as folder:  # which Dask removes where this process is killed
        place = Path(folder, "report")
        asked = [*words, *(["--out", str(place)] if wanted else [])]
        ended = own_command.run(asked, limit, _Withdrawn(get_worker()), cwd=here)
        files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        return replace(ended, files=files, place=str(place))


def moved(ended: Ended, out: Path) -> dict[str, bytes]:
    """Return the files that the command wrote, with the folder `out` in the place of its own."""
    found = {}
    for name, data in ended.files.items():
        escape = _ESCAPES.get(Path(name).suffix, str)
        found[name] = data.replace(escape(ended.place).encode(), escape(str(out)).encode())
    return found


class _Withdrawn:
    """Whether the task that this thread of a worker does is wanted no more."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._key = self._worker.get_current_task()

    def is_set(self) -> bool:
        """Return True once the client has cancelled the task, or is gone."""
        task = self._worker.state.tasks.get(self._key)
        return task is None or task.state in ("cancelled", "released", "forgotten")
