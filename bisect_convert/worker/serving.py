"""Requests from standard input, one JSON object a line, answered by a pool of worker processes.

The pool (pebble) gives each task a time limit and replaces workers that die.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import CancelledError, TimeoutError
from functools import partial
from pathlib import Path
from typing import IO, Any

from pebble import CONSTS, ProcessExpired, ProcessPool

from bisect_convert.worker.quiet import quiet
from bisect_convert.worker.request import Load
from bisect_convert.worker.tasks import work

__all__ = ["serve"]

#: Seconds between two looks at whether workers are still there.
_POLL = 0.2
#: Requests after which a worker is replaced that may live for hundreds of models: what libraries keep is given back.
_TASKS = 200


def _watch(running: dict[Path, Any]) -> None:
    """Cancel each task whose worker has left with exit status 0: the pool waits for such a one until time is up."""
    while True:
        time.sleep(_POLL)
        for mark, future in list(running.items()):
            with contextlib.suppress(OSError, ValueError):
                process = int(mark.read_text())
                try:
                    os.kill(process, 0)
                except ProcessLookupError:
                    time.sleep(_POLL)  # for the pool to notice a death of another kind by itself
                    future.cancel()


def _settle(number: int, future: Any, *, mark: Path, running: dict[Path, Any], out: Any, lock: threading.Lock) -> None:
    """Write the answer of a finished task; a worker's death is an answer too."""
    running.pop(mark, None)
    reached = mark.with_suffix(".stage")
    try:
        answer = future.result()
    except TimeoutError:
        answer = {"death": "timeout"}
    except CancelledError:
        answer = {"death": "exit 0"}
    except ProcessExpired as error:
        code = error.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
        answer = {"death": name}
    except Exception as error:  # a fault of ours in the worker: handed over with its traceback
        text = getattr(error, "traceback", None) or "".join(traceback.format_exception(error))
        answer = {"fault": str(text)}
    if "death" in answer or "memory" in answer:
        with contextlib.suppress(OSError, ValueError):
            answer["reached"] = json.loads(reached.read_text())
    for left in (mark, reached):
        left.unlink(missing_ok=True)
    with lock, contextlib.suppress(BrokenPipeError, ValueError):
        out.write(json.dumps({"id": number, **answer}) + "\n")
        out.flush()


def _read(requests: queue.SimpleQueue[str | None]) -> None:
    """Pass requests on until there are no more; then see to it that the end comes soon, whatever is going on."""
    for line in sys.stdin:
        requests.put(line)
    requests.put(None)
    time.sleep(2)
    os.killpg(0, signal.SIGTERM)


def _pools(workers: int, folder: Path, context: Any, *, shared: bool) -> tuple[ProcessPool, ProcessPool]:
    """What converts, and what loads models.

    Where many models share them, each is loaded in a process of its own: TensorFlow numbers the functions that it loads, and
    what a report calls them must not hang on what was loaded before. The other processes are renewed now and then.
    """
    kind = partial(ProcessPool, initializer=quiet, initargs=(str(folder),), context=context)
    if not shared:
        return (pool := kind(max_workers=workers)), pool
    return kind(max_workers=workers, max_tasks=_TASKS), kind(max_workers=(workers + 1) // 2, max_tasks=1)


def serve(out: IO[str], workers: int, folder: Path, context: Any, *, shared: bool) -> None:
    """Answer to `out` until standard input ends; then no process of ours is left.

    context: of multiprocessing, by which the workers are started; folder: where they have theirs for temporary files.
    """
    lock = threading.Lock()
    requests: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    CONSTS.term_timeout = 0.5  # a worker inside TensorFlow does not hear SIGTERM: it is killed half a second later
    (folder / "tmp").mkdir()
    pools = _pools(workers, folder / "tmp", context, shared=shared)
    running: dict[Path, Any] = {}
    threading.Thread(target=_watch, args=(running,), daemon=True).start()
    try:
        while (line := requests.get()) is not None:
            request = json.loads(line)
            if "withdraw" in request:
                if (future := running.get(folder / "tmp" / f"{request['withdraw']}.pid")) is not None:
                    future.cancel()
                continue
            mark = folder / "tmp" / f"{request['id']}.pid"
            pool = pools[request["do"] == Load.do]
            future = pool.schedule(work, args=(request, str(mark)), timeout=request.get("timeout"))
            running[mark] = future
            future.add_done_callback(partial(_settle, request["id"], mark=mark, running=running, out=out, lock=lock))
    finally:
        for pool in set(pools):
            pool.stop()  # type: ignore[no-untyped-call]
        for pool in set(pools):
            pool.join()
    shutil.rmtree(folder, ignore_errors=True)
