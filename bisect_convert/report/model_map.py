"""The whole model, folded by layers, as a page draws it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Region"]


@dataclass(frozen=True)
class Region:
    """An op, or ops that belong together: a layer, the body of a loop, a run of ops.

    kind: an op's type, else "layer", "body" or "run"; ops: how many it holds; verdict: "culprit", "witness", "converts" or
    "unknown", the worst of what is in it; findings: those in it, counted from 1; edges: between the regions inside, by their
    places; times: how often it stands there, drawn once.
    """

    title: str
    kind: str
    ops: int
    verdict: str
    findings: tuple[int, ...] = ()
    inside: tuple[Region, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    times: int = 1
