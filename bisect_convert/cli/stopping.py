"""How a command ends early: once, at a signal, with what is known by then; or because whoever started it is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import NoReturn

__all__ = ["KEPT_BY_PARENT", "end_with_parent", "stop_at_signals", "stopped"]

#: Set for a command whose standard input stays open for as long as whoever started it lives.
KEPT_BY_PARENT = "BISECT_CONVERT_PARENT"
#: Seconds in which an orphan may end its search and its processes by itself.
_GRACE = 15.0


def stop_at_signals() -> None:
    """From now on the first of these signals raises KeyboardInterrupt in the main thread, and no other does anything.

    A second one must not keep what is known from being printed, nor processes from being ended.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)


def _stop(number: int, frame: object) -> NoReturn:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    raise _Signalled


def stopped() -> bool:
    """Return whether such a signal has come."""
    return signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


class _Signalled(KeyboardInterrupt):
    """Not KeyboardInterrupt itself: once that has left an `exec`, Python ends by the signal although it was caught."""


def end_with_parent() -> None:
    """Where standard input says whether whoever started this command lives, end when it does; else do nothing."""
    if os.environ.pop(KEPT_BY_PARENT, None):
        threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):  # not by sys.stdin, whose lock Python wants when it ends
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE)
    os.killpg(0, signal.SIGKILL)
