"""What the findings say of each op: the graphs of a model with marks, for whatever draws them."""

from __future__ import annotations

from collections.abc import Sequence

from bisect_convert.explain.case import fact_of
from bisect_convert.model.graph import Graph, Model
from bisect_convert.report.findings import Finding
from bisect_convert.report.marked_graphs import MarkedGraph, MarkedOp

__all__ = ["Mark", "marked_graphs", "marks", "unmarked"]

#: A verdict, and the findings that it comes from, counted from 1.
Mark = tuple[str, tuple[int, ...]]


def marks(model: Model, findings: Sequence[Finding]) -> dict[tuple[str, str], Mark]:
    """Return the mark of each (graph, op) that a finding is about; a culprit of several bears the last one's."""
    made: dict[tuple[str, str], Mark] = {}
    for number, finding in enumerate(findings, 1):
        blamed = {(c.function or "", c.name) for c in finding.culprits}
        witness = set(finding.witness.ops)
        for name, graph in model.graphs.items():
            for op in graph.order:
                if (name, op) in blamed:
                    made[name, op] = ("culprit", (number,))
                elif op in witness and (name, op) not in made:
                    made[name, op] = ("witness", (number,))
    return made


def unmarked(complete: bool) -> str:
    """Return the verdict of what no finding is about; complete: it was seen to convert."""
    return "converts" if complete else "unknown"


def marked_graphs(model: Model, findings: Sequence[Finding], complete: bool) -> tuple[MarkedGraph, ...]:
    """Return all graphs of the model, the main one first; complete: what no finding is about was seen to convert."""
    known, plain = marks(model, findings), unmarked(complete)
    ordered = [model.main, *(graph for name, graph in model.graphs.items() if name)]
    return tuple(_marked(model, graph, known, (plain, ())) for graph in ordered)


def _marked(model: Model, graph: Graph, known: dict[tuple[str, str], Mark], plain: Mark) -> MarkedGraph:
    ops = []
    for name, op in graph.ops.items():
        verdict, findings = known.get((graph.name, name), plain)
        bodies = tuple((role, body) for role, body in op.functions if body in model.graphs)
        outputs = tuple(fact_of(tensor) for tensor in op.outputs)
        ops.append(
            MarkedOp(
                name, op.type, op.inputs, outputs, verdict, findings, bodies, op.layer, op.source, op.constant
            )  # fmt: skip
        )
    return MarkedGraph(graph.name, tuple(ops), graph.results)
