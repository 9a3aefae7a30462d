"""Controls: conversions of the whole model, and of what is left of it, that say what to look for and whether to trust it."""

from __future__ import annotations

from bisect_convert.model.cuts import Section, feedable, whole
from bisect_convert.model.outcome import Failure, Outcome, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search.locate import Cause

__all__ = ["FICKLE", "Control"]

#: Failures that a slow or a full machine brings about: without a second one, nothing is blamed.
FICKLE = frozenset({"timeout", "MemoryError"})
#: How often the whole is converted where that does not always come to the same.
_SAMPLE = 10
#: Up to how many seconds a section that does not end may take for its parts to be asked about, one after the other.
_WAITED_FOR = 45.0
#: From how many ops on a conversion takes longer than what it costs to begin another one beside it.
_LARGE = 60
#: How often what leads to a doubtful conclusion must fail alike: it may be one that fails now and then.
_OFTEN = 8


class Control:
    """Converts the whole model, twice at least, and what is left of it."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self._whole = whole(prober.model)
        self._once: Outcome | None = None
        """What came of the whole, as long as it was converted once only."""

    @property
    def likely(self) -> bool:
        """Whether it is clear from the start what is to blame for the most part: ops of types without a conversion.

        The whole of a larger model is converted for the second time behind the first of these, which are told sooner then.
        """
        return bool(self.prober.loaded.unknown) and len(self.prober.model.main.atoms) >= _LARGE

    def outcome(self, section: Section) -> Outcome:
        """Return what comes of the section; the time that the whole takes becomes a measure for the limits of others."""
        if section != self._whole:
            if self._once is not None:
                self.prober.again(self._whole, self._once)
                self._once = None
            return self.prober.outcome(section, Kind.REST.asks(), survey=True)
        if self.prober.unsteady is not None:
            return self.prober.unsteady.suspected()
        outcome = self.prober.control(section, Kind.WHOLE.asks(), twice=not self.likely)
        self._once = outcome if self.likely else None
        if outcome.failure is None or outcome.failure.signature.kind != "timeout":
            self.prober.calibrated(outcome.seconds)
        return outcome

    def endless(self, section: Section, failure: Failure) -> str | None:
        """Return why the parts of what is left are not asked about: it took longer than many such questions may."""
        limit = self.prober.limit(section)
        if failure.signature.kind != "timeout" or section == self._whole or limit <= _WAITED_FOR:
            return None
        return f"what is left did not convert within {limit:.0f} s: --timeout SECONDS gives it longer"

    def sample(self) -> str:
        """Convert the whole a few times more, for how often it fails; returns the counts as a note."""
        tally = self.prober.sample(self._whole, _SAMPLE)
        suspect = tally.suspected().failure
        self.prober.shows(1.0 if suspect is None else tally.rate(suspect.signature))
        return f"unstable: of the conversions of the whole model {tally.words()}; each probe was asked until settled"

    def holds(self, section: Section, failure: Failure) -> bool:
        """Return whether the section fails so each time: where it does not, what was concluded from it does not hold."""
        if self.prober.unsteady is not None or failure.type in FICKLE:
            return True
        return self.prober.steady(section, failure.signature, _OFTEN)

    def singled_out(self, section: Section, cause: Cause) -> bool:
        """Return whether the section is free of the failure without the ops of the cause, where failures come and go."""
        if section.graph != cause.graph:
            return True
        ops, _ = feedable(self.prober.model.graphs[section.graph], section.ops - frozenset(cause.ops), section.ops)
        rest = Section(section.graph, ops, section.removed)
        return self.prober.verdict(rest, cause.failure.signature, Kind.WITHOUT.asks()) is not Verdict.FAIL
