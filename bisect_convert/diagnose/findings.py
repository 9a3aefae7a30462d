"""From a cause to a finding: the facts of its culprits, where they sit, what happened, and what would help."""

from __future__ import annotations

from dataclasses import replace

from bisect_convert.explain.placement import context_of
from bisect_convert.explain.why import explain
from bisect_convert.model.bodies import Bodies
from bisect_convert.model.graph import Graph, Tensor
from bisect_convert.probe.prober import Prober
from bisect_convert.remedies import remedies
from bisect_convert.report.findings import Culprit, Finding, TensorFact, Witness
from bisect_convert.search.hunt import Found
from bisect_convert.search.pass_bisection import studied

__all__ = ["compose"]


def compose(found: Found, prober: Prober) -> Finding:
    """Return the finding for a cause; remedies that are options of the converter are probed."""
    model = prober.model
    failure = found.failure
    culprits = tuple(_culprit(model.graphs[g], op) for g, op in found.culprits)
    draft = Finding(
        stage=failure.signature.stage.word,
        pass_name=failure.signature.pass_name,
        error_type=failure.type,
        error_message=failure.message,
        culprits=culprits,
        witness=_witness(found, prober) if found.argument is None else Witness(),
        interaction=found.interaction,
    )
    if found.culprits:
        draft = replace(draft, context=context_of(model, *found.culprits[-1 if found.interaction else 0]))
    if not draft.slow and failure.type != "timeout":
        draft = replace(draft, passes=studied(found, prober))
    draft = replace(draft, explanation=explain(found, draft, model, prober.options))
    return replace(draft, remedies=remedies(found, draft, prober))


def _culprit(graph: Graph, name: str) -> Culprit:
    op = graph.ops[name]
    return Culprit(
        name,
        op.type,
        graph.name or None,
        op.layer,
        op.source,
        tuple(_fact(graph.tensors[t]) for t in op.inputs if t in graph.tensors),
        tuple(_fact(t) for t in op.outputs),
    )


def _fact(tensor: Tensor) -> TensorFact:
    return TensorFact(tensor.name, tensor.dtype, tensor.shape)


def _witness(found: Found, prober: Prober) -> Witness:
    section = found.witness
    graph = prober.model.graphs[section.graph]
    ops = graph.sorted(section.ops)
    read = [n for n in ops if graph.ops[n].type in prober.loaded.convertible]
    inside = Bodies(prober.model).inside(section.graph, read, section.removed)
    return Witness(
        ops=tuple([*ops, *(op for _, op in inside)]),
        inputs=tuple(_fact(t) for t in graph.entering(section.ops)),
        outputs=tuple(_fact(t) for t in graph.leaving(section.ops)),
        minimal=found.minimal,
        confirmed=found.confirmed,
        edges=tuple((a, b) for a, b in graph.dag.subgraph(ops).edges),
        types=tuple([graph.ops[n].type for n in ops] + [prober.model.graphs[g].ops[n].type for g, n in inside]),
    )
