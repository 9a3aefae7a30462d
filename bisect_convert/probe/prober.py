"""The one door to the converter: sections in, outcomes and verdicts out, in the order asked, with a journal."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bisect_convert.model.cuts import Section, Unsliceable, canonical, plan, whole
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Failure, Outcome, Signature, Stage, Verdict, judge
from bisect_convert.probe.answers import Line, entry
from bisect_convert.probe.cache import Cache
from bisect_convert.probe.client import Workers
from bisect_convert.probe.flakiness import Tally, died, face
from bisect_convert.probe.limits import Limits, spare_memory
from bisect_convert.report.report import Probe

__all__ = ["Prober"]

T = TypeVar("T")
#: Seconds after which one question is not asked again, however unsteady its answers are.
_LONGEST = 90.0


class Prober:
    """Asks workers about sections of one model under one set of options; what was asked once is not asked again.

    timeout (seconds) and memory (GiB) limit each probe; jobs: how many probes may run at once; cache: outcomes of earlier
    runs. A probe whose process died is made twice. Once a question has been answered in two ways, `unsteady` has those
    answers: what was concluded from single ones until then does not hold, and each question is asked until it is settled.
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
        told: Callable[[Probe], None] = lambda probe: None,
    ) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.options = dict(options)
        self.journal: list[Probe] = []
        self.asked = 0
        self.cached = 0
        self.unsteady: Tally | None = None
        self.rate = 1.0
        self.limits = Limits(loaded.size, loaded.mib, timeout, memory or spare_memory(jobs))
        self._jobs = jobs
        self._told = told
        self._known: dict[tuple[Any, ...], Outcome] = {}
        versions = {} if cache is None else workers.versions()
        self._line = Line(workers, cache, {"model": self.model.digest, **versions})
        self._weights = False

    def outcome(
        self, section: Section, question: str, *, frontend: bool = False, fresh: bool = False, options: Any = None
    ) -> Outcome:
        """Return what came of converting the section; `fresh`: asked again, with the true weights."""
        chosen = self.options if options is None else options
        key = (section, frontend, fresh, repr(options))
        found = self._known.get(key) or (None if fresh or options else self._like(section, frontend))
        if found is None and frontend and (full := self._known.get((section, False, False, "None"))) is not None:
            found = full if full.failure is None or full.failure.signature.stage <= Stage.LOWERING else None
        cached = found is not None
        if found is None:
            found, cached = self._probe(section, frontend=frontend, fresh=fresh, options=chosen)
        self._known[key] = found
        if not fresh and options is None:
            self._remember(section, frontend, found)
        self._note(section, question, found, cached)
        return found

    def control(self, section: Section, question: str) -> Outcome:
        """Return what came of converting the section, which is done twice: the prober is unsteady where that differs."""
        first = self.outcome(section, question)
        kind = "" if first.failure is None else first.failure.type
        if first.unresolved is None and kind != "timeout" and not died(first) and self.unsteady is None:
            asked = self.asked
            second, _ = self._probe(section, frontend=False, fresh=False, options=self.options, attempt=1)
            self.asked = asked
            if face(second) != face(first):
                self._waver(first, second)
        return first

    def trial(
        self,
        section: Section,
        question: str,
        *,
        options: Mapping[str, Any] | None = None,
        op: str | None = None,
        recipe: str | None = None,
    ) -> Outcome:
        """Return what comes of a remedy: other options, or `op` rewritten by a recipe; not counted in `asked`."""
        counts = self.asked, self.cached
        alike = self._form(section) or section
        key = ("trial", alike, repr(options), recipe)
        found = self._known.get(key) or (None if recipe else self._known.get((section, False, False, repr(options))))
        cached = found is not None
        if found is None:
            extra = {"trial": True, **({"op": op, "recipe": recipe} if recipe else {})}
            chosen = self.options if options is None else options
            found, cached = self._probe(section, frontend=False, fresh=False, options=chosen, extra=extra)
        self._known[key] = found
        self._note(section, question, found, cached)
        self.asked, self.cached = counts
        return found

    def carve(self, section: Section, folder: Path, failure: Failure) -> dict[str, Any] | None:
        """Write the section, true weights and all, to `folder`/section.pb; returns what else its repro needs."""
        about = {"type": failure.type, "message": failure.message, "check": bool(failure.traceback), "trial": True}
        request = {"do": "carve", "options": dict(self.options), "out": str(folder.absolute()), **about}
        return self._errand(section, request).get("carved")

    def differs(self, section: Section) -> str | None:
        """Return in what the section's values in TensorFlow differ from the model's: "" in nothing, None if unknown."""
        return self._errand(section, {"do": "compare"}).get("differs")

    def _errand(self, section: Section, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._line.ask({**request, **self._about(section, fresh=True)})
        except Unsliceable:
            return {}

    def passes(self) -> dict[str, Any]:
        """Return the pass pipeline in force, packed: the caller's or the default; empty where no worker can tell it."""
        given = self.options.get("pass_pipeline") or self._line.ask({"do": "passes"}).get("pipeline")
        return dict(given or {"name": "", "passes": [], "options": {}})

    def instead(self, changes: Mapping[str, Any]) -> None:
        """From here on call with these arguments in place of the caller's (None: left out); the rest is asked anew."""
        self.options = {k: v for k, v in {**self.options, **changes}.items() if v is not None}
        tried = self._known.get((whole(self.model), False, False, repr(self.options)))
        self._known = {} if tried is None else {(whole(self.model), False, False, "None"): tried}

    def turn_to(self, loaded: Loaded) -> None:
        """From here on ask about another model; the journal and the counts go on."""
        self.loaded, self.model = loaded, loaded.model
        self.limits = replace(self.limits, ops=loaded.size, mib=loaded.mib, whole=None)
        self._line.turn_to(model=loaded.model.digest)
        self._known.clear()

    def with_weights(self) -> None:
        """From here on put the true weights into every section; what was known without them no longer counts."""
        self._weights = True
        kept = [(k, found) for k, found in self._known.items() if len(k) == 4 and k[2] is True]
        self._known = {(k[0], k[1], False, k[3]): found for k, found in kept}

    def verdict(self, section: Section, target: Signature, question: str, *, fresh: bool = False) -> Verdict:
        """Return the section's outcome as seen against the target; only the stages up to the target's are run."""
        frontend = target.stage <= Stage.LOWERING
        if self.unsteady is None:
            outcome = self.outcome(section, question, frontend=frontend, fresh=fresh)
            verdict = judge(outcome, target)
        else:
            verdict = self._settled_verdict(section, target, question, fresh)
        self.journal[-1] = replace(self.journal[-1], verdict=verdict.value)
        self._told(self.journal[-1])
        return verdict

    def ahead(self, sections: Iterable[Section], *, target: Signature | None = None, again: bool = False) -> None:
        """Begin probes of sections that are likely to be asked for; each counts once it is.

        With a `target` that is done where several may run at once, and for as many as may; `again`: a second conversion.
        """
        if self.unsteady is not None or (target is not None and self._jobs < 2):
            return
        frontend = target is not None and target.stage <= Stage.LOWERING
        for section in itertools.islice(sections, self._jobs):
            if (section, frontend, False, "None") not in self._known and self._like(section, frontend) is None:
                with contextlib.suppress(Unsliceable):
                    request = self._request(section, frontend=frontend, fresh=False, options=self.options)
                    self._line.begin(request, int(again))

    def _request(self, section: Section, *, frontend: bool, fresh: bool, options: Mapping[str, Any]) -> dict[str, Any]:
        fresh = fresh or self._weights
        about = self._about(section, frontend=frontend, fresh=fresh)
        return {"do": "probe", **about, "options": dict(options), "frontend": frontend, "weights": fresh}

    def _about(self, section: Section, **how: bool) -> dict[str, Any]:
        """Which section a request is about, and its limits; raises Unsliceable."""
        return {
            "folder": str(self.loaded.folder), "plan": plan(self.model, section, self.loaded.files),
            "memory": self.limits.memory_of(len(section.ops)), "timeout": self.limits.of(len(section.ops), **how),
        }  # fmt: skip

    def _probe(
        self,
        section: Section,
        *,
        frontend: bool,
        fresh: bool,
        options: Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
        attempt: int = 0,
    ) -> tuple[Outcome, bool]:
        """Return the outcome, and whether it is one of an earlier run."""
        try:
            request = self._request(section, frontend=frontend, fresh=fresh, options=options) | dict(extra or {})
        except Unsliceable as reason:
            return Outcome(unresolved=str(reason)), False
        if self.unsteady is not None and not extra:
            settled, tally = self._until(lambda tally: tally.settled(self.rate), request)
            return settled or tally.outcomes[-1], False
        if (kept := self._line.kept(request, attempt)) is not None:
            return kept, True
        outcome = self._ask(request, attempt)
        if died(outcome):
            second = self._ask(request, attempt)
            if face(second) != face(outcome):
                self._waver(outcome, second)
                return second, False
        self._line.keep(request, outcome, attempt)
        return outcome, False

    def _ask(self, request: dict[str, Any], attempt: int = 0) -> Outcome:
        self.asked += 1
        return self._line.probe(request, attempt)

    # --- answers that differ -----------------------------------------------------------------------------------------

    def _waver(self, *outcomes: Outcome) -> None:
        """From here on ask each question until it is settled, and forget what single answers said."""
        if self.unsteady is None:
            self.unsteady = Tally(outcomes)
            self._known.clear()

    def steady(self, section: Section, target: Signature, times: int) -> bool:
        """Return whether the section fails as the target does each of so many times; else the prober is unsteady.

        Not counted in `asked`: it is no question of the search.
        """
        asked = self.asked
        request = self._request(section, frontend=target.stage <= Stage.LOWERING, fresh=False, options=self.options)
        for attempt in range(1, times + 1):
            outcome = self._line.kept(request, attempt)
            if outcome is None:
                outcome = self._ask(request, attempt)
                self._line.keep(request, outcome, attempt)
            if judge(outcome, target) is not Verdict.FAIL:
                self._waver(outcome)
                break
        self.asked = asked
        return self.unsteady is None

    def sample(self, section: Section, times: int) -> Tally:
        """Convert the section so many times and keep the count; from it comes how often a failure shows."""
        request = self._request(section, frontend=False, fresh=False, options=self.options)
        _, self.unsteady = self._until(lambda tally: len(tally.outcomes) >= times or None, request, self.unsteady)
        self._known.clear()
        return self.unsteady

    def _until(
        self, settled: Callable[[Tally], T | None], request: dict[str, Any], tally: Tally | None = None
    ) -> tuple[T | None, Tally]:
        """Ask until the answers are settled; None with them where that takes too long."""
        started, tally = time.monotonic(), tally or Tally(())
        while (found := settled(tally)) is None and time.monotonic() - started < _LONGEST:
            tally = Tally((*tally.outcomes, self._ask(request)))
        return found, tally

    def _settled_verdict(self, section: Section, target: Signature, question: str, fresh: bool) -> Verdict:
        frontend = target.stage <= Stage.LOWERING
        key = ("settled", section, target, fresh)
        if (known := self._known.get(key)) is not None:
            self._note(section, question, known, True)
            return judge(known, target)
        try:
            request = self._request(section, frontend=frontend, fresh=fresh, options=self.options)
            verdict, tally = self._until(lambda tally: tally.verdict(target, self.rate), request)
        except Unsliceable as reason:
            tally, verdict = Tally((Outcome(unresolved=str(reason)),)), Verdict.UNRESOLVED
        verdict = verdict or Verdict.UNRESOLVED
        told = next((o for o in reversed(tally.outcomes) if judge(o, target) is verdict), tally.outcomes[-1])
        self._known[key] = told
        self._note(section, f"{question} ({tally.words()})", told, False)
        return verdict

    def _form(self, section: Section) -> str | None:
        """The form of a single op, which is all that counts but for its weights; None where these are in it."""
        if len(section.ops) != 1 or section.removed or self._weights:
            return None
        return canonical(self.model.graphs[section.graph], *section.ops)

    def _like(self, section: Section, frontend: bool) -> Outcome | None:
        """The outcome of a one-op section that is the same but for its names, if there was one."""
        return self._known.get(("like", self._form(section), frontend))

    def _remember(self, section: Section, frontend: bool, outcome: Outcome) -> None:
        if (form := self._form(section)) is not None:
            self._known.setdefault(("like", form, frontend), outcome)

    def _note(self, section: Section, question: str, outcome: Outcome, cached: bool) -> None:
        self.cached += cached
        self.journal.append(entry(question, len(section.ops), outcome, cached))
        self._told(self.journal[-1])
