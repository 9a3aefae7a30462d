"""Workers of one server, which several commands of ours ask: tensorflow and coremltools are imported once for all of them."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

from bisect_convert.probe.client import LENT, Workers
from bisect_convert.worker.request import from_json

__all__ = ["Line", "SharedWorkers"]


@dataclass(frozen=True)
class Line:
    """A connection to the workers for one command: the open file that it must inherit, and a folder that goes with it."""

    workers: Workers
    end: int
    folder: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the command's own `Workers` find the connection, and it keeps its files in the folder."""
        return {LENT: str(self.end), "TMPDIR": self.folder}


class SharedWorkers:
    """Workers for so many commands at once, a context manager that ends them; they are started again if they die."""

    def __init__(self, commands: int, *, verbose: bool = False, imports: Sequence[str] = ()) -> None:
        self._start = partial(Workers, 2 * commands - 1, verbose=verbose, imports=imports, shared=True)
        self._workers: Workers | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> SharedWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers is not None:
            self._workers.close()

    def workers(self) -> Workers:
        """Return the workers, started if there are none; they stay this object's."""
        with self._lock:
            if self._workers is None or not self._workers.alive:
                if self._workers is not None:
                    self._workers.close()
                self._workers = self._start()
            return self._workers

    @contextlib.contextmanager
    def line(self) -> Iterator[Line]:
        """Give a connection; what is still being worked on for it when it ends is given up."""
        workers = self.workers()
        ours, theirs = socket.socketpair()
        threading.Thread(target=_serve, args=(ours, workers), daemon=True).start()
        folder = tempfile.mkdtemp(dir=workers.folder)
        try:
            yield Line(workers, theirs.fileno(), folder)
        finally:
            theirs.close()
            shutil.rmtree(folder, ignore_errors=True)


def _serve(ours: socket.socket, workers: Workers) -> None:
    """Hand the requests of a command over, and the answers back, until it closes the connection or dies."""
    waiting: set[Future[dict[str, Any]]] = set()
    lock = threading.Lock()
    with ours, ours.makefile("r", encoding="utf-8") as lines, ours.makefile("w", encoding="utf-8") as out:
        with contextlib.suppress(OSError):
            for line in lines:
                data = json.loads(line)
                number = data.pop("id")
                future = workers.send(from_json(data))
                waiting.add(future)
                future.add_done_callback(partial(_answer, number, out, lock))
        for future in waiting:
            if not future.done():
                workers.withdraw(future)
        with lock, contextlib.suppress(OSError, ValueError):
            out.close()


def _answer(number: int, out: TextIO, lock: threading.Lock, future: Future[dict[str, Any]]) -> None:
    with lock, contextlib.suppress(OSError, ValueError):  # nobody is there any more to read it
        out.write(json.dumps({**future.result(), "id": number}) + "\n")
        out.flush()
