"""What was asked and what came back, told one probe at a time (`Step`) or all of it (`Journal`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from bisect_convert.probe.queries import Query
from bisect_convert.report.questions import Probe
from bisect_convert.session.section import Section
from bisect_convert.session.stepper import Asked

__all__ = ["Journal", "Step"]


@dataclass(frozen=True)
class Step:
    """One probe of the search: what is asked of which section and why; `verdict` is "" as long as it is not answered.

    verdict: "fails" and "converts" where it was asked how a section fails; where it was asked whether it fails in the
    target's way, "fail", "pass" or "unresolved" (it fails in another way, or cannot be cut out).

    >>> step = s.step()
    >>> step.number, step.question, step.section, step.verdict
    (1, 'the whole model', <Section: 7 of 7 ops, x ... skip/add>, 'fails')
    """

    number: int
    question: str
    why: str
    section: Section = field(repr=False)
    targeted: bool
    verdict: str = ""
    detail: str = ""
    seconds: float = 0.0
    by_hand: bool = False

    @classmethod
    def ahead(cls, number: int, query: Query, section: Section) -> Step:
        """Return the step that is to come, not answered yet."""
        question = query.question
        return cls(number, str(question), question.kind.reason, section, query.target is not None)

    @classmethod
    def answered(cls, number: int, asked: Asked, section: Section) -> Step:
        """Return the step that was taken."""
        step = cls.ahead(number, asked.query, section)
        probe = asked.probe
        return cls(
            number, step.question, step.why, section, step.targeted, probe.verdict, probe.detail, probe.seconds,
            asked.by_hand,
        )  # fmt: skip

    def __str__(self) -> str:
        ops = f"{len(self.section)} op{'s' * (len(self.section) != 1)}"
        answer = f": {_told(self.verdict, self.detail)}" if self.verdict else ""
        return f"{self.number}. {self.question} ({ops}){answer}\n   {self.why}"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text(str(self))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Journal:
    """The probes of a session in the order asked, a sequence; printed it is one line a question.

    >>> outcome = s.ops("act/Erfc").convert()
    >>> print(s.journal[0].question)
    by hand: <Section: 1 of 7 ops, act/Erfc>
    >>> step = s.step()
    >>> print(s.journal)
      1. by hand: ...
      2. the whole model, 7 ops: fails, NotImplementedError: ...
    """

    probes: tuple[Probe, ...]

    def __len__(self) -> int:
        return len(self.probes)

    def __getitem__(self, index: int) -> Probe:
        return self.probes[index]

    def __iter__(self) -> Iterator[Probe]:
        return iter(self.probes)

    def __str__(self) -> str:
        return "\n".join(
            f"{i:3}. {p.question}, {p.ops} op{'s' * (p.ops != 1)}: {_told(p.verdict, p.detail)}{_time(p)}"
            for i, p in enumerate(self.probes, 1)
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{i}</td><td>{escape(p.question)}</td><td>{p.ops}</td><td>{escape(p.verdict)}</td>"
            f"<td>{escape(p.detail)}</td><td>{escape(_time(p).strip(' ()'))}</td></tr>"
            for i, p in enumerate(self.probes, 1)
        )
        head = "".join(f"<th>{title}</th>" for title in ("", "asked", "ops", "verdict", "what came back", "time"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _told(verdict: str, detail: str) -> str:
    return verdict if detail in ("", verdict) else f"{verdict}, {detail}"


def _time(probe: Probe) -> str:
    return " (asked before)" if probe.cached else f" ({probe.seconds:.2f} s)"
