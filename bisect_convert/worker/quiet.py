"""A process that says nothing of its own, and leaves nothing behind. Imports nothing heavy."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from multiprocessing.util import get_temp_dir
from pathlib import Path

__all__ = ["leave", "quiet"]


def quiet(folder: str | None = None) -> None:
    """Send what TensorFlow, coremltools and the model print to nowhere, and leave Ctrl-C to the caller's process.

    Temporary files go into `folder`: those of a worker that is killed would stay behind elsewhere.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.environ.get("BISECT_CONVERT_VERBOSE") == "1":
        os.dup2(2, 1)
    else:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)
    if folder is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(dir=folder)


def leave(folder: Path, *_: object) -> None:
    """Leave at once, and nothing behind: our folder, and the one where multiprocessing has its sockets."""
    shutil.rmtree(get_temp_dir(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
