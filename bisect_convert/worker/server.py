"""The program that converts on our behalf, `python -m bisect_convert.worker.server`: one JSON request or answer a line.

It is a program of its own because worker processes import the main module of whoever starts them, and that of a
notebook or a script without a main guard must not run twice. Workers are forked from a process that has imported
tensorflow and coremltools already; that takes most of a short run's time, and is begun before anything else is imported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

from bisect_convert.worker.quiet import leave, quiet

__all__ = ["main"]


def main() -> None:
    """Serve requests from standard input until it ends; then no process of ours is left."""
    out, folder = os.fdopen(os.dup(1), "w"), Path(sys.argv[2])
    quiet()
    signal.signal(signal.SIGTERM, partial(leave, folder))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bisect_convert.worker.forkserver"])
    forkserver.ensure_running()
    from bisect_convert.worker.serving import serve  # while the fork server imports the rest

    serve(out, int(sys.argv[1]), folder, context, shared="shared" in sys.argv)


if __name__ == "__main__":
    main()
