"""Conversions asked for through the door, what was asked before remembered, what wavers asked until it is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bisect_convert.model.cuts import Section, Unsliceable
from bisect_convert.model.forms import form_of, pattern_of
from bisect_convert.model.graph import Model
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Outcome, Signature, Stage, Verdict, judge
from bisect_convert.probe.door import Door
from bisect_convert.probe.flakiness import Steadiness, Tally, died, face
from bisect_convert.probe.memory import Conversion, Form, Memory
from bisect_convert.worker import request as requests

__all__ = ["Conversions"]


class Conversions:
    """Outcomes of sections of the door's model under one set of options; a probe whose process died is made twice.

    Once a question has been answered in two ways, `unsteady` has those answers: what was concluded from single ones until
    then does not hold, and each question is asked until it is settled.
    """

    def __init__(self, door: Door, options: Mapping[str, Any], *, no_run: bool = False) -> None:
        self.options = dict(options)
        self._door = door
        self._memory = Memory()
        self._steadiness = Steadiness()
        self._weights = False
        self._no_run = no_run

    @property
    def loaded(self) -> Loaded:
        """The model that is asked about."""
        return self._door.loaded

    @property
    def model(self) -> Model:
        """Its graphs."""
        return self._door.loaded.model

    @property
    def asked(self) -> int:
        """How many probes the search had workers make."""
        return self._door.asked

    @property
    def unsteady(self) -> Tally | None:
        """The answers that differed, once any did."""
        return self._steadiness.tally

    def steady(self, section: Section, target: Signature, times: int) -> bool:
        """Return whether the section fails as the target does each of so many times; else the prober is unsteady.

        Not counted in `asked`: it is no question of the search.
        """
        request = self._request(section, frontend=target.stage <= Stage.LOWERING)
        with self._door.uncounted():
            for attempt in range(1, times + 1):
                outcome = self._door.kept(request, attempt)
                if outcome is None:
                    outcome = self._door.probe(request, attempt)
                    self._keep(request, outcome, attempt)
                if judge(outcome, target) is not Verdict.FAIL:
                    self._waver(outcome)
                    break
        return self.unsteady is None

    def sample(self, section: Section, times: int) -> Tally:
        """Convert the section so many times and keep the count; from it comes how often a failure shows."""
        request = self._request(section)
        tally = self._steadiness.sampled(lambda: self._door.probe(request), times)
        self._memory.clear()
        return tally

    def _found(self, key: Conversion, options: Mapping[str, Any] | None, survey: bool) -> tuple[Outcome, bool]:
        """Return the outcome of the conversion, and whether it was known."""
        plain = not key.fresh and options is None
        found = self._memory.conversion(key) or (self._like(key.section, key.frontend) if plain else None)
        cached = found is not None
        if found is None:
            chosen = self.options if options is None else options
            found, cached = self._probe(
                key.section, frontend=key.frontend, fresh=key.fresh, options=chosen, survey=survey
            )
        self._memory.put(key, found)
        form = (self._form(key.section) or self._pattern(key.section)) if plain else None
        if form is not None:
            self._memory.first(Form(form, key.frontend), found)
        return found, cached

    def _waver(self, *outcomes: Outcome) -> None:
        """From here on ask each question until it is settled, and forget what single answers said."""
        if self._steadiness.wavers(outcomes):
            self._memory.clear()

    def _probe(
        self,
        section: Section,
        *,
        options: Mapping[str, Any],
        frontend: bool = False,
        fresh: bool = False,
        survey: bool = False,
        trying: tuple[str | None, str | None, bool] | None = None,
        attempt: int = 0,
    ) -> tuple[Outcome, bool]:
        """Return the outcome, and whether it is one of an earlier run.

        trying: a remedy, by an op, its recipe if any, and whether the batch is 1.
        """
        try:
            request = self._request(section, frontend=frontend, fresh=fresh, options=options, survey=survey)
        except Unsliceable as reason:
            return Outcome(unresolved=str(reason)), False
        if trying is not None:
            op, recipe, one_batch = trying
            quiet = self._no_run and recipe is not None
            request = replace(request, trial=True, op=op, recipe=recipe, one_batch=one_batch, no_run=quiet)
        elif self.unsteady is not None:
            return self._steadiness.settled(lambda: self._door.probe(request)), False
        if (kept := self._door.kept(request, attempt)) is not None:
            return kept, True
        outcome = self._door.probe(request, attempt)
        if died(outcome):
            second = self._door.probe(request, attempt)
            if face(second) != face(outcome):
                self._waver(outcome, second)
                return second, False
        self._keep(request, outcome, attempt)
        return outcome, False

    def _keep(self, request: requests.Probe, outcome: Outcome, attempt: int) -> None:
        """Keep the outcome for later runs, but for a death: a machine may bring it about, and is another one by then."""
        if not died(outcome):
            self._door.keep(request, outcome, attempt)

    def _request(
        self,
        section: Section,
        *,
        frontend: bool = False,
        fresh: bool = False,
        options: Mapping[str, Any] | None = None,
        survey: bool = False,
    ) -> requests.Probe:
        chosen = self.options if options is None else options
        weights = fresh or self._weights
        return self._door.request(section, frontend=frontend, weights=weights, options=chosen, survey=survey)

    def _form(self, section: Section) -> str | None:
        """The form of a section of one op, where its weights are no part of it."""
        return None if self._weights else form_of(self.model, section)

    def _pattern(self, section: Section) -> str | None:
        """The pattern of a small section, where its weights are no part of it."""
        return None if self._weights else pattern_of(self.model, section)

    def _like(self, section: Section, frontend: bool) -> Outcome | None:
        """The outcome of a section that is the same but for its names, if there was one; of several ops, if it converts."""
        if (form := self._form(section)) is not None:
            return self._memory.get(Form(form, frontend))
        pattern = self._pattern(section)
        known = None if pattern is None else self._memory.get(Form(pattern, frontend))
        return known if known is not None and known.failure is None and known.unresolved is None else None
