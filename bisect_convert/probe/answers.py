"""Answers to requests: from what was kept or begun before where that is the same, else from a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from bisect_convert.arguments.custom_ops import digests
from bisect_convert.errors import Stopped
from bisect_convert.model.outcome import Failure, Outcome, Signature, Stage
from bisect_convert.probe.cache import Cache
from bisect_convert.probe.client import Workers
from bisect_convert.report import questions
from bisect_convert.worker.request import Probe, Request

__all__ = ["Answers", "entry"]

#: What a request says about how to answer it, not about what is asked.
_MANNER = frozenset({"folder", "timeout", "memory"})


class Answers:
    """Hands requests to workers and turns their answers into outcomes.

    about: what else makes two questions the same, beside the request: the model's content, versions.
    """

    def __init__(self, workers: Workers, cache: Cache | None, about: Mapping[str, Any]) -> None:
        self._workers = workers
        self._cache = cache
        self._about = dict(about)
        self._begun: dict[str, Future[dict[str, Any]]] = {}

    def turn_to(self, **about: Any) -> None:
        """From here on this makes questions the same instead."""
        self._about |= about

    def begin(self, request: Probe, attempt: int = 0) -> None:
        """Let the workers begin on a request that is likely to be made."""
        key = self._key(request, attempt)
        if key not in self._begun and self._kept(key, request) is None:
            self._begun[key] = self._workers.send(request)

    def kept(self, request: Probe, attempt: int = 0) -> Outcome | None:
        """Return the outcome of such a probe in an earlier run, or None."""
        answer = self._kept(self._key(request, attempt), request)
        try:
            return None if answer is None else _outcome(answer, request)
        except (KeyError, TypeError, ValueError):  # of an answer of another form than this version writes
            return None

    def probe(self, request: Probe, attempt: int = 0) -> Outcome:
        """Return what came of the probe, asked now; raises Stopped where there is nobody left to ask."""
        key = self._key(request, attempt)
        begun = self._begun.pop(key, None)
        answer = self._workers.ask(request) if begun is None else self._workers.answer(begun)
        if answer.get("death") == "server":
            raise Stopped("the conversion server has ended")
        return _outcome(answer, request)

    def keep(self, request: Probe, outcome: Outcome, attempt: int = 0) -> None:
        """Keep the outcome for later runs."""
        if self._cache is not None:
            kept = {"outcome": outcome.to_json(), "timeout": request.timeout, "memory": request.memory}
            self._cache.put(self._key(request, attempt), kept)

    def ask(self, request: Request) -> dict[str, Any]:
        """Return the answer to a request that is no probe."""
        return self._workers.insist(request)

    def _kept(self, key: str, request: Probe) -> dict[str, Any] | None:
        """What is kept counts unless it is the want of time or memory of which there is more now."""
        answer = None if self._cache is None else self._cache.get(key)
        if answer is None or "outcome" not in answer:
            return None
        kind = (answer["outcome"].get("failure") or {}).get("kind")
        limit = {"timeout": "timeout", "MemoryError": "memory"}.get(str(kind))
        now, then = (None, None) if limit is None else (getattr(request, limit), answer[limit])
        if limit is not None and (now is None or then is None or now > then):
            return None
        return answer

    def _key(self, request: Probe, attempt: int) -> str:
        asked = {name: value for name, value in request.to_json().items() if name not in _MANNER}
        if own := request.options.get("conversions"):
            asked["options"] = {**request.options, "conversions": digests(own)}
        text = {"about": self._about, "asked": asked, "attempt": attempt}
        return Cache.key(text) if self._cache is not None else json.dumps(text)


def entry(question: questions.Question, ops: int, outcome: Outcome, cached: bool) -> questions.Probe:
    """Return the journal's line about a question that had this outcome."""
    verdict, detail = outcome.words
    phase, ahead = question.kind.phase, _ahead(question, outcome)
    return questions.Probe(str(question), ops, verdict, detail, cached, outcome.seconds, phase, ahead)


def _ahead(question: questions.Question, outcome: Outcome) -> int:
    """How many questions a failure of the whole, or of what is left of it, makes likely: four a cause, and the next rest."""
    if outcome.failure is None or question.kind.phase not in ("control", "continue"):
        return 0
    causes = {f.signature for f in (outcome.failure, *outcome.further)}
    return 4 * len(causes) + 1


def _outcome(answer: Mapping[str, Any], request: Probe) -> Outcome:
    if "outcome" in answer:
        return Outcome.from_json(answer["outcome"])
    return _death(answer, request.frontend)


def _death(answer: Mapping[str, Any], frontend: bool) -> Outcome:
    """The outcome of a probe whose worker died, ran out of time or of memory."""
    kind = "MemoryError" if answer.get("memory") else str(answer.get("death"))
    words = {
        "timeout": "the conversion ran over its time limit",
        "MemoryError": "the conversion ran over its memory limit",
    }
    message = words.get(kind, f"the conversion ended its process ({kind})")
    stage, pass_name = answer.get("reached") or (Stage.LOWERING if frontend else Stage.BACKEND, None)
    return Outcome(Failure(Signature(Stage(stage), pass_name, kind, message), kind, message))
