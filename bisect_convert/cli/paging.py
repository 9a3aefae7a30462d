"""`--pager`: a report for the terminal goes through the user's pager, which is no part of what may go wrong."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from typing import TextIO

__all__ = ["paged"]

_USUAL = "less"
#: What less is to do unless the user said otherwise: end where all fits, show colours, leave the screen as it is.
_LESS = "FRX"


def paged(text: str, out: TextIO) -> bool:
    """Show the text in $PAGER, else in less, until the user has enough; False where `out` is no terminal or no pager starts."""
    command = _command() if out.isatty() else []
    if not command:
        return False
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env={"LESS": _LESS, **os.environ})
    except OSError:
        return False
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's while it runs
    try:
        with contextlib.suppress(OSError):  # it ended before all was read
            pager.communicate(text.encode(out.encoding, "backslashreplace"))
        pager.wait()
    finally:
        signal.signal(signal.SIGINT, kept)
    return pager.returncode != 127


def _command() -> list[str]:
    """The pager's words; none where it is not there."""
    try:
        words = shlex.split(os.environ.get("PAGER", _USUAL))
    except ValueError:  # a quote that does not end
        return []
    return words if words and shutil.which(words[0]) else []
