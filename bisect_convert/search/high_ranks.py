"""Tensors of a rank that Core ML does not have: which ops bring them in, and which cannot do without them.

coremltools checks ranks when the MIL program is done; a reshape to rank 6 with only transposes before the reshape back
is rewritten by a pass, so neither the op that makes rank 6 nor the one that is named in the error need be at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import networkx as nx

from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph
from bisect_convert.model.outcome import Failure, Verdict
from bisect_convert.report.questions import Kind, Question

__all__ = ["Region", "neighbourhoods", "of_ranks", "raises", "rank_regions"]

_HIGHEST = 5
#: How many ops of one region are asked about one by one.
_MOST = 40
Ask = Callable[[frozenset[str], Question], tuple[Section, Verdict]]


@dataclass(frozen=True)
class Region:
    """Ops joined by tensors of too high a rank: who is to blame, the witness, and all that must go together."""

    culprits: tuple[str, ...]
    witness: Section
    minimal: bool
    cut: frozenset[tuple[str, str]]


def of_ranks(failure: Failure) -> bool:
    """Return whether the converter fails over a tensor of too high a rank."""
    return failure.signature.pass_name == "program check" and "rank" in failure.signature.message


def raises(graph: Graph, op: str) -> bool:
    """Return whether the op makes a tensor of too high a rank of such as are not."""
    return _high(graph, op, "outputs") and not _high(graph, op, "inputs")


def rank_regions(graph: Graph, section: Section, ask: Ask) -> Iterator[Region]:
    """Yield each region that fails as asked, in the order of the graph.

    To blame are the ops that raise the rank; where they convert alone, together with the one op that works on what they
    made (if several do, replacing one of them would not help: then the raising ops alone).
    """
    for region in _regions(graph, section):
        witness, verdict = ask(region, Kind.REGION.asks())
        if verdict is not Verdict.FAIL:
            continue
        makers = [n for n in graph.sorted(region) if raises(graph, n)]
        single = {n: ask(frozenset({n}), Kind.MEMBER.asks(n)) for n in graph.sorted(region)[:_MOST]}
        failing = [n for n, (_, v) in single.items() if v is Verdict.FAIL]
        culprits, shown = _blame(makers, failing)
        if shown is not None and len(single[shown][0].ops) < len(witness.ops):
            witness = single[shown][0]
        cut = frozenset((graph.name, n) for n in region)
        yield Region(tuple(culprits), witness, len(witness.ops) == 1, cut)


def neighbourhoods(graph: Graph, section: Section) -> Iterator[frozenset[str]]:
    """Yield each region together with what may have a pass rewrite it: the ops up to two steps away."""
    for region in _regions(graph, section):
        near = set(region)
        for _ in range(2):
            near |= {n for op in near for n in (*graph.dag.predecessors(op), *graph.dag.successors(op))}
        yield frozenset(near & section.ops)


def _blame(makers: list[str], failing: list[str]) -> tuple[list[str], str | None]:
    guilty = [m for m in makers if m in failing]
    if guilty:
        return guilty, guilty[0]
    if len(failing) == 1:
        return [*makers, failing[0]], failing[0]
    return makers, failing[0] if failing else None


def _regions(graph: Graph, section: Section) -> list[frozenset[str]]:
    joined: nx.Graph[str] = nx.Graph()
    for name in graph.sorted(section.ops):
        if _high(graph, name, "outputs") or _high(graph, name, "inputs"):
            joined.add_node(name)
        for sink in graph.dag.successors(name):
            tensors = graph.dag[name][sink]["tensors"]
            if sink in section.ops and any(_rank(graph, t) > _HIGHEST for t in tensors):
                joined.add_edge(name, sink)
    return sorted((frozenset(c) for c in nx.connected_components(joined)), key=lambda c: min(graph.order[n] for n in c))


def _rank(graph: Graph, tensor: str) -> int:
    return len(graph.tensors[tensor].shape or ())


def _high(graph: Graph, name: str, side: str) -> bool:
    op = graph.ops[name]
    names = op.inputs if side == "inputs" else [t.name for t in op.outputs]
    return any(_rank(graph, t) > _HIGHEST for t in names)
