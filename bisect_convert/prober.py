"""The one door to the converter: sections in, outcomes and verdicts out, in the order asked, with a journal."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.model import Loaded
from bisect_convert.report import Probe
from bisect_convert.slicer import Section, Unsliceable, canonical, plan
from bisect_convert.verdict import Failure, Outcome, Signature, Stage, Verdict, judge
from bisect_convert.workers import Workers

__all__ = ["Prober"]


#: Seconds that a small section never takes unless it hangs.
_PATIENCE = 10.0


class Prober:
    """Asks workers about sections of one model under one set of options; what was asked once is not asked again."""

    def __init__(
        self,
        loaded: Loaded,
        workers: Workers,
        options: Mapping[str, Any],
        *,
        timeout: float | None = None,
        memory: float | None = None,
        told: Callable[[Probe], None] = lambda probe: None,
    ) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.options = dict(options)
        self.journal: list[Probe] = []
        self.asked = 0
        self.cached = 0
        self._workers = workers
        self._timeout = timeout
        self._memory = memory
        self._told = told
        self._known: dict[tuple[Any, ...], Outcome] = {}
        self._ahead: dict[str, Future[dict[str, Any]]] = {}

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
            found = self._probe(section, frontend=frontend, fresh=fresh, options=chosen)
        self._known[key] = found
        if not fresh and options is None:
            self._remember(section, frontend, found)
        self._note(section, question, found, cached)
        return found

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
        alike = self._canonical(section) if len(section.ops) == 1 and not section.removed else section
        key = ("trial", alike, repr(options), recipe)
        found = self._known.get(key) or (None if recipe else self._known.get((section, False, False, repr(options))))
        cached = found is not None
        if found is None:
            extra = {"trial": True, **({"op": op, "recipe": recipe} if recipe else {})}
            chosen = self.options if options is None else options
            found = self._probe(section, frontend=False, fresh=False, options=chosen, extra=extra)
        self._known[key] = found
        self._note(section, question, found, cached)
        self.asked, self.cached = counts
        return found

    def carve(self, section: Section, folder: Path, failure: Failure) -> dict[str, Any] | None:
        """Write the section, true weights and all, to `folder`/section.pb; returns what else its repro needs."""
        try:
            made = plan(self.model, section, self.loaded.files)
        except Unsliceable:
            return None
        answer = self._workers.ask({
            "do": "carve", "folder": str(self.loaded.folder), "plan": made, "options": dict(self.options),
            "out": str(folder.absolute()), "type": failure.type, "message": failure.message, "trial": True,
            "check": bool(failure.traceback),
            "memory": self._memory, "timeout": self._timeout,
        })  # fmt: skip
        return answer["carved"] if "carved" in answer else None

    def differs(self, section: Section) -> str | None:
        """Return in what the section's values in TensorFlow differ from the model's: "" in nothing, None if unknown."""
        try:
            made = plan(self.model, section, self.loaded.files)
        except Unsliceable:
            return None
        answer = self._workers.ask({
            "do": "compare", "folder": str(self.loaded.folder), "plan": made,
            "memory": self._memory, "timeout": self._timeout,
        })  # fmt: skip
        return answer.get("differs")

    def without(self, argument: str) -> None:
        """From here on leave out this argument of `ct.convert`; what was known with it no longer counts."""
        self.options.pop(argument)
        self._known.clear()

    def verdict(self, section: Section, target: Signature, question: str, *, fresh: bool = False) -> Verdict:
        """Return the section's outcome as seen against the target; only the stages up to the target's are run."""
        frontend = target.stage <= Stage.LOWERING
        outcome = self.outcome(section, question, frontend=frontend, fresh=fresh)
        verdict = judge(outcome, target)
        self.journal[-1] = replace(self.journal[-1], verdict=verdict.value)
        self._told(self.journal[-1])
        return verdict

    def ahead(self, section: Section) -> None:
        """Begin a probe of the section that is likely to be asked for; it counts once it is."""
        with contextlib.suppress(Unsliceable):
            request = self._request(section, frontend=False, fresh=False, options=self.options)
            self._ahead[json.dumps(request)] = self._workers.send(request)

    def _request(self, section: Section, *, frontend: bool, fresh: bool, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "do": "probe", "folder": str(self.loaded.folder), "plan": plan(self.model, section, self.loaded.files),
            "options": dict(options), "frontend": frontend, "weights": fresh, "memory": self._memory,
            "timeout": self._patience(fresh),
        }  # fmt: skip

    def _probe(
        self,
        section: Section,
        *,
        frontend: bool,
        fresh: bool,
        options: Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
    ) -> Outcome:
        try:
            request = self._request(section, frontend=frontend, fresh=fresh, options=options) | dict(extra or {})
        except Unsliceable as reason:
            return Outcome(unresolved=str(reason))
        self.asked += 1
        begun = self._ahead.pop(json.dumps(request), None)
        answer = self._workers.ask(request) if begun is None else self._workers.answer(begun)
        if "outcome" in answer:
            return Outcome.from_json(answer["outcome"])
        return _death(answer, frontend)

    def _patience(self, fresh: bool) -> float | None:
        """The time limit of one probe; what is to confirm an accusation gets enough of it for any honest conversion."""
        if self._timeout is None or not fresh:
            return self._timeout
        return max(3 * self._timeout, _PATIENCE)

    def _like(self, section: Section, frontend: bool) -> Outcome | None:
        """The outcome of a one-op section that is the same but for its names, if there was one."""
        if len(section.ops) != 1 or section.removed:
            return None
        return self._known.get(("like", self._canonical(section), frontend))

    def _remember(self, section: Section, frontend: bool, outcome: Outcome) -> None:
        if len(section.ops) == 1 and not section.removed:
            self._known.setdefault(("like", self._canonical(section), frontend), outcome)

    def _canonical(self, section: Section) -> str:
        (op,) = section.ops
        return canonical(self.model.graphs[section.graph], op)

    def _note(self, section: Section, question: str, outcome: Outcome, cached: bool) -> None:
        self.cached += cached
        if outcome.unresolved is not None:
            detail, verdict = outcome.unresolved, "unresolved"
        elif outcome.failure is None:
            detail, verdict = "converts", "converts"
        else:
            first = outcome.failure.message.strip().split("\n")[0][:200]
            detail, verdict = f"{outcome.failure.type}: {first}", "fails"
        self.journal.append(Probe(question, len(section.ops), verdict, detail, cached, outcome.seconds))
        self._told(self.journal[-1])


def _death(answer: Mapping[str, Any], frontend: bool) -> Outcome:
    """The outcome of a probe whose worker died, ran out of time or of memory."""
    kind = "MemoryError" if answer.get("memory") else str(answer.get("death"))
    words = {
        "timeout": "the conversion ran over its time limit",
        "MemoryError": "the conversion ran over its memory limit",
    }
    message = words.get(kind, f"the conversion ended its process ({kind})")
    stage = Stage.LOWERING if frontend else Stage.BACKEND
    return Outcome(Failure(Signature(stage, None, kind, message), kind, message))
