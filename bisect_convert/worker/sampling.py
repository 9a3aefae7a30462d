"""A sampling profiler of the main thread: how long it was at what, by looking at its frames now and then.

In place of a wrapper around each call, which would miss what is called by another name and cost most where calls are
many. A timer's signal is handled between two instructions of the thread that is looked at, so that nothing moves
meanwhile; after a long call into C it is handled as that returns, in the frame that called.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from types import FrameType
from typing import TypeVar

__all__ = ["sampled"]

T = TypeVar("T", bound=Hashable)

#: Seconds between two looks, and how many times as long as a look it is at least until the next.
_INTERVAL, _APART = 0.004, 19.0


@contextlib.contextmanager
def sampled(seen: Callable[[list[FrameType]], T]) -> Iterator[Counter[T]]:
    """Fill the counter with the seconds spent at what `seen` makes of the frames, outermost first, while this is open.

    They add up to the whole time but for the looks themselves, one part in twenty at most. Raises ValueError anywhere
    but in the main thread.
    """
    seconds: Counter[T] = Counter()
    last = time.perf_counter()

    def look(_: int, frame: FrameType | None) -> None:
        nonlocal last
        began = time.perf_counter()
        stack = []
        while frame is not None:
            stack.append(frame)
            frame = frame.f_back
        with contextlib.suppress(Exception):  # an object half made: the next look gets its time
            what = seen(stack[::-1])
            seconds[what] += began - last  # type: ignore[assignment]
            last = began
        took = time.perf_counter() - began
        last += took
        signal.setitimer(signal.ITIMER_REAL, max(_INTERVAL, _APART * took))

    before = signal.signal(signal.SIGALRM, look)
    signal.siginterrupt(signal.SIGALRM, False)  # calls into C that wait go on waiting
    signal.setitimer(signal.ITIMER_REAL, _INTERVAL)
    try:
        yield seconds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
