"""Where the time goes: the smallest section that takes its share of a conversion that succeeds, but slowly."""

from __future__ import annotations

from dataclasses import dataclass

from bisect_convert.model.cuts import Section, whole
from bisect_convert.model.outcome import Failure, Signature, Stage, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import SLOW
from bisect_convert.report.questions import Kind, Question
from bisect_convert.search.bisection import first_failing, minimise
from bisect_convert.search.hunt import Found

__all__ = ["slow_section"]

#: Seconds below which nothing is slow: what any conversion takes.
_LEAST = 1.0
#: How many questions the last step of shrinking may ask: each of them takes its time.
_MOST = 30


def slow_section(prober: Prober, factor: float) -> Found | None:
    """Return the smallest section found that takes at least 1/`factor` of the time of the whole model, which converts.

    Conversions are those with the true weights, each timed once. None where no section is slow by itself: a second, say.
    """
    clock = _Clock(prober)
    everything = whole(prober.model)
    total = clock.seconds(everything, Kind.TIME.asks("the whole model"))
    if total is None:
        return None
    search = _Search(clock, max(total / factor, _LEAST))
    if total < search.limit:
        return None
    part = search.run()
    took = clock.seconds(part, Kind.TIME.asks("the slow section"))
    if took is None or took < search.limit:
        return None
    frontend = prober.outcome(part, Kind.TIME.asks("its frontend"), frontend=True, fresh=True)
    stage = Stage.LOWERING if frontend.seconds >= took / 2 else Stage.BACKEND
    count = len(part.ops)
    message = f"converting {count} op{'s' * (count != 1)} takes {took:.1f} s of the {total:.1f} s of the whole model"
    failure = Failure(Signature(stage, None, SLOW, "slow"), SLOW, message)
    ops = prober.model.main.sorted(part.ops)
    return Found(failure, tuple(("", n) for n in ops), part, search.minimal, True, interaction=count > 1)


@dataclass(frozen=True)
class _Clock:
    prober: Prober

    def seconds(self, section: Section, question: Question) -> float | None:
        """Return how long the section takes, or None where it does not convert."""
        outcome = self.prober.outcome(section, question, fresh=True)
        return outcome.seconds if outcome.converted else None


class _Search:
    """Bisects for the last op that is needed to be slow, then for the first, and leaves out what is between."""

    def __init__(self, clock: _Clock, limit: float) -> None:
        self.clock = clock
        self.limit = limit
        self.minimal = False

    def run(self) -> Section:
        graph = self.clock.prober.model.main
        chain = graph.prefixes(graph.atoms)
        flip = first_failing(len(chain), lambda i: self._ask(chain[i], Kind.PREFIX_TIME.asks(i)))
        order = graph.sorted(chain[flip.bad])
        suffix = first_failing(
            len(order) + 1,
            lambda i: self._ask(frozenset(order[len(order) - i :]), Kind.SUFFIX_TIME.asks(i)),
        )
        items = order[len(order) - suffix.bad :]
        smallest = minimise(items, lambda some: self._ask(frozenset(some), Kind.LESS_TIME.asks()), _MOST)
        self.minimal = smallest.minimal
        return self._section(frozenset(smallest.items))

    def _section(self, ops: frozenset[str]) -> Section:
        return Section("", self.clock.prober.model.main.close(ops))

    def _ask(self, ops: frozenset[str], question: Question) -> Verdict:
        took = self.clock.seconds(self._section(ops), question)
        if took is None:
            return Verdict.UNRESOLVED
        return Verdict.FAIL if took >= self.limit else Verdict.PASS
