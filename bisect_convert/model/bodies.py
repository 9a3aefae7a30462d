"""Function bodies as a hierarchy: which ops lie below a call, and what may be taken out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bisect_convert.model.graph import Graph, Model, Op
from bisect_convert.model.names import LOOPS, op_of
from bisect_convert.model.outcome import Frame, Outcome

__all__ = ["Bodies", "without_scaffold"]


class Bodies:
    """Questions about the bodies of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def atoms(self, graph: str, call: str) -> list[tuple[str, str]]:
        """All ops in the bodies below the call as (graph, op), those of nested bodies last."""
        return [(body.name, op) for body in self._model.below(graph, call) for op in body.sorted(body.atoms)]

    def inside(self, graph: str, ops: Iterable[str], removed: frozenset[tuple[str, str]]) -> list[tuple[str, str]]:
        """What is left in the bodies below the ops as (graph, op): nothing of a body whose call is taken out itself."""
        found: dict[tuple[str, str], None] = {}
        for call in ops:
            for _, body in self._model.bodies(graph, call):
                left = [op for op in body.sorted(body.atoms) if (body.name, op) not in removed]
                found.update(dict.fromkeys((body.name, op) for op in left))
                found.update(dict.fromkeys(self.inside(body.name, left, removed)))
        return list(found)

    def twins(self, graph: str, call: str, other: str) -> dict[tuple[str, str], tuple[str, str]]:
        """Return (graph, op) below the call -> (graph, op) below the other, empty unless both are made of the same ops.

        They are taken in order: bodies that one piece of code made, at different names and sizes, have theirs in the same.
        """
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        todo = [((graph, call), (graph, other))]
        while todo:
            at, there = todo.pop()
            mine, theirs = list(self._model.bodies(*at)), list(self._model.bodies(*there))
            if [role for role, _ in mine] != [role for role, _ in theirs]:
                return {}
            for (_, one), (_, two) in zip(mine, theirs, strict=True):
                ops = list(zip(one.sorted(one.atoms), two.sorted(two.atoms), strict=False))
                if len(one.atoms) != len(two.atoms) or any(one.ops[a].type != two.ops[b].type for a, b in ops):
                    return {}
                below = [((one.name, a), (two.name, b)) for a, b in ops]
                pairs.update(below)
                todo += below
        return pairs

    def follow(self, graph: str, frames: Sequence[Frame]) -> tuple[str, str] | None:
        """Return (graph, op) of the innermost frame, or None where the frames do not lead there."""
        at, call = graph, frames[0].name
        for frame in frames[1:]:
            if call not in self._model.graphs[at].ops:
                return None
            name = frame.name
            homes = [
                body
                for _, body in self._model.bodies(at, call)
                if name in body.order and body.ops[name].type == frame.op
            ]
            if not homes:
                return None
            at, call = homes[-1].name, name
        return at, call

    def met(self, graph: str, outcome: Outcome) -> frozenset[tuple[str, str]]:
        """Return the ops, as (graph, op), that the conversion was seen to fail at."""
        failures = [f for f in (outcome.failure, *outcome.further) if f is not None and f.hint]
        return frozenset(place for f in failures if (place := self.follow(graph, f.hint)) is not None)

    def removed_but(
        self, graph: str, ops: Iterable[str], kept: frozenset[tuple[str, str]]
    ) -> frozenset[tuple[str, str]]:
        """Return all ops below `ops` but `kept`, the calls around these, and what no cut could replace."""
        removed: set[tuple[str, str]] = set()
        for call in ops:
            self._remove(self._model.graphs[graph], call, kept, removed)
        return frozenset(removed)

    def _remove(self, graph: Graph, call: str, kept: frozenset[tuple[str, str]], removed: set[tuple[str, str]]) -> None:
        loop = graph.ops[call].type in LOOPS
        for role, body in self._model.bodies(graph.name, call):
            stay = {op for name, op in kept if name == body.name}
            stay |= {
                op
                for op in body.atoms
                if any((b.name, o) in kept for b in self._model.below(body.name, op) for o in b.atoms)
            }
            stay |= self._fixed(body, counters=loop and role == "body")
            closed = body.close(stay) if stay else frozenset()
            removed.update((body.name, op) for op in body.atoms - closed)
            for op in closed:
                self._remove(body, op, kept, removed)

    @staticmethod
    def _fixed(body: Graph, *, counters: bool) -> set[str]:
        """What makes a result that nothing can replace: a tensor list, a resource; a loop's own counters."""
        found: set[str] = set()
        for index, result in enumerate(body.results):
            op = op_of(result)
            if op not in body.atoms:
                continue
            if counters and index < 2:
                found |= body.upstream({op}, len(body.order))
            elif not body.tensors[result].severable:
                found.add(op)
        return found


def without_scaffold(
    model: Model, culprits: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], frozenset[tuple[str, str]]]:
    """Return the culprits but for the scaffold of lowered conditionals, and all of them if there was any, to be cut out."""
    named = [c for c in culprits if not _switches_itself(model.graphs[c[0]].ops[c[1]])]
    return (named, frozenset(culprits)) if named and named != culprits else (culprits, frozenset())


def _switches_itself(op: Op) -> bool:
    """True for the scaffold of a lowered conditional: control hangs on it, and no branch reads what it switches."""
    return op.type in ("Switch", "RefSwitch", "_SwitchN") and op.inputs[0] == op.inputs[1]
