"""A model as the JSON that Model Explorer opens, and its verdicts as the node data that it lays over the graph.

Constants are no nodes: they stand among what an op reads. Bodies are layers below the ops that call them, and no graphs
of their own: of several graphs Model Explorer opens the largest, which may be a body in which nothing was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bisect_convert.render import words
from bisect_convert.render.names import harmless, shorten, spell
from bisect_convert.render.unfolding import Level, levels, sources
from bisect_convert.report.findings import Finding, TensorFact
from bisect_convert.report.marked_graphs import MarkedOp
from bisect_convert.report.report import Report

__all__ = ["graph_collection", "verdicts"]

#: (background, text) of a node by its verdict.
_SHADES = {
    "culprit": ("#d93025", "#ffffff"), "witness": ("#fbbc04", "#202124"), "converts": ("#ceead6", "#202124"),
    "unknown": ("#dadce0", "#202124"),
}  # fmt: skip
#: Tables of sums and means are nothing for words; how many ops of a folded layer have which verdict is told instead.
_SHOWN = {
    "hideInAggregatedStatsTable": True, "hideInChildrenStatsTable": True, "showExpandedSummaryOnGroupNode": True,
}  # fmt: skip
_GRAPH = "model"
#: An error or a remedy has so many characters at most on a node.
_LONGEST = 400


def graph_collection(report: Report) -> str:
    """Return the graph of the report's model as a graph collection of Model Explorer, in one JSON text.

    Nodes bear what was found out about them as attributes; culprits, and the layers that hold one, are coloured.
    """
    shown = _levels(report)
    below: dict[str, list[Level]] = {}
    for level in shown:
        if level.outer and level.op:
            below.setdefault(_id(level.outer, level.op), []).append(level)
    nodes = [_node(level, op, below.get(_id(level, op), ()), report.findings) for level in shown for op in _ops(level)]
    graph = {"id": _GRAPH, "nodes": nodes, "groupNodeConfigs": _layers(shown)}
    return json.dumps({"label": words.name(report), "graphs": [graph]}) + "\n"


def verdicts(report: Report) -> str:
    """Return the verdict of each op as node data of Model Explorer, in one JSON text."""
    results = {}
    for level in _levels(report):
        for op in _ops(level):
            ground, ink = _SHADES[op.verdict]
            results[_id(level, op)] = {"value": op.verdict, "bgColor": ground, "textColor": ink}
    return json.dumps({_GRAPH: {"name": "verdict", "results": results, **_SHOWN}}) + "\n"


def _levels(report: Report) -> list[Level]:
    return [] if report.graphs is None else levels(report.graphs())


def _ops(level: Level) -> Iterator[MarkedOp]:
    return (op for op in level.graph.ops if not op.constant)


def _id(level: Level, op: MarkedOp) -> str:
    """The op's name, behind those of the calls that it is in; no op has a blank in its name."""
    calls = f"{_id(level.outer, level.op)} {level.role} " if level.outer and level.op else ""
    return calls + harmless(op.name)


def _namespace(level: Level, layer: str | None) -> str:
    """The layer, behind that of the calling op and the body."""
    calls = [_namespace(level.outer, level.op.layer), level.title] if level.outer and level.op else []
    return "/".join(harmless(part) for part in (*calls, layer) if part)


def _label(level: Level, op: MarkedOp) -> str:
    """The op's type; of a body's parameter its name, which Model Explorer writes there anyhow, without making room for it."""
    return harmless(op.name.rpartition("/")[2] if level.outer and op.type == "Placeholder" else op.type)


def _node(level: Level, op: MarkedOp, inside: Sequence[Level], findings: Sequence[Finding]) -> dict[str, Any]:
    edges = [
        {"sourceNodeId": _id(s.level, s.op), "sourceNodeOutputId": str(s.place), "targetNodeInputId": str(n)}
        for n, s in enumerate(sources(level, op, inside)) if not s.op.constant
    ]  # fmt: skip
    read = [level.made[name][2] for name in op.inputs if name in level.made]
    node: dict[str, Any] = {
        "id": _id(level, op), "label": _label(level, op), "namespace": _namespace(level, op.layer),
        "incomingEdges": edges, "attrs": _pairs(_attributes(level, op, read, findings)),
        "outputsMetadata": [{"id": str(n), "attrs": _pairs(_of_tensor(t))} for n, t in enumerate(op.outputs)],
    }  # fmt: skip
    if op.findings:
        node["style"] = {"backgroundColor": _SHADES[op.verdict][0], "borderColor": _SHADES["culprit"][0]}
    return node


def _layers(shown: Sequence[Level]) -> list[dict[str, str]]:
    """The layers that hold a culprit, coloured so that they are seen while they are still folded."""
    found: dict[str, None] = {}
    for level in shown:
        for op in level.graph.ops:
            parts = _namespace(level, op.layer).split("/") if op.verdict == "culprit" else []
            for depth in range(1, len(parts) + 1):
                found["/".join(parts[:depth])] = None
    return [
        {"namespaceRegex": f"^{re.escape(layer)}$", "borderColor": _SHADES["culprit"][0], "backgroundColor": "#fce8e6"}
        for layer in found
        if layer
    ]


def _attributes(
    level: Level, op: MarkedOp, read: Sequence[TensorFact], findings: Sequence[Finding]
) -> Iterator[tuple[str, str]]:
    yield "op", harmless(op.name)
    if level.graph.name:
        yield "function", harmless(level.graph.name)
    yield "verdict", op.verdict
    for number in op.findings:
        finding = findings[number - 1]
        yield "finding", f"{number}: {words.headline(finding)}"
        yield "stage", words.stage(finding)
        yield "error", shorten(f"{finding.error_type}: {finding.error_message}", _LONGEST)
        for remedy in finding.remedies[:1]:
            yield "remedy", shorten(remedy.summary, _LONGEST) + (" (verified)" if remedy.verified else "")
    if op.source:
        yield "source", harmless(op.source)
    for tensor in read:
        yield "reads", f"{spell(tensor)} {harmless(tensor.tensor)}"
    for role, body in op.bodies:
        yield role, harmless(body)


def _of_tensor(tensor: TensorFact) -> Iterator[tuple[str, str]]:
    yield "tensor_name", harmless(tensor.tensor)
    yield "tensor_shape", spell(tensor)
    yield "dtype", harmless(tensor.dtype)


def _pairs(rows: Iterator[tuple[str, str]]) -> list[dict[str, str]]:
    """Attributes as Model Explorer has them; those with the same key are one, with a line for each."""
    told: dict[str, list[str]] = {}
    for key, value in rows:
        told.setdefault(key, []).append(value)
    return [{"key": key, "value": "\n".join(values)} for key, values in told.items()]
