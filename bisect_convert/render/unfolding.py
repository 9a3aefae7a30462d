"""Bodies set below the ops that call them, so that a program which knows no bodies draws a model as one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bisect_convert.report.findings import TensorFact
from bisect_convert.report.marked_graphs import MarkedGraph, MarkedOp

__all__ = ["Level", "Source", "levels", "sources"]

_PARAMETER = "Placeholder"


@dataclass(frozen=True)
class Level:
    """A graph where it stands: in the main one (`outer` is None), or as what `op` of `outer` calls in a `role`."""

    graph: MarkedGraph
    outer: Level | None = None
    op: MarkedOp | None = None
    role: str = ""

    @cached_property
    def made(self) -> dict[str, tuple[MarkedOp, int, TensorFact]]:
        """Each tensor by name: the op that makes it, at which place, and what it is."""
        return {t.tensor: (op, place, t) for op in self.graph.ops for place, t in enumerate(op.outputs)}

    @cached_property
    def given(self) -> dict[str, str]:
        """What the calling op hands over: the outer tensor by the name of the body's parameter. A condition goes first."""
        if self.op is None:
            return {}
        parameters = [op.name for op in self.graph.ops if op.type == _PARAMETER]
        return dict(zip(reversed(parameters), reversed(self.op.inputs), strict=False))

    @property
    def title(self) -> str:
        """What a body is to its op, with the op's own name before it: `while body`."""
        return "" if self.op is None else f"{self.op.name.rpartition('/')[2]} {self.role}"


@dataclass(frozen=True)
class Source:
    """What one input of an op reads: the result at `place` of an op, which may be outside of the body or inside of one."""

    level: Level
    op: MarkedOp
    place: int


def levels(graphs: Sequence[MarkedGraph]) -> list[Level]:
    """Return the main graph and each body that is called from it, once, below the first op that calls it."""
    named = {graph.name: graph for graph in graphs}
    found = [Level(named[""])] if "" in named else []
    placed = {""}
    for level in found:  # grows as bodies are met
        for op in level.graph.ops:
            for role, body in op.bodies:
                if body in named and body not in placed:
                    placed.add(body)
                    found.append(Level(named[body], level, op, role))
    return found


def sources(level: Level, op: MarkedOp, inside: Sequence[Level]) -> Iterator[Source]:
    """Yield what the op reads; inside: the levels right below it, whose results it gives on.

    The parameter of a body reads what the calling op was given.
    """
    for name in op.inputs:
        if name in level.made:
            yield Source(level, *level.made[name][:2])
    if level.outer is not None and (given := level.given.get(op.name)) in level.outer.made:
        yield Source(level.outer, *level.outer.made[given][:2])
    for body in inside:
        for name in body.graph.results:
            if name in body.made:
                yield Source(body, *body.made[name][:2])
