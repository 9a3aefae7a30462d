"""The one door to the converter: sections in, outcomes and verdicts out, in the order asked, with a journal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bisect_convert.model.cuts import Section, Unsliceable, whole
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Outcome, Signature, Stage, Verdict, judge
from bisect_convert.probe.answers import entry
from bisect_convert.probe.cache import Cache
from bisect_convert.probe.client import Workers
from bisect_convert.probe.conversions import Conversions
from bisect_convert.probe.door import Door
from bisect_convert.probe.errands import Errands
from bisect_convert.probe.flakiness import died, face
from bisect_convert.probe.limits import Limits, spare_memory
from bisect_convert.probe.memory import Conversion, Settled, Trial
from bisect_convert.probe.queries import Observer, Query
from bisect_convert.report.questions import Probe, Question

__all__ = ["Prober"]

T = TypeVar("T")


class Prober(Conversions):
    """Asks workers about sections of one model under one set of options; what was asked once is not asked again.

    timeout (seconds) and memory (GiB) limit each probe; jobs: how many probes may run at once; cache: outcomes of earlier
    runs. `asking` hears of each question when it is asked, `told` once it is answered. A probe whose process died is made
    twice. Once a question has been answered in two ways, `unsteady` has those answers: what was concluded from single ones
    until then does not hold, and each question is asked until it is settled.
    """

    def __init__(
        self,
        loaded: Loaded,
        workers: Workers,
        options: Mapping[str, Any],
        *,
        timeout: float | None = None,
        memory: float | None = None,
        jobs: int = 1,
        cache: Cache | None = None,
        asking: Callable[[Question], None] = lambda question: None,
        told: Callable[[Probe], None] = lambda probe: None,
        observer: Observer | None = None,
        no_run: bool = False,
    ) -> None:
        limits = Limits(loaded.size, loaded.mib, timeout, memory or spare_memory(jobs))
        door = Door(loaded, workers, cache, limits, (lambda: None) if observer is None else observer.due)
        super().__init__(door, options, no_run=no_run)
        self.journal: list[Probe] = []
        self.cached = 0
        self.warned: tuple[str, ...] = ()
        self.errands = Errands(door, no_run=no_run)
        self._jobs = jobs
        self._asking = asking
        self._told = told
        self._observer = observer

    def outcome(
        self,
        section: Section,
        question: Question,
        *,
        frontend: bool = False,
        fresh: bool = False,
        options: Any = None,
        survey: bool = False,
    ) -> Outcome:
        """Return what came of converting the section; `fresh`: asked again, with the true weights.

        survey: where it fails in lowering, what fails behind that is told too.
        """
        manner = repr(sorted({"frontend": frontend, "fresh": fresh, "options": options}.items()))
        query = Query(question, section, None, manner if frontend or fresh or options else "")
        return self._put(query, lambda: self._outcome(section, question, frontend, fresh, options, survey))

    def control(self, section: Section, question: Question, *, twice: bool = True) -> Outcome:
        """Return what came of converting the section; `twice`: the prober is unsteady where a second time it differs."""

        def ask() -> Outcome:
            first = self._outcome(section, question, survey=True)
            self.warned = first.warned
            if twice:
                self.again(section, first)
            return first

        return self._put(Query(question, section), ask)

    def again(self, section: Section, first: Outcome) -> None:
        """Convert once more what came to this; where that differs the prober is unsteady."""
        kind = "" if first.failure is None else first.failure.type
        if first.unresolved is None and kind != "timeout" and not died(first) and self.unsteady is None:
            with self._door.uncounted():
                second, _ = self._probe(section, options=self.options, attempt=1, survey=True)
            if face(second) != face(first):
                self._waver(first, second)

    def verdict(self, section: Section, target: Signature, question: Question, *, fresh: bool = False) -> Verdict:
        """Return the section's outcome as seen against the target; only the stages up to the target's are run."""

        def ask() -> Verdict:
            if self.unsteady is None:
                frontend = target.stage <= Stage.LOWERING
                verdict = judge(self._outcome(section, question, frontend, fresh), target)
            else:
                verdict = self._settled_verdict(section, target, question, fresh)
            self.journal[-1] = replace(self.journal[-1], verdict=verdict.value)
            return verdict

        return self._put(Query(question, section, target, "fresh" if fresh else ""), ask)

    def trial(
        self,
        section: Section,
        question: Question,
        *,
        options: Mapping[str, Any] | None = None,
        op: str | None = None,
        recipe: str | None = None,
        one_batch: bool = False,
    ) -> Outcome:
        """Return what comes of a remedy: other options, or `op` rewritten by a recipe; not counted in `asked`.

        one_batch: the recipe is given tensors whose open first dimension is 1.
        """
        said = None if options is None else repr(options)

        def ask() -> Outcome:
            key = Trial(self._form(section) or section, said, recipe, one_batch)
            found = self._memory.get(key)
            if found is None and recipe is None:
                found = self._memory.get(Conversion(section, options=said))
            cached, counted = found is not None, self.cached
            if found is None:
                chosen = self.options if options is None else options
                with self._door.uncounted():
                    found, cached = self._probe(
                        section, frontend=False, fresh=False, options=chosen, trying=(op, recipe, one_batch)
                    )
            self._memory.put(key, found)
            self._note(section, question, found, cached)
            self.cached = counted
            return found

        return self._put(Query(question, section, None, f"trial {said} {op} {recipe}" + " one batch" * one_batch), ask)

    def ahead(self, sections: Iterable[Section], *, target: Signature | None = None, again: bool = False) -> None:
        """Begin probes of sections that are likely to be asked for; each counts once it is.

        With a `target` that is done where several may run at once, and for as many as may; `again`: a second conversion.
        """
        if self.unsteady is not None or (target is not None and self._jobs < 2):
            return
        frontend = target is not None and target.stage <= Stage.LOWERING
        for section in itertools.islice(sections, self._jobs):
            if self._memory.get(Conversion(section, frontend)) is None and self._like(section, frontend) is None:
                try:
                    request = self._request(section, frontend=frontend, survey=target is None)
                except Unsliceable:
                    continue
                self._door.begin([request], int(again))

    def instead(self, changes: Mapping[str, Any]) -> None:
        """From here on call with these arguments in place of the caller's (None: left out); the rest is asked anew."""
        self.options = {k: v for k, v in {**self.options, **changes}.items() if v is not None}
        everything = whole(self.model)
        tried = self._memory.get(Conversion(everything, options=repr(self.options)))
        self._memory.keep_only({} if tried is None else {Conversion(everything): tried})

    def turn_to(self, loaded: Loaded) -> None:
        """From here on ask about another model; the journal and the counts go on."""
        self._door.turn_to(loaded)
        self._memory.clear()

    def with_weights(self) -> None:
        """From here on put the true weights into every section; what was known without them no longer counts."""
        self._weights = True
        known = self._memory.with_true_weights()
        self._memory.keep_only({replace(key, fresh=False): found for key, found in known.items()})

    def calibrated(self, seconds: float) -> None:
        """From here on the time that the whole took is a measure for the limits of its parts."""
        self._door.calibrated(seconds)

    def limit(self, section: Section) -> float:
        """Return the seconds that a probe of the section may take."""
        return self._door.limits.of(len(section.ops))

    def shows(self, rate: float) -> None:
        """From here on take it that the failure shows in this part of the conversions that have it."""
        self._steadiness.rate = rate

    def _settled_verdict(self, section: Section, target: Signature, question: Question, fresh: bool) -> Verdict:
        key = Settled(section, target, fresh)
        if (known := self._memory.get(key)) is not None:
            self._note(section, question, known, True)
            return judge(known, target)
        frontend = target.stage <= Stage.LOWERING
        try:
            request = self._request(section, frontend=frontend, fresh=fresh)
            verdict, told, words = self._steadiness.verdict(lambda: self._door.probe(request), target)
        except Unsliceable as reason:
            verdict, told, words = Verdict.UNRESOLVED, Outcome(unresolved=str(reason)), "not asked"
        self._memory.put(key, told)
        self._note(section, question, told, False, words)
        return verdict

    def _outcome(
        self,
        section: Section,
        question: Question,
        frontend: bool = False,
        fresh: bool = False,
        options: Mapping[str, Any] | None = None,
        survey: bool = False,
    ) -> Outcome:
        key = Conversion(section, frontend, fresh, None if options is None else repr(options))
        found, cached = self._found(key, options, survey)
        self._note(section, question, found, cached)
        return found

    def _put(self, query: Query, ask: Callable[[], T]) -> T:
        """Get the query answered, by the observer if it knows better, and tell of it."""
        count = len(self.journal)
        self._asking(query.question)
        answer = ask() if self._observer is None else self._observer.put(query, ask)
        if len(self.journal) > count:
            self._told(self.journal[-1])
        return answer

    def by_hand(self, query: Query, verdict: Verdict, words: str) -> None:
        """Write down that a person answered the query."""
        question = query.question
        probe = Probe(str(question), len(query.section), verdict.value, words, False, 0.0, question.kind.phase)
        self.journal.append(probe)

    def _note(self, section: Section, question: Question, outcome: Outcome, cached: bool, words: str = "") -> None:
        self.cached += cached
        line = entry(question, len(section.ops), outcome, cached)
        self.journal.append(replace(line, question=f"{line.question} ({words})") if words else line)
