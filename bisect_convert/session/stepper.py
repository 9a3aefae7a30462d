"""The search as a walk: it runs in a thread of its own, which halts before each probe until it is let go on.

What has been asked before is answered on the way and halts nobody. The walk stands between the hunt and its prober (to
know the question) and between the prober and its workers (to know that a probe is due), and changes neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

from bisect_convert.errors import UsageError
from bisect_convert.model.cuts import Section
from bisect_convert.model.outcome import Outcome, Signature, Verdict
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.report import Probe

__all__ = ["ANSWERS", "Asked", "Question", "Walk"]

_BY_HAND = "answered by hand"
#: What a person may answer in the converter's place.
ANSWERS = {"fails": Verdict.FAIL, "converts": Verdict.PASS, "skip": Verdict.UNRESOLVED}


@dataclass(frozen=True)
class Question:
    """What the search asks of a section; without a `target` it asks how the section fails, if it does."""

    text: str
    section: Section
    target: Signature | None = None
    manner: str = ""
    """How the section is converted, where that is not the usual way; a "trial" is that of a remedy."""

    @property
    def key(self) -> tuple[Section, Signature | None, str]:
        """What makes two questions the same, however they are worded."""
        return self.section, self.target, self.manner


@dataclass(frozen=True)
class Asked:
    """A question that was answered by a probe, or by hand."""

    question: Question
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

    def __init__(
        self, workers: Workers, make_prober: Callable[[Workers], Prober], search: Callable[[Prober], None]
    ) -> None:
        self.steps: list[Asked] = []
        self.prober = make_prober(cast(Workers, _Gate(workers, self._halt)))
        self._search = search
        self._changed = threading.Condition()
        self._phase = "new"  # running, halted (before a probe), over
        self._question: Question | None = None
        self._go: Verdict | bool | None = None
        self._free = self._closed = self._probed = False
        self._error: BaseException | None = None
        self._by_hand: dict[Any, Any] = {}
        self._thread = threading.Thread(target=self._walk, daemon=True, name="bisect-convert search")

    @property
    def ahead(self) -> Question | None:
        """What the next probe will ask; None where the search is over."""
        with self._changed:
            self._settle()
            return self._question if self._phase == "halted" else None

    @property
    def over(self) -> bool:
        """True where the search has come to its end."""
        return self._phase == "over"

    def step(self, answer: str | None = None) -> Asked | None:
        """Ask the next question, or answer it by hand; returns it answered, or None where the search is over."""
        question = self.ahead
        if question is None:
            return None
        if answer is not None and answer not in ANSWERS:
            raise UsageError(f"no such answer: {answer!r}; answer one of: {', '.join(ANSWERS)}")
        if answer == "fails" and question.target is None:
            raise UsageError("only the converter can say how this fails; answer converts or skip, or let it ask")
        if answer == "converts" and question.manner.startswith("trial"):
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
            self._search(cast(Prober, _Listening(self.prober, self._ask)))
        except _Closed:
            pass
        except BaseException as error:  # it belongs to whoever asked for the next step
            self._error = error
        with self._changed:
            self._phase = "over"
            self._changed.notify_all()

    def _halt(self) -> None:
        """Wait here, before a probe of the search, until it is let go on."""
        if threading.current_thread() is not self._thread or self._question is None or self._probed:
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

    def _ask(self, question: Question, ask: Callable[[], Any]) -> Any:
        """Put the question to the prober, and keep it with its answer if a probe was made."""
        if question.key in self._by_hand:
            return self._by_hand[question.key]
        before, self._probed = self.prober.asked, False
        self._question = question
        try:
            answer = ask()
        except _ByHand as told:
            self.prober.asked = before
            answer = self._by_hand[question.key] = _answer(question, told.verdict)
            probe = Probe(question.text, len(question.section), told.verdict.value, _BY_HAND, False, 0.0)
            self.prober.journal.append(probe)
        finally:
            self._question = None
        if self._probed:
            self.steps.append(Asked(question, self.prober.journal[-1], question.key in self._by_hand))
        return answer


def _answer(question: Question, verdict: Verdict) -> Verdict | Outcome:
    if question.target is not None:
        return verdict
    return Outcome(unresolved="skipped by hand") if verdict is Verdict.UNRESOLVED else Outcome()


class _Gate:
    """Stands for the workers: a request of the search waits at the gate."""

    def __init__(self, workers: Workers, halt: Callable[[], None]) -> None:
        self._workers = workers
        self._halt = halt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workers, name)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._halt()
        return self._workers.ask(request)

    def answer(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        self._halt()
        return self._workers.answer(future)


class _Listening:
    """Stands for the prober: knows each question before it is asked."""

    def __init__(self, prober: Prober, heard: Callable[[Question, Callable[[], Any]], Any]) -> None:
        self._prober = prober
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._prober, name)

    def outcome(self, section: Section, question: str, **how: Any) -> Outcome:
        asked = Question(question, section, None, repr(sorted(how.items())))
        return cast(Outcome, self._heard(asked, lambda: self._prober.outcome(section, question, **how)))

    def control(self, section: Section, question: str) -> Outcome:
        return cast(Outcome, self._heard(Question(question, section), lambda: self._prober.control(section, question)))

    def verdict(self, section: Section, target: Signature, question: str, *, fresh: bool = False) -> Verdict:
        asked = Question(question, section, target, "fresh" if fresh else "")
        return cast(Verdict, self._heard(asked, lambda: self._prober.verdict(section, target, question, fresh=fresh)))

    def trial(self, section: Section, question: str, **how: Any) -> Outcome:
        asked = Question(question, section, None, f"trial {sorted(how.items())!r}")
        return cast(Outcome, self._heard(asked, lambda: self._prober.trial(section, question, **how)))
