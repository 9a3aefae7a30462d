"""What a process for conversions is: garbage is collected in a small part of its time, however often that is asked for."""

from __future__ import annotations

import time

from bisect_convert.worker.process import _seldom


def test_garbage_is_collected_in_a_small_part_of_the_time() -> None:
    spent = []

    def collect(generation: int = 2) -> int:
        time.sleep(0.01)
        spent.append(0.01)
        return generation

    seldom = _seldom(collect, share=0.1)
    started = time.monotonic()
    assert seldom() == 2 and seldom(1) == 0
    while time.monotonic() - started < 0.5:
        seldom()
    assert 2 <= len(spent) and sum(spent) <= 0.15 * (time.monotonic() - started)
