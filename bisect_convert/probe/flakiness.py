"""Whether outcomes can be relied on: what counts as the same, and how often an unsteady conversion must be asked.

Two kinds of unsteadiness are told apart by what a question may still be settled with: a process that dies for reasons
of its machine says nothing about the section, so that any other outcome outweighs it; a failure that comes and goes
shows in a section only now and then, so that a section counts as free of it after enough conversions without it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bisect_convert.model.outcome import Outcome, Signature, Verdict, judge

__all__ = ["MOST_ASKED", "Steadiness", "Tally", "deaths_needed", "died", "face", "needed"]

T = TypeVar("T")
#: Seconds after which one question is not asked again, however unsteady its answers are.
_LONGEST = 90.0

#: How often one question is asked at most.
MOST_ASKED = 120
#: How many deaths in a row are at least needed for one of the section's own, where processes are known to die by chance.
_DEATHS = 8
#: How many are at most, whatever the chance.
_MOST_DEATHS = 40
#: The chance that is left of taking a section for free of a failure that comes and goes.
_RISK = 1e-4
#: By how much a rate may be lower than the few conversions say from which it is known.
_CAUTION = 0.6


def died(outcome: Outcome) -> bool:
    """True where the process was ended by a signal or left by itself, which a machine may bring about."""
    return outcome.failure is not None and outcome.failure.type.startswith(("SIG", "exit "))


def face(outcome: Outcome) -> str | Signature:
    """Return what two outcomes share where they are the same."""
    if outcome.unresolved is not None:
        return "unresolved"
    return "converts" if outcome.failure is None else outcome.failure.signature


def needed(rate: float) -> int:
    """Return how many conversions without a failure that shows at this rate are enough to be sure that it is not there.

    >>> needed(1.0), needed(0.5), needed(0.2)
    (1, 14, 42)
    """
    return 1 if rate >= 1 else min(MOST_ASKED, math.ceil(math.log(_RISK) / math.log(1 - rate)))


def deaths_needed(died: int, answered: int) -> int:
    """Return how many deaths in a row are the section's own, where so many processes died by chance and so many did not.

    The chance is taken at the upper end of what so few processes leave open (Wilson's score interval, two deviations),
    and twice: what strikes may do so once an input, so that a section may be struck more often than most.

    >>> deaths_needed(0, 50), deaths_needed(1, 20), deaths_needed(3, 7)
    (8, 11, 40)
    """
    asked, z = max(1, died + answered), 2.0
    rate, slack = died / asked, z * z / asked
    upper = (rate + slack / 2 + math.sqrt(slack * (rate * (1 - rate) + slack / 4))) / (1 + slack)
    chance = 1 - (1 - upper) ** 2
    return (
        _MOST_DEATHS if chance >= 1 else min(_MOST_DEATHS, max(_DEATHS, math.ceil(math.log(_RISK) / math.log(chance))))
    )


@dataclass(frozen=True)
class Tally:
    """The outcomes of one question that was asked several times."""

    outcomes: tuple[Outcome, ...]

    def settled(self, rate: float, deaths: int = _DEATHS) -> Outcome | None:
        """Return what the outcomes come to without a target, or None where it must be asked again.

        deaths: how many of them in a row are the section's own.
        """
        sound = [o for o in self.outcomes if not died(o)]
        counts = Counter(face(o) for o in sound)
        if not sound:
            return self.outcomes[-1] if len(self.outcomes) >= deaths else None
        failing = [o for o in sound if o.failure is not None]
        if failing and counts[face(failing[0])] >= 2:
            return failing[0]
        if counts["converts"] >= max(2, needed(rate)) or len(self.outcomes) >= MOST_ASKED:
            return next((o for o in sound if o.failure is None), sound[0])
        return None

    def verdict(self, target: Signature, rate: float, deaths: int = _DEATHS) -> Verdict | None:
        """Return the verdict that the outcomes come to, or None where it must be asked again."""
        verdicts = [judge(o, target) for o in self.outcomes if not died(o) or face(o) == target]
        if target.kind.startswith(("SIG", "exit ")) and rate >= 1:
            others = [v for v in verdicts if v is not Verdict.FAIL]
            if others:
                return others[0]
            return Verdict.FAIL if len(verdicts) >= deaths else None
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        if len(verdicts) >= needed(rate) or len(self.outcomes) >= MOST_ASKED:
            return Verdict.PASS if Verdict.PASS in verdicts else Verdict.UNRESOLVED
        return None

    def suspected(self) -> Outcome:
        """Return the failure to look for: the most frequent that is no mere death of a process, else the most frequent."""
        failing = [o for o in self.outcomes if o.failure is not None]
        pool = [o for o in failing if not died(o)] or failing or list(self.outcomes)
        most, _ = Counter(face(o) for o in pool).most_common(1)[0]
        return next(o for o in pool if face(o) == most)

    def rate(self, target: Signature) -> float:
        """Return how often the target's failure shows at least; 1.0 where it shows in all outcomes that can tell."""
        telling = [o for o in self.outcomes if not died(o) or face(o) == target]
        shown = sum(face(o) == target for o in telling)
        return 1.0 if shown == len(telling) else _CAUTION * shown / len(telling)

    def words(self) -> str:
        """Return the counts as a reader wants them.

        >>> Tally((Outcome(), Outcome(), Outcome())).words()
        '3 of 3 converted'
        """
        names = Counter(
            "converted"
            if o.converted
            else "could not be probed"
            if o.failure is None
            else f"failed with {o.failure.type}"
            for o in self.outcomes
        )
        return ", ".join(f"{count} of {len(self.outcomes)} {name}" for name, count in names.most_common())


class Steadiness:
    """Whether answers differ (`tally`: those that did), and how a question is settled then.

    rate: how often the failure shows in a conversion that has it.
    """

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self.rate = 1.0
        self._died = self._answered = 0

    @property
    def _deaths(self) -> int:
        return deaths_needed(self._died, self._answered)

    def wavers(self, outcomes: tuple[Outcome, ...]) -> bool:
        """Take note that one question had these outcomes; returns whether that is news."""
        if self.tally is not None:
            return False
        self.tally = Tally(outcomes)
        self._count(self.tally)
        return True

    def sampled(self, ask: Callable[[], Outcome], times: int) -> Tally:
        """Ask until there are so many answers, and return them all."""
        _, self.tally = _until(ask, lambda tally: len(tally.outcomes) >= times or None, self.tally)
        return self.tally

    def settled(self, ask: Callable[[], Outcome]) -> Outcome:
        """Return what the answers come to without a target."""
        found, tally = _until(ask, lambda tally: tally.settled(self.rate, self._deaths))
        self._count(tally)
        return found or tally.outcomes[-1]

    def verdict(self, ask: Callable[[], Outcome], target: Signature) -> tuple[Verdict, Outcome, str]:
        """Return the verdict that the answers come to, one of those that say so, and all of them counted."""
        found, tally = _until(ask, lambda tally: tally.verdict(target, self.rate, self._deaths))
        self._count(tally)
        verdict = found or Verdict.UNRESOLVED
        told = next((o for o in reversed(tally.outcomes) if judge(o, target) is verdict), tally.outcomes[-1])
        return verdict, told, tally.words()

    def _count(self, tally: Tally) -> None:
        """Take note of how often processes die by chance: of deaths in questions that were also answered otherwise."""
        deaths = sum(died(o) for o in tally.outcomes)
        if deaths < len(tally.outcomes):
            self._died += deaths
            self._answered += len(tally.outcomes) - deaths


def _until(
    ask: Callable[[], Outcome], settled: Callable[[Tally], T | None], tally: Tally | None = None
) -> tuple[T | None, Tally]:
    """Ask until the answers are settled; None with them where that takes too long."""
    started, tally = time.monotonic(), tally or Tally(())
    while (found := settled(tally)) is None and time.monotonic() - started < _LONGEST:
        tally = Tally((*tally.outcomes, ask()))
    return found, tally
