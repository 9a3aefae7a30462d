"""The ops around a culprit, with their types and what they make: what a picture of its place shows."""

from __future__ import annotations

from dataclasses import replace

from bisect_convert.explain.case import fact_of
from bisect_convert.explain.placement import context_of
from bisect_convert.model.graph import Graph, Model
from bisect_convert.report.findings import Context, Neighbour

__all__ = ["surrounded"]

#: How far, and how many at each step, ops before and behind a culprit on the trunk are told.
_STEPS, _WIDE = 2, 3
#: How many at either end of an arm, and beside the culprit.
_ENDS = 3


def surrounded(model: Model, graph: str, op: str) -> Context:
    """Return where the op sits, as `context_of` has it, with the neighbours that a picture shows.

    In arms these are fork, join, the ends of each arm and what is beside the op; elsewhere what is before and behind it.
    """
    context, here = context_of(model, graph, op), model.graphs[graph]
    names = _in_arms(context, op) if context.arms else {op, *_reached(here, op, -1), *_reached(here, op, 1)}
    shown = here.sorted(n for n in names if n in here.ops and n in here.order)
    return replace(context, near=tuple(_neighbour(here, name, shown) for name in shown))


def _in_arms(context: Context, op: str) -> set[str]:
    names = {n for n in (context.fork, context.join, op) if n}
    for arm in context.arms:
        names |= {*arm[:_ENDS], *arm[-_ENDS:]}
        if op in arm:
            at = arm.index(op)
            names |= set(arm[max(at - 1, 0) : at + 2])
    return names


def _reached(graph: Graph, op: str, way: int) -> set[str]:
    """The ops a few steps before (-1) or behind (1) this one, those next to it first; no sizes that are computed."""
    found: set[str] = set()
    edge = [op]
    for _ in range(_STEPS):
        beside = {n for e in edge for n in (graph.dag.successors(e) if way > 0 else graph.dag.predecessors(e))}
        edge = graph.sorted(beside - found - graph.shape_arithmetic)[:_WIDE]
        found |= set(edge)
    return found


def _neighbour(graph: Graph, name: str, shown: list[str]) -> Neighbour:
    op = graph.ops[name]
    feeds = tuple(n for n in shown if n in set(graph.dag.successors(name)))
    return Neighbour(name, op.type, fact_of(op.outputs[0]) if op.outputs else None, feeds)
