"""Other places of a cause: sections of the same structure that fail in the same way, each seen to fail on its own.

Two ways lead to candidates: what a survey of lowering met behind the first failure, and subgraphs that are the same up to
names and sizes (VF2, by networkx). Neither convicts: each place is confirmed by a probe.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import networkx as nx
from networkx.algorithms.isomorphism import DiGraphMatcher

from bisect_convert.model.bodies import Bodies
from bisect_convert.model.cuts import Section
from bisect_convert.model.forms import canonical
from bisect_convert.model.graph import Graph
from bisect_convert.model.outcome import Failure, Signature, Stage, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search import from_constants
from bisect_convert.search.descend import Descent
from bisect_convert.search.found import Found
from bisect_convert.search.high_ranks import of_ranks
from bisect_convert.search.locate import Cause

__all__ = ["Places", "alike"]

#: Larger sections are not looked for elsewhere, nor are more than so many candidates.
_LARGEST, _MOST = 16, 400
#: Nor more than so many in bodies, where each question converts all of a construct.
_MOST_INSIDE = 200


def alike(one: Signature, other: Signature) -> bool:
    """Return whether two failures of lowering are the same but for the depth at which they were met."""
    same = (one.stage, one.pass_name, one.kind, one.message) == (
        other.stage,
        other.pass_name,
        other.kind,
        other.message,
    )
    return same and one.raising[-1:] == other.raising[-1:]


class Places:
    """Finds the places of causes through one prober."""

    def __init__(self, prober: Prober, descent: Descent) -> None:
        self.prober = prober
        self.model = prober.model
        self.descent = descent
        self._bodies = Bodies(self.model)

    def hinted(self, section: Section, failure: Failure) -> Cause | None:
        """Return the cause of a failure where its hint leads straight to it; a few small questions, no search."""
        if not failure.hint or self.prober.unsteady is not None:
            return None
        if (deep := self.descent.deepest(section, failure)) is not None:
            return deep
        (first, *deeper) = failure.hint
        if deeper or first.name not in section.ops:
            return None
        part = self.descent.locator.part(section, self._closed(section, {first.name}))
        if self.prober.verdict(part, failure.signature, Kind.ALONE.asks(first.name)) is not Verdict.FAIL:
            return None
        return Cause(section.graph, (first.name,), part, len(part.ops) == 1, failure)

    def of(
        self, cause: Cause, section: Section, further: Sequence[Failure], taken: set[tuple[str, str]]
    ) -> list[Cause]:
        """Return the other places of the cause in the section, each confirmed; `taken` are blamed already, and these then."""
        found = []
        for failure in further:
            place = self._bodies.follow(section.graph, failure.hint) if failure.hint else None
            if place is None or place in taken or place in section.removed:
                continue
            if (
                alike(failure.signature, cause.failure.signature)
                and (other := self.hinted(section, failure)) is not None
            ):
                found.append(other)
                taken.update((other.graph, op) for op in other.ops)
        if further:
            return found
        if cause.graph != cause.witness.graph:
            return [*found, *self._in_constructs(cause, section, taken)]
        if self._shared(cause.graph, cause.ops):
            return [*found, *self._sharing(cause, section, taken)]
        return [*found, *self._of_ranks(cause, section, taken), *self._isomorphic(cause, section, taken)]

    def instances(self, cause: Cause, section: Section) -> list[str]:
        """Return other ops of the same type that fail alone in the same way; of one form only the first is asked about."""
        graph = self.model.graphs[cause.graph]
        (first,) = cause.ops
        if from_constants.several(graph, [first]):
            rest = Section(cause.graph, self._pool(cause.graph, section) - {first})
            return [op for other in from_constants.failing(self.prober, rest) for op in other.ops]
        alike, target = self._alike(cause, section), cause.failure.signature
        sections = [Section(cause.graph, graph.close({n})) for n in alike]
        found = []
        for index, name in enumerate(alike):
            self.prober.ahead(sections[index:], target=target)
            if self.prober.verdict(sections[index], target, Kind.INSTANCE.asks()) is Verdict.FAIL:
                found.append(name)
        return found

    def likely(self, cause: Cause, section: Section, further: Sequence[Failure]) -> frozenset[tuple[str, str]]:
        """Return where the cause, and what failed behind it, may be met, as far as that is known without a question.

        Nothing where it may be met where only a question tells: in constructs made alike, at other tensors of high rank.
        """
        inside, several = cause.graph != cause.witness.graph, len(cause.ops) != 1
        if (inside and several) or of_ranks(cause.failure):
            return frozenset()
        hinted = [self._bodies.follow(section.graph, failure.hint) for failure in further if failure.hint]
        found = {(cause.graph, op) for op in cause.ops} | cause.cut | {place for place in hinted if place is not None}
        if len(cause.ops) != 1 or cause.cut:
            return frozenset(found)
        alike: list[tuple[str, str]] = []
        if cause.graph == cause.witness.graph:
            alike = [(cause.graph, op) for op in self._alike(cause, section)]
        elif not further and len(cause.witness.ops) == 1:
            alike = [place for _, place in self._alike_inside(cause, section)]
        ends = self._ends(cause.graph, cause.ops[0])
        return frozenset(found | {place for place in alike if self._ends(*place) == ends})

    def _ends(self, graph: str, name: str) -> list[tuple[str, int | None]]:
        """The dtypes and ranks of what an op reads and makes."""
        op, tensors = self.model.graphs[graph].ops[name], self.model.graphs[graph].tensors
        ends = [*(tensors[i] for i in op.inputs), *op.outputs]
        return [(t.dtype, None if t.shape is None else len(t.shape)) for t in ends]

    def _alike(self, cause: Cause, section: Section) -> list[str]:
        """The other ops of the type of the cause's one op; of its form too, where others of that type may convert."""
        graph = self.model.graphs[cause.graph]
        (first,) = cause.ops
        kind = graph.ops[first].type
        unknown = (
            kind not in self.prober.loaded.convertible or graph.ops[first].foldable or bool(graph.ops[first].functions)
        )
        form = canonical(graph, first)
        pool = self._pool(cause.graph, section) - {first}
        alike = [n for n in graph.sorted(pool) if graph.ops[n].type == kind]
        return [n for n in alike if unknown or canonical(graph, n) == form]

    def elsewhere(self, found: Found, section: Section, taken: set[tuple[str, str]]) -> list[str]:
        """Return the ops of a section of another graph that fail alone as the one op at each place of the cause does."""
        graphs = {graph for graph, _ in found.culprits}
        if found.cut or found.argument or section.graph in graphs or any(len(place) != 1 for place in found.places):
            return []
        if found.failure.signature.stage > Stage.LOWERING or not found.culprits or not found.places:
            return []
        graph, (home, first) = self.model.graphs[section.graph], found.culprits[0]
        kind, target = self.model.graphs[home].ops[first].type, found.failure.signature
        pool = [n for n in graph.sorted(section.ops) if graph.ops[n].type == kind and (graph.name, n) not in taken]
        parts = [(n, Section(graph.name, self._closed(section, {n}))) for n in pool[:_MOST]]
        return [n for n, part in parts if self.prober.verdict(part, target, Kind.INSTANCE.asks()) is Verdict.FAIL]

    def _in_constructs(self, cause: Cause, section: Section, taken: set[tuple[str, str]]) -> Iterator[Cause]:
        """The ops of that type in bodies that fail as the cause does, each with no more than its construct around it."""
        home = cause.witness.graph
        if len(cause.witness.ops) != 1:
            return
        if len(cause.ops) != 1:
            yield from self._in_twins(cause, section, taken)
            return
        for call, (name, op) in self._alike_inside(cause, section):
            if (name, op) in taken or (name, op) in section.removed:
                continue
            gone = self._bodies.removed_but(home, [call], frozenset({(name, op)}))
            taken_out = self.descent.locator.part(replace(section, graph=home), frozenset({call})).removed
            part = Section(home, frozenset({call}), taken_out | gone)
            if self.prober.verdict(part, cause.failure.signature, Kind.IN_PLACE.asks(op, call)) is Verdict.FAIL:
                taken.add((name, op))
                yield replace(cause, graph=name, ops=(op,), witness=part)

    def _alike_inside(self, cause: Cause, section: Section) -> list[tuple[str, tuple[str, str]]]:
        """The ops of the type of the cause's one op in bodies, each behind the call that it is below."""
        home, kind = cause.witness.graph, self.model.graphs[cause.graph].ops[cause.ops[0]].type
        graph = self.model.graphs[home]
        calls = [n for n in graph.sorted(self._pool(home, section)) if graph.ops[n].functions]
        places = [(c, place) for c in calls for place in self._bodies.atoms(home, c)]
        return [(c, (g, op)) for c, (g, op) in places if self.model.graphs[g].ops[op].type == kind][:_MOST_INSIDE]

    def _in_twins(self, cause: Cause, section: Section, taken: set[tuple[str, str]]) -> Iterator[Cause]:
        """The same ops of the constructs whose bodies are made of the same ops: the witness once more, by other names."""
        home, (call,) = cause.witness.graph, cause.witness.ops
        graph = self.model.graphs[home]
        others = [
            n for n in graph.sorted(self._pool(home, section) - {call}) if graph.ops[n].type == graph.ops[call].type
        ]
        for other in others[:_MOST_INSIDE]:
            twins = self._bodies.twins(home, call, other)
            named = [twins.get((cause.graph, op)) for op in cause.ops]
            places = [place for place in named if place is not None and place not in taken | section.removed]
            if len(places) < len(named):
                continue
            gone = frozenset(twins[place] for place in cause.witness.removed if place in twins)
            part = Section(home, frozenset({other}), gone)
            if (
                self.prober.verdict(part, cause.failure.signature, Kind.IN_PLACE.asks(places[0][1], other))
                is Verdict.FAIL
            ):
                taken.update(places)
                cut = frozenset(twins[place] for place in cause.cut if place in twins)
                yield replace(cause, graph=places[0][0], ops=tuple(op for _, op in places), witness=part, cut=cut)

    def _of_ranks(self, cause: Cause, section: Section, taken: set[tuple[str, str]]) -> Iterator[Cause]:
        """The other ops that share tensors of too high a rank, where that is the failure."""
        for other in self.descent.high_ranks(section, cause.failure):
            if not any((other.graph, op) in taken for op in other.ops):
                taken.update((other.graph, op) for op in other.ops)
                yield other

    def _shared(self, graph: str, ops: Sequence[str]) -> frozenset[str]:
        """The functions that all of these ops call."""
        called = [frozenset(name for _, name in self.model.graphs[graph].ops[op].functions) for op in ops]
        return frozenset.intersection(*called) if len(called) > 1 else frozenset()

    def _sharing(self, cause: Cause, section: Section, taken: set[tuple[str, str]]) -> Iterator[Cause]:
        """As many calls of one type that share another function, where these fail together too."""
        graph = self.model.graphs[cause.graph]
        kind, target = graph.ops[cause.ops[0]].type, cause.failure.signature
        callers: dict[str, list[str]] = {}
        for op in graph.sorted(self._pool(cause.graph, section)):
            for _, function in graph.ops[op].functions if graph.ops[op].type == kind else ():
                callers.setdefault(function, []).append(op)
        for group in callers.values():
            ops = tuple(op for op in dict.fromkeys(group) if (cause.graph, op) not in taken)[: len(cause.ops)]
            if len(ops) < len(cause.ops):
                continue
            part = self.descent.locator.part(section, self._closed(section, set(ops)))
            if self.prober.verdict(part, target, Kind.INSTANCE.asks()) is Verdict.FAIL:
                taken.update((cause.graph, op) for op in ops)
                yield replace(cause, ops=ops, witness=part)

    def _isomorphic(self, cause: Cause, section: Section, taken: set[tuple[str, str]]) -> Iterator[Cause]:
        """The places whose section is that of the cause but for names and sizes."""
        graph = self.model.graphs[cause.graph]
        if not 1 < len(cause.witness.ops) <= _LARGEST or not nx.is_weakly_connected(
            graph.dag.subgraph(cause.witness.ops)
        ):
            return  # parts that do not hang together are found in too many ways
        pool = self._pool(cause.graph, section)
        for match in itertools.islice(_matches(graph, cause.witness.ops, pool), _MOST):
            ops = frozenset(match.values())
            if ops & {op for name, op in taken if name == cause.graph}:
                continue
            bare = bool(cause.witness.removed)
            part = Section(
                cause.graph, ops, self._bodies.removed_but(cause.graph, ops, frozenset()) if bare else frozenset()
            )
            if self.prober.verdict(part, cause.failure.signature, Kind.INSTANCE.asks()) is Verdict.FAIL:
                blamed = tuple(match[op] for op in cause.ops if op in match)
                cut = frozenset((cause.graph, match[op]) for name, op in cause.cut if op in match)
                taken.update((cause.graph, op) for op in ops)
                yield replace(cause, ops=blamed, witness=part, cut=cut)

    def _pool(self, graph: str, section: Section) -> frozenset[str]:
        """The ops of that graph which the section leaves."""
        removed = {op for name, op in section.removed if name == graph}
        return section.ops if section.graph == graph else self.model.graphs[graph].atoms - removed

    def _closed(self, section: Section, ops: set[str]) -> frozenset[str]:
        graph = self.model.graphs[section.graph]
        return graph.close(ops, graph.atoms - section.ops)


def _matches(graph: Graph, ops: frozenset[str], pool: frozenset[str]) -> Iterator[dict[str, str]]:
    """Yield op of the pattern -> op of the pool for each occurrence of the pattern beside itself; the first of each set."""
    kinds = {graph.ops[n].type for n in ops}
    pattern = _labelled(graph, ops)
    host = _labelled(graph, frozenset(n for n in pool - ops if graph.ops[n].type in kinds))
    seen: set[frozenset[str]] = set()
    for component in sorted(nx.weakly_connected_components(host), key=lambda c: min(graph.order[n] for n in c)):
        if len(component) < len(ops):
            continue
        matcher = DiGraphMatcher(host.subgraph(component), pattern, node_match=lambda a, b: a["label"] == b["label"])
        for match in itertools.islice(matcher.subgraph_isomorphisms_iter(), _MOST):
            found = frozenset(match)
            if not any(found & other for other in seen):
                seen.add(found)
                yield {there: here for here, there in match.items()}


def _labelled(graph: Graph, ops: frozenset[str]) -> nx.DiGraph[str]:
    """The ops with what makes two the same: their types, and the dtypes and ranks of what they make."""
    made: nx.DiGraph[str] = nx.DiGraph(graph.dag.subgraph(ops))
    for name in made:
        op = graph.ops[name]
        outputs = tuple((t.dtype, None if t.shape is None else len(t.shape)) for t in op.outputs)
        made.nodes[name]["label"] = (op.type, outputs)
    return made
