"""The search as a walk: it runs in a thread of its own, which halts before each probe until it is let go on.

What has been asked before is answered on the way and halts nobody. The walk is an observer of the search's prober: it
hears which question is at hand and that a probe is due, and changes nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from bisect_convert.errors import UsageError
from bisect_convert.model.outcome import Outcome, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.probe.queries import Observer, Query
from bisect_convert.report.questions import Probe

__all__ = ["ANSWERS", "Asked", "Walk"]

T = TypeVar("T")

_BY_HAND = "answered by hand"
#: What a person may answer in the converter's place.
ANSWERS = {"fails": Verdict.FAIL, "converts": Verdict.PASS, "skip": Verdict.UNRESOLVED}


@dataclass(frozen=True)
class Asked:
    """A question that was answered by a probe, or by hand."""

    query: Query
    probe: Probe
    by_hand: bool = False


class _ByHand(Exception):
    """Raised through the prober in place of a worker's answer."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class _Closed(BaseException):
    """Raised in the walk's thread to end it."""


class Walk:
    """One search, a probe at a time; all methods but the private ones are for the thread that made it."""

    def __init__(self, make_prober: Callable[[Observer], Prober], search: Callable[[Prober], None]) -> None:
        self.steps: list[Asked] = []
        self.prober = make_prober(self)
        self._search = search
        self._changed = threading.Condition()
        self._phase = "new"  # running, halted (before a probe), over
        self._query: Query | None = None
        self._go: Verdict | bool | None = None
        self._free = self._closed = self._probed = False
        self._error: BaseException | None = None
        self._by_hand: dict[Any, Any] = {}
        self._thread = threading.Thread(target=self._walk, daemon=True, name="bisect-convert search")

    @property
    def ahead(self) -> Query | None:
        """What the next probe will ask; None where the search is over."""
        with self._changed:
            self._settle()
            return self._query if self._phase == "halted" else None

    @property
    def over(self) -> bool:
        """True where the search has come to its end."""
        return self._phase == "over"

    def step(self, answer: str | None = None) -> Asked | None:
        """Ask the next question, or answer it by hand; returns it answered, or None where the search is over."""
        query = self.ahead
        if query is None:
            return None
        if answer is not None and answer not in ANSWERS:
            raise UsageError(f"no such answer: {answer!r}; answer one of: {', '.join(ANSWERS)}")
        if answer == "fails" and query.target is None:
            raise UsageError("only the converter can say how this fails; answer converts or skip, or let it ask")
        if answer == "converts" and query.manner.startswith("trial"):
            raise UsageError("only the converter can verify a remedy; answer skip, or let it ask")
        with self._changed:
            count = len(self.steps)
            self._go = True if answer is None else ANSWERS[answer]
            self._phase = "running"
            self._changed.notify_all()
            self._settle()
            return self.steps[count] if len(self.steps) > count else None

    def run_on(self, tick: Callable[[], None] = lambda: None) -> None:
        """Let the search run to its end, calling `tick` now and then; an exception here halts it at the next probe."""
        with self._changed:
            self._start()
            self._free = True
            self._changed.notify_all()
            try:
                while self._phase != "over":
                    self._changed.wait(0.1)
                    tick()
            finally:
                self._free = False
            self._settle()

    def rest(self) -> None:
        """Wait until the walk's thread stands still, so that its prober may be used from here."""
        with self._changed:
            if self._closed:
                raise UsageError("the session is closed")
            self._changed.wait_for(lambda: self._phase != "running")

    def close(self) -> None:
        """End the thread at its next probe."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start(self) -> None:
        if self._closed:
            raise UsageError("the session is closed")
        if self._phase == "new":
            self._phase = "running"
            self._thread.start()

    def _settle(self) -> None:
        self._start()
        self._changed.wait_for(lambda: self._phase in ("halted", "over"))
        if self._error is not None:
            raise self._error

    # --- in the walk's own thread ------------------------------------------------------------------------------------

    def _walk(self) -> None:
        try:
            self._search(self.prober)
        except _Closed:
            pass
        except BaseException as error:  # it belongs to whoever asked for the next step
            self._error = error
        with self._changed:
            self._phase = "over"
            self._changed.notify_all()

    def due(self) -> None:
        """Wait here, before a probe of the search, until it is let go on."""
        if threading.current_thread() is not self._thread or self._query is None or self._probed:
            return  # what makes several probes is one question still
        self._probed = True
        with self._changed:
            if not self._free and not self._closed:
                self._phase = "halted"
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._go is not None or self._free or self._closed)
            if self._closed:
                raise _Closed
            self._phase = "running"
            go, self._go = self._go, None
        if isinstance(go, Verdict):
            raise _ByHand(go)

    def put(self, query: Query, ask: Callable[[], T]) -> T:
        """Have the prober ask, unless a person answers, and keep the query with its answer if a probe was made."""
        if threading.current_thread() is not self._thread:
            return ask()
        if query.key in self._by_hand:
            return cast(T, self._by_hand[query.key])
        self._query, self._probed = query, False
        try:
            answer = ask()
        except _ByHand as told:
            answer = self._by_hand[query.key] = _answer(query, told.verdict)
            self.prober.by_hand(query, told.verdict, _BY_HAND)
        finally:
            self._query = None
        if self._probed:
            self.steps.append(Asked(query, self.prober.journal[-1], query.key in self._by_hand))
        return answer


def _answer(query: Query, verdict: Verdict) -> Any:
    if query.target is not None:
        return verdict
    return Outcome(unresolved="skipped by hand") if verdict is Verdict.UNRESOLVED else Outcome()
