"""A caller's own executor in the place of our workers."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from pathlib import Path
from typing import Any

from bisect_convert.probe.client import Workers
from bisect_convert.worker.request import Ready, Request
from bisect_convert.worker.tasks import lent

__all__ = ["Lent"]


class Lent(Workers):
    """Workers that are any `concurrent.futures.Executor`, which stays the caller's: closing this leaves it running, and
    after each request its process is as it was but for what is imported.

    Each probe is one call submitted to it. It must run them in processes, one at a time in each: a conversion changes
    coremltools while it runs, and may end its process. A probe over its time limit is given up, but not ended.
    """

    def __init__(self, executor: Executor) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bisect-convert-"))
        self._executor = executor
        self._ready = self.send(Ready())

    def send(self, request: Request) -> Future[dict[str, Any]]:
        """Hand the request over; the future's result is the answer as it came."""
        future: Future[dict[str, Any]] = Future()
        try:
            task = self._executor.submit(lent, request.to_json())
        except RuntimeError:  # it is broken, or was shut down
            future.set_result({"death": "server"})
            return future
        if (limit := request.timeout) is not None:
            timer = threading.Timer(limit, _settle, (future, {"death": "timeout"}))
            timer.daemon = True
            timer.start()
            future.add_done_callback(lambda _: timer.cancel())
        task.add_done_callback(lambda done: _settle(future, _answer(done)))
        return future

    def close(self) -> None:
        """Remove what was written for the workers."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _settle(future: Future[dict[str, Any]], answer: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_result(answer)


def _answer(done: Future[dict[str, Any]]) -> dict[str, Any]:
    if done.cancelled():
        return {"death": "server"}
    error = done.exception()
    if isinstance(error, BrokenExecutor):
        return {"death": "exit of its process"}
    return done.result() if error is None else {"fault": f"{type(error).__name__}: {error}"}
