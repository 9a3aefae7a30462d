"""A section made as small as it can be while it still fails, by the converter's answer or by a person's own test."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bisect_convert.errors import UsageError
from bisect_convert.model import cuts
from bisect_convert.model.graph import Graph
from bisect_convert.model.outcome import Verdict
from bisect_convert.report.questions import Kind
from bisect_convert.search import bisection
from bisect_convert.session.section import Section
from bisect_convert.session.workspace import Workspace

__all__ = ["shrink"]


def shrink(
    workspace: Workspace, section: Section, fails: Callable[[Section], bool | None] | None, limit: int
) -> Section:
    """Return a 1-minimal part of the section that still fails; raises UsageError where the section itself does not."""
    home, cut = workspace.graph(section.graph), section.cut
    judge = _alike(workspace, section) if fails is None else _remembering(fails)

    def part(items: Iterable[str]) -> Section:
        ops = home.close(items, home.atoms - cut.ops)
        below = {body.name for op in ops for body in workspace.model.below(cut.graph, op)}
        return Section.of(workspace, cuts.Section(cut.graph, ops, frozenset(r for r in cut.removed if r[0] in below)))

    units = _units(home, cut.ops)
    if judge(part(units)) is not Verdict.FAIL:
        raise UsageError("the section itself does not fail, so there is nothing to minimise")
    return part(bisection.minimise(units, lambda items: judge(part(items)), limit).items)


def _alike(workspace: Workspace, section: Section) -> Callable[[Section], Verdict]:
    """Whether a part fails as the whole section does."""
    failure = section.convert().failure

    def judge(part: Section) -> Verdict:
        if failure is None:
            return Verdict.PASS
        return workspace.prober.verdict(part.cut, failure.signature, Kind.MINIMISE.asks(len(part)))

    return judge


def _remembering(fails: Callable[[Section], bool | None]) -> Callable[[Section], Verdict]:
    """The person's own test, asked about each section once."""
    known: dict[cuts.Section, Verdict] = {}

    def judge(part: Section) -> Verdict:
        if part.cut not in known:
            told = fails(part)
            known[part.cut] = Verdict.UNRESOLVED if told is None else Verdict.FAIL if told else Verdict.PASS
        return known[part.cut]

    return judge


def _units(graph: Graph, ops: frozenset[str]) -> list[str]:
    """One op for each group that only goes together: the last of it."""
    outside = graph.atoms - ops
    groups = {graph.close({name}, outside): name for name in graph.sorted(ops)}
    return graph.sorted(groups.values())
