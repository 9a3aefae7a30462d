"""From a cause to a finding: the facts of its culprits, where they sit, what happened, and what would help."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bisect_convert.explain.argument_causes import argument_cause
from bisect_convert.explain.case import Case, culprit_of, fact_of
from bisect_convert.explain.model_causes import endless_constant
from bisect_convert.explain.placement import KINDS
from bisect_convert.explain.stored_types import type_cause
from bisect_convert.explain.surroundings import surrounded
from bisect_convert.explain.switches import of_scalars
from bisect_convert.explain.why import explain
from bisect_convert.model.bodies import Bodies
from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.outcome import Outcome
from bisect_convert.probe.flakiness import died
from bisect_convert.probe.prober import Prober
from bisect_convert.remedies import remedies
from bisect_convert.report.findings import SLOW, Body, Context, Finding, Witness
from bisect_convert.search.found import Found
from bisect_convert.search.pass_bisection import studied
from bisect_convert.search.places import alike

__all__ = ["case_of", "compose", "joined", "same_cause"]


def compose(found: Found, prober: Prober) -> Finding:
    """Return the finding for a cause; remedies that are options of the converter are probed."""
    case = case_of(found, prober)
    why = explain(case)
    return Finding(
        stage=case.stage, pass_name=case.pass_name, error_type=case.error_type, error_message=case.message,
        culprits=case.culprits, context=case.context, witness=case.witness, explanation=why.text,
        remedies=remedies(case, why, prober), interaction=case.interaction, passes=case.passes,
        places=tuple(tuple(op for _, op in place) for place in found.places), 
        cause=next(filter(None, (
            argument_cause(case, prober.loaded.inputs, prober.loaded.keys), endless_constant(case), of_scalars(case),
            type_cause(case),
        )), ""),
    )  # fmt: skip


def same_cause(one: Found, other: Found, model: Model) -> bool:
    """Return whether two causes are one, met in graphs that are searched apart: the same ops, failing in the same way."""
    if one.argument or other.argument or not one.culprits or not other.culprits or died(Outcome(other.failure)):
        return False
    return alike(one.failure.signature, other.failure.signature) and _kinds(one, model) == _kinds(other, model)


def _kinds(found: Found, model: Model) -> list[tuple[str, ...]]:
    """The types of the ops at one place, with the dtypes that they read and make."""
    rows = []
    for graph, name in found.places[0] if found.places else found.culprits:
        op, tensors = model.graphs[graph].ops[name], model.graphs[graph].tensors
        read = [tensors[t].dtype for t in op.inputs if t in tensors]
        rows.append((op.type, *read, "->", *(t.dtype for t in op.outputs)))
    return sorted(rows)


def joined(finding: Finding, found: Found, model: Model) -> Finding:
    """Return the finding with the places of a later one of the same cause."""
    culprits = tuple(culprit_of(model.graphs[graph], op) for graph, op in found.culprits)
    places = found.places or (found.culprits,)
    fresh = tuple(tuple(op for _, op in place) for place in places)
    known = finding.places or (tuple(c.name for c in finding.culprits),)
    return replace(finding, culprits=finding.culprits + culprits, places=known + fresh)


def case_of(found: Found, prober: Prober) -> Case:
    """Return the cause with what the graph tells of it, and which passes it needs, which is probed."""
    model = prober.model
    here = found.places[0] if found.places and found.culprits else found.culprits
    blamed = here[-1 if found.interaction else 0] if here else None
    timed = found.failure.type in (SLOW, "timeout")
    return Case(
        found,
        model,
        tuple(culprit_of(model.graphs[graph], op) for graph, op in found.culprits),
        _witness(found, prober) if found.argument is None else Witness(),
        Context() if blamed is None else surrounded(model, *blamed),
        None if timed else studied(found, prober),
        prober.options,
    )


def _witness(found: Found, prober: Prober) -> Witness:
    section = found.witness
    graph = prober.model.graphs[section.graph]
    ops = graph.sorted(section.ops)
    read = [n for n in ops if graph.ops[n].type in prober.loaded.convertible]
    inside = Bodies(prober.model).inside(section.graph, read, section.removed)
    return Witness(
        ops=tuple([*ops, *(op for _, op in inside)]),
        inputs=tuple(fact_of(t) for t in graph.entering(section.ops)),
        outputs=tuple(fact_of(t) for t in graph.leaving(section.ops)),
        minimal=found.minimal,
        confirmed=found.confirmed,
        edges=(*_edges(graph, section.ops), *_fed(graph, section.ops)),
        types=tuple([graph.ops[n].type for n in ops] + [prober.model.graphs[g].ops[n].type for g, n in inside]),
        bodies=_bodies(prober.model, inside),
    )


def _edges(graph: Graph, ops: Collection[str]) -> list[tuple[str, str]]:
    """What of these ops reads which of them."""
    return [(a, b) for a in graph.sorted(ops) for b in graph.sorted(set(ops).intersection(graph.dag.successors(a)))]


def _fed(graph: Graph, ops: Collection[str]) -> list[tuple[str, str]]:
    """Which of these ops read what enters, by the ops that make it."""
    makers = {t.op for t in graph.entering(frozenset(ops))}
    return [(a, b) for a in graph.sorted(makers) for b in graph.sorted(set(ops).intersection(graph.dag.successors(a)))]


def _bodies(model: Model, inside: Sequence[tuple[str, str]]) -> tuple[Body, ...]:
    """The ops by the bodies that they stand in."""
    found: dict[str, list[str]] = {}
    for name, op in inside:
        found.setdefault(name, []).append(op)
    made = []
    for name, ops in found.items():
        _, call, kind = model.graphs[name].caller or ("", "", "call")
        made.append(Body(call, KINDS.get(kind, "call"), tuple(ops), tuple(_edges(model.graphs[name], ops))))
    return tuple(made)
