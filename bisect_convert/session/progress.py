"""What is told of a search while it goes on: a moving line on a terminal or in a notebook, or a line for each probe."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from bisect_convert.report.questions import Probe

__all__ = ["Progress", "said", "watched"]


#: The line while nothing is known of how many questions there will be, and once a failure lets one expect that.
_SOME, _ABOUT = "{n_fmt} questions, {elapsed}  {desc}", "{n_fmt} of about {total_fmt} questions, {elapsed}  {desc}"


def said(say: Callable[[str], None]) -> Callable[[Probe], None]:
    """Return what says each probe in one line."""

    def told(probe: Probe) -> None:
        known = "known" if probe.cached else f"{probe.seconds:.2f} s"
        say(f"{probe.question} ({probe.ops} ops, {known}): {probe.detail}")

    return told


class Progress:
    """A context manager: the questions answered of about how many, the time and what is being done now, in one line.

    shown: False for one that is told and shows nothing; doing: what is done first.
    """

    def __init__(self, shown: bool = True, doing: str = "") -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a notebook without ipywidgets gets the plain bar: no reason to complain
            from tqdm.auto import tqdm

            self._bar: Any = tqdm(
                desc=doing, disable=not shown, file=sys.stderr, leave=False, dynamic_ncols=True,
                bar_format=_SOME,
            )  # fmt: skip
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
        """Show the probe."""
        question = probe.question.removeprefix(f"{probe.phase}: ")
        about = f"{probe.phase}: {question}, {probe.ops} ops: {probe.verdict}"
        self._bar.set_description_str(about, refresh=False)
        self._bar.update(1)
        if probe.ahead:
            self._bar.total = self._bar.n + probe.ahead
        self._bar.bar_format = _ABOUT if self._bar.total is not None and self._bar.total > self._bar.n else _SOME
        self._bar.refresh()

    def doing(self, what: str) -> None:
        """Show what is being done from now on."""
        self._bar.set_description_str(what)

    def say(self, line: str) -> None:
        """Write the line above the moving one, where it stays."""
        self._bar.write(line, file=sys.stderr)

    def following(self, journal: Sequence[Probe]) -> Callable[[], None]:
        """Return what shows, each time it is called, the probes that the journal has got meanwhile."""
        shown = len(journal)

        def tick() -> None:
            nonlocal shown
            for probe in journal[shown:]:
                self.told(probe)
            shown = len(journal)

        return tick

    def _tick(self) -> None:
        while not self._over.wait(0.5):
            self._bar.refresh()


def watched() -> bool:
    """Return whether somebody looks on: at a terminal, or in a notebook."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
