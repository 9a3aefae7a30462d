"""The program that converts on our behalf: `python -m bisect_convert.server`, one JSON request a line, one answer a line.

It is a program of its own because worker processes import the main module of whoever starts them, and that of a
notebook or a script without a main guard must not run twice. Its pool (pebble) gives each task a time limit and
replaces workers that die; workers are forked from a process that has imported tensorflow and coremltools already.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import CancelledError, TimeoutError
from typing import Any

from pebble import ProcessExpired, ProcessPool

__all__ = ["main", "work"]


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Do one request in a worker and return the answer; a fault of the request is an answer with "error"."""
    from bisect_convert.errors import BisectConvertError

    try:
        return _do(request)
    except BisectConvertError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except ImportError as error:
        return {"error": "EnvironmentError_", "message": _missing(error)}
    except MemoryError:
        return {"memory": True}


def _do(request: dict[str, Any]) -> dict[str, Any]:
    from pathlib import Path

    if request["do"] == "ready":
        import bisect_convert.preload  # noqa: F401

        import coremltools
        import tensorflow

        return {"coremltools": coremltools.__version__, "tensorflow": tensorflow.__version__}
    if request["do"] == "load":
        from bisect_convert import loading

        return loading.read_model(request["path"], Path(request["folder"]), request)
    from bisect_convert.convert import probe

    return {"outcome": probe(request)}


def _missing(error: ImportError) -> str:
    name = (error.name or str(error)).split(".")[0]
    if name in {"tensorflow", "coremltools"} and error.name == name:
        return f"{name} is not installed; run: pip install 'tensorflow>=2.16' 'coremltools>=8.3'"
    return f"tensorflow and coremltools do not work together here ({error}); install tensorflow>=2.16, coremltools>=8.3"


def _quiet() -> None:
    """Send what TensorFlow, coremltools and the model print to nowhere, and leave Ctrl-C to the caller's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.environ.get("BISECT_CONVERT_VERBOSE") != "1":
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)


def _settle(number: int, future: Any, out: Any, lock: threading.Lock) -> None:
    """Write the answer of a finished task; a worker's death is an answer too."""
    try:
        answer = future.result()
    except TimeoutError:
        answer = {"death": "timeout"}
    except CancelledError:
        answer = {"death": "cancelled"}
    except ProcessExpired as error:
        code = error.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
        answer = {"death": name}
    except Exception as error:  # a fault of ours in the worker: handed over with its traceback
        text = getattr(error, "traceback", None) or "".join(traceback.format_exception(error))
        answer = {"fault": str(text)}
    with lock, contextlib.suppress(BrokenPipeError, ValueError):
        out.write(json.dumps({"id": number, **answer}) + "\n")
        out.flush()


def main() -> None:
    """Serve requests from standard input until it ends; then no process of ours is left."""
    out = os.fdopen(os.dup(1), "w")
    _quiet()
    lock = threading.Lock()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bisect_convert.preload"])
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    pool = ProcessPool(max_workers=workers, initializer=_quiet, context=context)
    try:
        for line in sys.stdin:
            request = json.loads(line)
            future = pool.schedule(work, args=(request,), timeout=request.get("timeout"))
            future.add_done_callback(lambda f, n=request["id"]: _settle(n, f, out, lock))
    finally:
        pool.stop()
        pool.join()


if __name__ == "__main__":
    main()
