"""The graphs of a model as other programs draw them: each op with what was found out about it."""

from __future__ import annotations

from dataclasses import dataclass

from bisect_convert.report.findings import TensorFact

__all__ = ["MarkedGraph", "MarkedOp"]


@dataclass(frozen=True)
class MarkedOp:
    """One op, with its verdict: "culprit", "witness", "converts" or "unknown".

    inputs: names of tensors; findings: those that it is a culprit in, or else in whose witness it is, counted from 1;
    bodies: what it calls, as (role, graph); constant: it is no op that a finding could be about.
    """

    name: str
    type: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[TensorFact, ...] = ()
    verdict: str = "unknown"
    findings: tuple[int, ...] = ()
    bodies: tuple[tuple[str, str], ...] = ()
    layer: str | None = None
    source: str | None = None
    constant: bool = False


@dataclass(frozen=True)
class MarkedGraph:
    """The main graph, with the name "", or the body of a loop, a conditional or a call; ops: in graph order."""

    name: str
    ops: tuple[MarkedOp, ...]
    results: tuple[str, ...] = ()
