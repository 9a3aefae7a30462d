"""The door to the workers: a section and how to convert it go in as a request, what came of it comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bisect_convert.model.cuts import Section, plan
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Outcome
from bisect_convert.probe.answers import Answers
from bisect_convert.probe.cache import Cache
from bisect_convert.probe.client import Workers
from bisect_convert.probe.limits import Limits
from bisect_convert.worker.request import About, Carve, Numbers, Probe, Request, Run, Save, Time, Weights

__all__ = ["Door"]

R = TypeVar("R", bound=About)
#: What the true weights go into, beside some probes.
_WITH_WEIGHTS = (Carve, Numbers, Run, Save, Time)
#: Seconds that reading them may take.
_LONGEST = 1800.0


class Door:
    """Makes requests about sections of one model, each within its limits, and gets them answered.

    before: called each time before a worker is asked; what it raises goes up in place of an answer. `asked` counts the
    probes that workers were asked for.
    """

    def __init__(
        self, loaded: Loaded, workers: Workers, cache: Cache | None, limits: Limits, before: Callable[[], None]
    ) -> None:
        versions = {} if cache is None else workers.versions()
        self.loaded = loaded
        self.limits = limits
        self.asked = 0
        self._before = before
        self._complete: set[Path] = set()
        self._workers = workers
        self._answers = Answers(workers, cache, {"model": loaded.model.digest, **versions})

    def turn_to(self, loaded: Loaded) -> None:
        """From here on ask about another model."""
        self.loaded = loaded
        self.limits = replace(self.limits, ops=loaded.size, mib=loaded.mib, whole=None)
        self._answers.turn_to(model=loaded.model.digest)

    def calibrated(self, seconds: float) -> None:
        """From here on the time that the whole took is a measure for the limits of its parts."""
        self.limits = replace(self.limits, whole=seconds)

    def request(
        self, section: Section, *, frontend: bool, weights: bool, options: Mapping[str, Any], survey: bool = False
    ) -> Probe:
        """Return the request to convert the section; raises Unsliceable."""
        about = self.about(Probe, section, frontend=frontend, fresh=weights)
        return replace(about, options=dict(options), frontend=frontend, weights=weights, survey=survey)

    def about(self, kind: type[R], section: Section, **how: bool) -> R:
        """Return a request of this kind about the section, within its limits; raises Unsliceable."""
        count = len(section.ops)
        return kind(
            str(self.loaded.folder), plan(self.loaded.model, section, self.loaded.files),
            memory=self.limits.memory_of(count), timeout=self.limits.of(count, **how),
        )  # fmt: skip

    def kept(self, request: Probe, attempt: int = 0) -> Outcome | None:
        """Return the outcome of such a probe in an earlier run, or None."""
        return self._answers.kept(request, attempt)

    def keep(self, request: Probe, outcome: Outcome, attempt: int = 0) -> None:
        """Keep the outcome for later runs."""
        self._answers.keep(request, outcome, attempt)

    def probe(self, request: Probe, attempt: int = 0) -> Outcome:
        """Return what came of the probe, asked now; raises Stopped where there is nobody left to ask."""
        self._before()
        self.asked += 1
        self._have_weights(request)
        return self._answers.probe(request, attempt)

    def begin(self, requests: Iterable[Probe], attempt: int = 0) -> None:
        """Let the workers begin on requests that are likely to be made."""
        for request in requests:
            self._have_weights(request)
            self._answers.begin(request, attempt)

    def errand(self, request: Request) -> dict[str, Any]:
        """Return the answer to a request that is no probe; raises EnvironmentError_ for a fault of ours."""
        self._have_weights(request)
        return self._answers.ask(request)

    def now(self, request: Request) -> dict[str, Any]:
        """Return the answer to a request that is no probe and is made once, whatever becomes of its worker."""
        self._have_weights(request)
        return self._workers.ask(request)

    def _have_weights(self, request: Request) -> None:
        """Have the weights read that the request needs and only freezing the model gives: its own limits are not for that."""
        if isinstance(request, _WITH_WEIGHTS) or (isinstance(request, Probe) and request.weights):
            if self.loaded.folder not in self._complete and self.loaded.has_derived(request.plan):
                self._complete.add(self.loaded.folder)
                self._workers.insist(Weights(str(self.loaded.folder), timeout=_LONGEST))

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """Within, probes are no questions of the search."""
        asked = self.asked
        try:
            yield
        finally:
            self.asked = asked
