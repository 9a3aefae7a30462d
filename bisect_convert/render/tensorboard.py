"""A model as TensorBoard shows it: its graph, coloured by what was found, and its findings as texts.

TensorBoard colours by device and by XLA cluster, of which a frozen graph has neither. An op's device is the finding that it
is in, so that a folded scope is in that colour however many of its ops are not; its cluster is its verdict. All of it is
plain data, of which `worker.events` makes TensorBoard's records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bisect_convert.render import words
from bisect_convert.render.comparison import proof_of
from bisect_convert.render.markdown import cell, code, escaped, fenced
from bisect_convert.render.names import harmless, shorten, spell, unwrapped
from bisect_convert.report.findings import Culprit, Finding
from bisect_convert.report.marked_graphs import MarkedGraph, MarkedOp
from bisect_convert.report.report import Report

__all__ = ["board_graphs", "board_texts"]

#: TensorBoard gives out its colours in the order in which it meets what they are for: blue first, then green.
_ORDER = ("culprit", "converts", "witness", "unknown")
#: An error has so many lines at most, a list of places so many rows.
_LINES, _PLACES = 20, 50


def board_graphs(report: Report) -> list[dict[str, Any]]:
    """Return the graphs of the report's model, the main one with the name "", as nodes with attributes in words."""
    graphs = () if report.graphs is None else report.graphs()
    inside = _inside(graphs)
    made = []
    for graph in graphs:
        ops = sorted(graph.ops, key=lambda op: (_ORDER.index(op.verdict), op.findings))
        nodes = [_node(op, op if op.findings else inside.get((graph.name, op.name), op), report.findings) for op in ops]
        if len({unwrapped(op.name) for op in ops}) == len(ops):  # else the first box holds all others
            nodes = [{**n, "name": unwrapped(n["name"]), "inputs": [*map(unwrapped, n["inputs"])]} for n in nodes]
        made.append({"name": harmless(graph.name), "nodes": nodes})
    return made


def board_texts(report: Report) -> list[tuple[str, str]]:
    """Return a text in Markdown, with its tag, for the report and for each finding; nothing of a model's is markup."""
    rows = [
        f"## {escaped(words.name(report))} {escaped(words.summary(report))}",
        escaped("; ".join(words.facts(report))),
    ]
    rows += [f"{number}. {escaped(words.headline(f))}" for number, f in enumerate(report.findings, 1)]
    rows += [f"> {escaped(note)}" for note in report.notes]
    told = [("report", "\n\n".join([*rows, *map(escaped, words.totals(report))]))]
    return [*told, *((f"finding/{n}", "\n\n".join(_finding(n, f))) for n, f in enumerate(report.findings, 1))]


def _inside(graphs: Sequence[MarkedGraph]) -> dict[tuple[str, str], MarkedOp]:
    """A culprit, however deep, in what an op calls, by (graph, op): the op is coloured like it."""
    worst = {graph.name: op for graph in graphs for op in graph.ops if op.verdict == "culprit"}
    found: dict[tuple[str, str], MarkedOp] = {}
    size = -1
    while size < len(found):
        size = len(found)
        for graph in graphs:
            for op in graph.ops:
                for _, body in op.bodies:
                    if body in worst:
                        found.setdefault((graph.name, op.name), worst[body])
                        worst.setdefault(graph.name, worst[body])
    return found


def _node(op: MarkedOp, seen: MarkedOp, findings: Sequence[Finding]) -> dict[str, Any]:
    """The op as a node, coloured like the op that is seen in it."""
    return {
        "name": harmless(op.name), "op": harmless(op.type), "inputs": [harmless(name) for name in op.inputs],
        "shapes": [None if t.shape is None else [-1 if n is None else n for n in t.shape] for t in op.outputs],
        "device": _device(seen), "calls": [[role, harmless(body)] for role, body in op.bodies],
        "facts": dict(_facts(op, seen, findings)),
    }  # fmt: skip


def _device(op: MarkedOp) -> str:
    """A device in whose place stands the finding; the legend has those that end in a number, without what all begin with."""
    return f"/device:{op.findings[0]} {harmless(op.type)} {op.verdict}:0" if op.findings else ""


def _facts(op: MarkedOp, seen: MarkedOp, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """What is to be read of an op; the names begin with a line, as of attributes that are TensorFlow's own affair."""
    if op.outputs:
        yield "_makes", ", ".join(map(spell, op.outputs))
    if op.constant:
        return
    yield "_verdict", op.verdict
    yield "_XlaCluster", seen.verdict
    if unwrapped(op.name) != op.name:
        yield "_name", harmless(op.name)
    if op.layer:
        yield "_layer", harmless(op.layer)
    if op.source:
        yield "_source", harmless(op.source)
    if op.findings:
        told = [findings[number - 1] for number in op.findings]
        yield "_finding", "; ".join(f"{n}: {words.headline(f)}" for n, f in zip(op.findings, told, strict=True))
        yield "_stage", "; ".join(dict.fromkeys(map(words.stage, told)))


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"### {number}. {code(words.label(finding))} {escaped(words.headline(finding))}"
    for culprit in words.facts_shown(finding):
        rows = [f"| {label} | {cell(fact)} |" for label, fact in _culprit(culprit)]
        yield "\n".join(["| culprit | |", "|---|---|", *rows])
    if finding.explanation:
        yield f"**Why:** {escaped(finding.explanation.replace('`', ''))}"
    error = f"{finding.error_type}: {finding.error_message}".splitlines()
    yield "**Error:**"
    yield fenced([*error[:_LINES], *([f"(+{len(error) - _LINES} lines)"] if len(error) > _LINES else [])])
    if further := words.others(finding):
        yield f"**The same at {len(further)} more place{'s' * (len(further) != 1)}:**"
        left = [f"- and {len(further) - _PLACES} more"] if len(further) > _PLACES else []
        yield "\n".join([*(f"- {code(c.name)}" for c in further[:_PLACES]), *left])
    for remedy in finding.remedies:
        yield f"**Help** ({escaped(proof_of(remedy, finding))}): {escaped(remedy.summary.replace('`', ''))}"
        if remedy.code:
            yield fenced(remedy.code.strip("\n").splitlines(), "python" if remedy.kind == "rewrite" else "")


def _culprit(culprit: Culprit) -> Iterator[tuple[str, str]]:
    facts = {"op": culprit.op, "name": culprit.name, "function": culprit.function, "layer": culprit.layer}
    yield from ((label, fact) for label, fact in {**facts, "source": culprit.source}.items() if fact)
    for label, tensors in (("reads", culprit.inputs), ("makes", culprit.outputs)):
        yield from ((label, f"{spell(t)} {shorten(t.tensor, 200)}") for t in tensors)
