"""What is told of a run while it goes on: a moving line on a terminal, or a line for each probe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from bisect_convert.report.report import Probe

__all__ = ["Lines", "Progress"]

_STAGES = {
    "the whole model": "control", "the rest": "control", "the whole model with its true weights": "confirm",
    "confirm": "confirm", "the witness": "shrink", "without some of it": "shrink", "without what rides along": "shrink",
    "without all that rides along": "shrink", "another instance": "instances",
}  # fmt: skip


class Lines:
    """Says each probe once: one told of again, with its verdict, is not said again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: Probe | None = None

    def told(self, probe: Probe) -> None:
        """Say the probe in one line."""
        if not _again(probe, self._last):
            known = "known" if probe.cached else f"{probe.seconds:.2f} s"
            self._say(f"{probe.question} ({probe.ops} ops, {known}): {probe.detail}")
        self._last = probe


class Progress:
    """A context manager: the number of probes, the time, the stage and the last probe in one line, gone afterwards."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] = tqdm(
            desc="load", disable=None, file=sys.stderr, leave=False, dynamic_ncols=True,
            bar_format="{n_fmt} probes, {elapsed}  {desc}",
        )  # fmt: skip
        self._last: Probe | None = None
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        self._bar.close()

    def told(self, probe: Probe) -> None:
        """Show the probe; one told of again, with its verdict, counts once."""
        stage = _STAGES.get(probe.question, "search")
        self._bar.set_description_str(f"{stage}: {probe.question}, {probe.ops} ops: {probe.verdict}", refresh=False)
        self._bar.update(not _again(probe, self._last))
        self._bar.refresh()
        self._last = probe

    def _tick(self) -> None:
        while not self._over.wait(0.5):
            self._bar.refresh()


def _again(probe: Probe, last: Probe | None) -> bool:
    return last is not None and replace(probe, verdict=last.verdict) == last
