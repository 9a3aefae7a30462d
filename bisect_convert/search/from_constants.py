"""Ops that make several results of constants: coremltools takes the first for all of them, so that each fails, in its own way.

What it says hangs on who reads which result, or nothing is said and a reader's shape is wrong; so no message tells that it
is they, and they are asked about by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph
from bisect_convert.model.outcome import Failure, Stage
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search.locate import Cause

__all__ = ["blamed_alone", "failing", "met", "several"]


def met(prober: Prober, section: Section, failure: Failure) -> Cause | None:
    """Return the first such op of the section that fails by itself, where lowering failed; None where none does."""
    if failure.signature.stage is not Stage.LOWERING:
        return None
    hinted = {frame.name for frame in failure.hint[:1]} & section.ops  # not what the converter itself named
    some = several(prober.model.graphs[section.graph], section.ops)
    return next(failing(prober, section, [n for n in some if n in hinted or not hinted]), None)


def failing(prober: Prober, section: Section, ops: Iterable[str] | None = None) -> Iterator[Cause]:
    """Yield those of the ops, or of the section, that fail by themselves."""
    graph = prober.model.graphs[section.graph]
    for name in several(graph, section.ops) if ops is None else ops:
        alone = Section(section.graph, graph.close({name}))
        found = prober.outcome(alone, Kind.ALONE.asks(name)).failure
        if found is not None:
            yield Cause(section.graph, (name,), alone, True, found)


def blamed_alone(graph: Graph, cause: Cause) -> Cause:
    """Return the cause without the readers of such an op, which are not at fault where they fail only with it."""
    some = tuple(several(graph, cause.ops))
    return replace(cause, ops=some) if some else cause


def several(graph: Graph, ops: Iterable[str]) -> list[str]:
    """Return those of the ops that make several results of constants, in graph order."""
    return [n for n in graph.sorted(ops) if graph.ops[n].foldable and len(graph.ops[n].outputs) > 1]
