"""Sections drawn at random from a model, and what the converter says of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bisect_convert.model.bodies import Bodies
from bisect_convert.model.cuts import Section, feedable
from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Outcome
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind

__all__ = ["KINDS", "Drawn", "draw", "probe_some", "take_out"]

KINDS = ("prefix", "suffix", "chunk", "single", "set", "gap")


@dataclass(frozen=True)
class Drawn:
    """A section, how it was drawn, how far it was converted and what came of it."""

    kind: str
    section: Section
    frontend: bool
    outcome: Outcome
    differs: str | None = None
    """In what its values in TensorFlow differ from the model's: "" in nothing, None where that was not asked."""

    @property
    def artefact(self) -> bool:
        """True where it fails although its model converts, or computes something else than its model."""
        return self.outcome.failure is not None or bool(self.differs)

    def words(self) -> str:
        """What there is to know about it, for a failing test."""
        failure = self.outcome.failure
        said = self.outcome.unresolved or "converts"
        if failure is not None:
            said = f"{failure.signature.stage.word}: {failure.type}: {(failure.message.strip() or '-').splitlines()[0]}"
        said += f", and {self.differs}" if self.differs else ""
        hint = f" at {failure.hint[-1].name}" if failure and failure.hint else ""
        ops = sorted(self.section.ops)
        removed = f" without {sorted(self.section.removed)}" if self.section.removed else ""
        where = self.section.graph or "the main graph"
        return f"{self.kind} of {len(ops)} ops in {where}: {said}{hint}\n  {ops[:12]}{removed}"


def draw(graph: Graph, kind: str, rng: random.Random) -> frozenset[str]:
    """A set of ops of this kind, closed so that its cuts change nothing."""
    order = graph.sorted(graph.atoms)
    at = rng.randrange(len(order))
    if kind == "prefix":
        ops = set(order[: at + 1])
    elif kind == "suffix":
        ops = set(order[at:])
    elif kind == "single":
        ops = {order[at]}
    elif kind == "gap":
        ops = set(order) - _chunk(graph, order[at], rng.randint(1, 4))
    elif kind == "chunk":
        ops = _chunk(graph, order[at], rng.randint(2, max(2, len(order) // 2)))
    else:
        share = rng.choice((0.1, 0.3, 0.5, 0.8, 0.95))
        ops = {name for name in order if rng.random() < share} or {order[at]}
    return graph.close(ops & graph.atoms or {order[at]})


def _chunk(graph: Graph, start: str, size: int) -> set[str]:
    """Ops that hang together around `start`."""
    found, todo = {start}, [start]
    while todo and len(found) < size:
        name = todo.pop(0)
        near = [*graph.dag.predecessors(name), *graph.dag.successors(name)]
        fresh = [n for n in near if n in graph.atoms and n not in found]
        found.update(fresh)
        todo += fresh
    return found


def take_out(model: Model, graph: str, ops: frozenset[str], rng: random.Random) -> frozenset[tuple[str, str]]:
    """Some of what is in the bodies below the ops: a few single ops, or all but a few."""
    bodies = Bodies(model)
    inside = [place for call in sorted(ops) for place in bodies.atoms(graph, call)]
    if not inside:
        return frozenset()
    chosen = frozenset(rng.sample(inside, min(len(inside), rng.choice((1, 1, 2, 3)))))
    if rng.random() < 0.5:
        return bodies.removed_but(graph, ops, chosen)
    never = bodies.removed_but(graph, ops, frozenset())  # all that can go: not what counts a loop's turns
    return frozenset((g, o) for g, o in chosen & never if o not in model.graphs[g].shape_arithmetic)


def probe_some(
    loaded: Loaded,
    workers: Workers,
    count: int,
    seed: int,
    *,
    full: float = 0.3,
    values: float = 0.5,
    beside: frozenset[tuple[str, str]] = frozenset(),
) -> Iterator[Drawn]:
    """Convert `count` sections drawn from the model and its bodies: a share of `full` through every stage.

    A share of `values` is run in TensorFlow too, and compared with the model. None holds the ops of `beside`.
    """
    rng = random.Random(seed)
    graphs = [g for g in loaded.model.graphs.values() if g.atoms]
    for _ in range(count):
        graph = rng.choices(graphs, [len(g.atoms) for g in graphs])[0]
        kind = rng.choice(KINDS)
        ops = draw(graph, kind, rng)
        if beside:
            ops, _ = feedable(graph, ops - {op for name, op in beside if name == graph.name}, graph.atoms)
            if not ops:
                continue
        below = {body.name for op in ops for body in loaded.model.below(graph.name, op)}
        removed = frozenset(place for place in beside if place[0] in below)
        if not removed and rng.random() < 0.7:
            removed = take_out(loaded.model, graph.name, ops, rng)
        section = Section(graph.name, ops, removed)
        frontend = rng.random() >= full
        prober = Prober(loaded, workers, {})
        outcome = prober.outcome(section, Kind.BY_HAND.asks(kind), frontend=frontend)
        differs = prober.errands.differs(section) if rng.random() < values else None
        yield Drawn(kind, section, frontend, outcome, differs)
