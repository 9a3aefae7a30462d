"""Our side of the conversion server: start it, ask it, and end it so that no process is left."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bisect_convert import errors
from bisect_convert.errors import BisectConvertError, EnvironmentError_

if TYPE_CHECKING:
    from bisect_convert.worker.request import Request

__all__ = ["LENT", "Workers", "imports_wanted"]

#: The environment variable with the number of an open socket, at whose other end are workers that somebody shares.
LENT = "BISECT_CONVERT_WORKERS"

#: Seconds that the imports of a worker may take, from a slow disk.
_READY = 600.0
#: A socket's path has 104 bytes at most, of which 33 follow the folder for temporary files; and where there is a short one.
_LONGEST, _SHORT = 70, "/tmp"


def imports_wanted(modules: Sequence[str]) -> dict[str, str]:
    """Return the environment by which workers import these modules of the user's, from the current folder first."""
    return {"BISECT_CONVERT_IMPORT": json.dumps([os.getcwd(), list(modules)])} if modules else {}


class Workers:
    """Worker processes that load and convert, with a folder of their own; a context manager that ends them all.

    There is one more than `jobs`, for what is likely to be asked next. imports: modules of the user's own that they import.
    shared: many models are loaded, each of which is to be as if it were the only one.

    They are a process group of their own, so that Ctrl-C reaches the caller alone; where the caller is killed, the
    server sees its input end, ends its workers and removes the folder. Where somebody shares workers with this process,
    these are asked, and stay.
    """

    imports: tuple[str, ...] = ()

    def __init__(
        self, jobs: int = 1, *, verbose: bool = False, imports: Sequence[str] = (), shared: bool = False
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bisect-convert-"))
        self.imports = tuple(imports)
        self._server: subprocess.Popen[str] | None = None
        self._to, self._from = _connected() or self._started(jobs, verbose, imports, shared)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._numbers = itertools.count()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        from bisect_convert.worker.request import Ready  # the server, which takes longest, has been started by now

        self._ready = self.send(Ready())

    def _started(self, jobs: int, verbose: bool, imports: Sequence[str], shared: bool) -> tuple[IO[str], IO[str]]:
        """Start a server; returns where it is asked and where it answers."""
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3"),
            "CUDA_VISIBLE_DEVICES": "-1",
            "TQDM_DISABLE": "1",
            "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
            "PYTHONSAFEPATH": "1",
            "BISECT_CONVERT_VERBOSE": "1" if verbose else "0",
            **imports_wanted(imports),
            **({"TMPDIR": _SHORT} if _too_long() else {}),
        }
        words = [str(jobs + 1), str(self.folder), *(["shared"] if shared else [])]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "bisect_convert.worker.server", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self._server.stdin is not None and self._server.stdout is not None
        return self._server.stdin, self._server.stdout

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Request) -> Future[dict[str, Any]]:
        """Hand the request over; the future's result is the answer as it came."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
            self._tell({"id": number, **request.to_json()})
            if self._ended:  # nobody is there to answer, nor to notice later
                self._bury()
        return future

    def withdraw(self, future: Future[dict[str, Any]]) -> None:
        """Give up what was asked for: a worker that is about it is ended."""
        with self._lock:
            for number in [n for n, waiting in list(self._waiting.items()) if waiting is future]:
                self._tell({"withdraw": number})

    @property
    def alive(self) -> bool:
        """Whether anybody is there to answer."""
        return not self._ended

    def _tell(self, data: dict[str, Any]) -> None:
        try:
            self._to.write(json.dumps(data) + "\n")
            self._to.flush()
        except (OSError, ValueError):
            self._ended = True

    def _bury(self) -> None:
        while self._waiting:
            _, future = self._waiting.popitem()
            future.set_result({"death": "server"})

    def ask(self, request: Request) -> dict[str, Any]:
        """Return the answer; raises what went wrong on the way, but for a worker's death, which is an answer."""
        return self.answer(self.send(request))

    def insist(self, request: Request, times: int = 2) -> dict[str, Any]:
        """Return the answer as `ask` does; where a worker died of it, which a machine may bring about, it is asked again."""
        for _ in range(times):
            answer = self.ask(request)
            if answer.get("death", "timeout") in ("timeout", "server"):
                break
        return answer

    def answer(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a request handed over before; raises as `ask` does."""
        answer = future.result()
        if "error" in answer:
            kind = getattr(errors, answer["error"], BisectConvertError)
            raise kind(answer["message"])
        if "fault" in answer:
            raise EnvironmentError_(f"a worker failed: {answer['fault'].strip().splitlines()[-1]}")
        return answer

    def versions(self) -> dict[str, str]:
        """The versions of tensorflow and coremltools; raises EnvironmentError_ where they cannot be used."""
        try:
            answer = self._ready.result(_READY)
        except TimeoutError:
            raise EnvironmentError_(
                f"importing tensorflow and coremltools did not come to an end within {_READY:.0f} s; "
                f"see what {sys.executable} -c 'import tensorflow, coremltools' says"
            ) from None
        if "coremltools" not in answer:
            raise EnvironmentError_(
                answer.get("message")
                or "tensorflow and coremltools cannot be imported: the process that does so dies; "
                f"see what {sys.executable} -c 'import tensorflow, coremltools' says"
            )
        return answer

    def close(self) -> None:
        """End the server and its workers, unless they are shared, and remove our folder."""
        with contextlib.suppress(OSError):
            self._to.close()
        try:
            if self._server is not None:
                self._end(self._server)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, server: subprocess.Popen[str]) -> None:
        """Have the server remove its folders, and end all of its group: what a worker is about, nobody waits for."""
        with contextlib.suppress(OSError):
            server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=2)
        with contextlib.suppress(OSError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    def _listen(self) -> None:
        try:
            for line in self._from:
                try:
                    answer = json.loads(line)
                    future = self._waiting.pop(answer["id"], None)
                except (
                    ValueError,
                    KeyError,
                    TypeError,
                ):  # something else that a library wrote there: no answer is lost
                    continue
                if future is not None:
                    future.set_result(answer)
        finally:
            with self._lock:
                self._ended = True
                self._bury()


def _too_long() -> bool:
    """Whether the socket that processes are started through does not fit into the folder for temporary files."""
    return len(os.fsencode(tempfile.gettempdir())) > _LONGEST and os.path.isdir(_SHORT)


def _connected() -> tuple[IO[str], IO[str]] | None:
    """Both ends of the connection to workers that somebody shares with this process, where there is one."""
    if (number := os.environ.pop(LENT, None)) is None:
        return None
    with socket.socket(fileno=int(number)) as shared:  # its files keep it open
        shared.set_inheritable(False)
        return shared.makefile("w", encoding="utf-8"), shared.makefile("r", encoding="utf-8")
