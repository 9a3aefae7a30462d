"""Where in one graph a failure sits: around what the converter hints at, else by bisection; then as little as fails.

A hint orders the questions and never convicts: whatever is returned has been seen to fail on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bisect_convert.model.bodies import Bodies
from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph
from bisect_convert.model.outcome import Failure, Signature, Stage, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind, Question
from bisect_convert.search.bisection import first_failing, halved, minimise

__all__ = ["MOST_QUESTIONS", "Ask", "Cause", "Locator"]

_RADII = (0, 1, 2)
#: From how many ops on halves are asked for: below that, prefixes cost no more.
_FEW = 32
#: How many starts of a section may be UNRESOLVED before no more are asked about.
_UNRESOLVED = 40
#: How many questions one minimisation may ask before it returns the best so far.
MOST_QUESTIONS = 150
#: What works out a size: where it rides along and cannot be left out, it is not the size but the sum that is at fault.
_ARITHMETIC = frozenset({"AddV2", "Add", "Sub", "Mul", "FloorDiv", "RealDiv", "FloorMod", "Maximum", "Minimum"})
Ask = Callable[[frozenset[str], Question], tuple[Section, Verdict]]


@dataclass(frozen=True)
class Cause:
    """What a search in one graph ended with: the ops to blame there and the section that shows it."""

    graph: str
    ops: tuple[str, ...]
    witness: Section
    minimal: bool
    failure: Failure
    cut: frozenset[tuple[str, str]] = frozenset()


class Locator:
    """Finds and shrinks failing sections of single graphs through one prober."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.model = prober.model
        self._bodies = Bodies(self.model)

    def ask(self, section: Section, target: Signature) -> Ask:
        """Return the question whether ops of the section, closed under what rides along, FAIL as the target does."""
        graph = self.model.graphs[section.graph]

        def ask(ops: frozenset[str], question: Question) -> tuple[Section, Verdict]:
            closed = graph.close(ops & section.ops, graph.atoms - section.ops)
            part = self.part(section, closed)
            return part, self.prober.verdict(part, target, question)

        return ask

    def ahead(self, section: Section, target: Signature, some: Iterable[Iterable[str]]) -> None:
        """Begin on questions of `ask` that may come next."""
        graph = self.model.graphs[section.graph]
        outside = graph.atoms - section.ops
        parts = (self.part(section, graph.close(section.ops.intersection(ops), outside)) for ops in some)
        self.prober.ahead(parts, target=target)

    def part(self, section: Section, ops: frozenset[str]) -> Section:
        """The section of these ops, with what is taken out of the bodies below them, and nothing else."""
        below = {body.name for op in ops for body in self.model.below(section.graph, op)}
        return Section(section.graph, ops, frozenset(r for r in section.removed if r[0] in below))

    def locate(self, section: Section, failure: Failure) -> Section | None:
        """A failing section: around what the converter hints at, else by bisection."""
        graph = self.model.graphs[section.graph]
        ask = self.ask(section, failure.signature)
        for hint in self._hints(section, failure):
            before: frozenset[str] = frozenset()
            for question, around in self._widening(graph, hint, failure):
                ops = around & section.ops
                if ops == before:
                    break
                before = ops
                part, verdict = ask(ops, question)
                if verdict is Verdict.FAIL:
                    return part
        return self._bisect(section, failure.signature)

    @staticmethod
    def _widening(graph: Graph, hint: str, failure: Failure) -> Iterator[tuple[Question, frozenset[str]]]:
        """The op alone, then with more and more of what is upstream; graph passes trip over a call and its readers."""
        yield Kind.ALONE.asks(hint), frozenset({hint})
        stage = failure.signature.stage
        if stage is Stage.GRAPH_PASS or (stage is Stage.LOWERING and not failure.signature.raising):
            called = {name for _, name in graph.ops[hint].functions}
            twins = [n for n in graph.order if n != hint and called & {name for _, name in graph.ops[n].functions}]
            for some in dict.fromkeys((frozenset(twins[:1]), frozenset(twins))) if twins else ():
                yield Kind.TWINS.asks(hint, len(some)), some | {hint}
            yield Kind.READERS.asks(hint), frozenset({hint, *graph.dag.successors(hint)})
            return
        for radius in _RADII[1:]:
            yield Kind.UPSTREAM.asks(hint, radius), graph.upstream({hint}, radius)

    def _hints(self, section: Section, failure: Failure) -> list[str]:
        if failure.signature.stage is Stage.GRAPH_PASS:
            return self._holders(section, failure)
        named = [frame.name for frame in failure.hint[:1] if frame.name in section.ops]
        if named or failure.signature.stage is Stage.LOWERING:
            return named if failure.hint else self._read_twice(section)
        text = failure.message.replace("/", "_")
        mentioned = [n for n in section.ops if len(n) > 3 and n.replace("/", "_") in text]
        return sorted(mentioned, key=lambda n: (-len(n), n))[:1]

    def _read_twice(self, section: Section) -> list[str]:
        """Calls with a result that two ops read, over which the converter falls without a word: the first two of them."""
        graph = self.model.graphs[section.graph]
        calls = [n for n in graph.sorted(section.ops) if graph.ops[n].functions]
        return [n for n in calls if len(set(graph.dag.successors(n)) & section.ops) > 1][:2]

    def _holders(self, section: Section, failure: Failure) -> list[str]:
        """The ops of the section that a graph pass had in hand, or in whose bodies they are: the first two of them."""
        graph = self.model.graphs[section.graph]
        calls = [n for n in graph.sorted(section.ops) if graph.ops[n].functions]
        inside = {op: call for call in calls for _, op in self._bodies.atoms(section.graph, call)}
        found = [f.name if f.name in section.ops else inside.get(f.name) for f in failure.hint]
        return list(dict.fromkeys(n for n in found if n is not None))[:2]

    def _bisect(self, section: Section, target: Signature) -> Section | None:
        """Halve the section for as long as a half of it fails; then bisect the prefixes of what is left for the last op
        that is needed, and what is upstream of it for the first.
        """
        graph = self.model.graphs[section.graph]
        ask = self.ask(section, target)
        run = halved(
            graph.sorted(section.ops),
            lambda some: ask(frozenset(some), Kind.HALF.asks(len(some)))[1],
            lambda some: self.ahead(section, target, some),
            least=_FEW,
        )
        chain = graph.prefixes(frozenset(run))
        flip = first_failing(
            len(chain),
            lambda i: ask(chain[i], Kind.PREFIX.asks(i))[1],
            lambda some: self.ahead(section, target, (chain[i] for i in some)),
            limit=_UNRESOLVED,
        )
        last = chain[flip.bad] - chain[flip.good]
        upstream = graph.upstream(last, len(section.ops)) & chain[flip.bad]
        for radius in _RADII:
            ops = graph.upstream(last, radius) & chain[flip.bad]
            part, verdict = ask(ops, Kind.LAST.asks(radius))
            if verdict is Verdict.FAIL:
                return part
            if ops == upstream:
                break
        order = graph.sorted(upstream)
        if ask(upstream, Kind.ABOVE.asks())[1] is not Verdict.FAIL:
            order = graph.sorted(chain[flip.bad])
        suffix = first_failing(
            len(order) + 1,
            lambda i: ask(frozenset(order[len(order) - i :]), Kind.SUFFIX.asks(i))[1],
            lambda some: self.ahead(section, target, (order[len(order) - i :] for i in some)),
            limit=_UNRESOLVED,
        )
        part, verdict = ask(frozenset(order[len(order) - suffix.bad :]), Kind.BETWEEN.asks())
        return part if verdict is Verdict.FAIL else None

    def shrink(self, witness: Section, failure: Failure, within: Section) -> Cause:
        graph = self.model.graphs[witness.graph]
        target = failure.signature
        ask = self.ask(witness, target)
        smallest = minimise(
            self._units(graph, witness, failure),
            lambda ops: ask(frozenset(ops), Kind.LESS.asks())[1],
            MOST_QUESTIONS,
            lambda some: self.ahead(witness, target, some),
        )
        needed = smallest.needed
        if not needed:  # without any one of them it fails otherwise, which clears none
            fails = ask(frozenset(smallest.items[-1:]), Kind.ENDMOST.asks())[1] is Verdict.FAIL
            needed = smallest.items[-1:] if fails else smallest.items
        ops = self._last_consumer(graph, needed, within, target)
        items = smallest.items if ops == needed else ops
        part = self.part(within, graph.close(items, graph.atoms - within.ops))
        minimal = smallest.minimal
        riders = graph.sorted(part.ops - set(items))
        if riders:
            kept = minimise(
                riders,
                lambda some: self.prober.verdict(
                    self.part(witness, frozenset(items) | set(some)), target, Kind.RIDERS.asks()
                ),
                MOST_QUESTIONS,
            )
            part = self.part(witness, frozenset(items) | set(kept.items))
            alone = self.part(witness, frozenset(items))
            if self.prober.verdict(alone, target, Kind.BARE.asks()) is Verdict.FAIL:
                part = alone
            minimal = minimal and kept.minimal
        outcome = self.prober.outcome(part, Kind.WITNESS.asks(), frontend=target.stage <= Stage.LOWERING)
        worked_out = [n for n in graph.sorted(part.ops - set(items)) if graph.ops[n].type in _ARITHMETIC]
        ops = (*worked_out, *ops, *self._named(part, ops, target))
        return Cause(witness.graph, ops, part, minimal, outcome.failure or failure)

    def _named(self, part: Section, ops: tuple[str, ...], target: Signature) -> list[str]:
        """The ops outside whose names alone make it fail: a graph pass may take one name for another's prefix."""
        graph = self.model.graphs[part.graph]
        if target.stage is not Stage.GRAPH_PASS or len(ops) < 2 or not any(graph.ops[n].functions for n in ops):
            return []
        found = []
        for name in dict.fromkeys(t.op for t in graph.entering(part.ops)):
            other = Section(part.graph, part.ops, part.removed, frozenset({name}))
            if self.prober.verdict(other, target, Kind.NAME.asks(name)) is Verdict.PASS:
                found.append(name)
        return found

    @staticmethod
    def _units(graph: Graph, witness: Section, failure: Failure) -> list[str]:
        """One op for each group of the witness that only goes together: the one hinted at, or a call, or the last."""
        hinted = {frame.name for frame in failure.hint}
        groups: dict[frozenset[str], str] = {}

        def weight(name: str) -> tuple[bool, bool]:
            """A loop of TensorFlow 1 goes by its LoopCond, of which it has one."""
            return graph.ops[name].type == "LoopCond" or name in hinted, bool(graph.ops[name].functions)

        outside = graph.atoms - witness.ops
        for name in graph.sorted(witness.ops):
            group = graph.close({name}, outside)
            best = groups.get(group)
            if best is None or weight(name) >= weight(best):
                groups[group] = name
        return graph.sorted(groups.values())

    def _last_consumer(self, graph: Graph, ops: tuple[str, ...], within: Section, target: Signature) -> tuple[str, ...]:
        """Where a call fails with any of those that read it, name the last of them: up to there it would convert."""
        if len(ops) != 2 or not graph.ops[ops[0]].functions or ops[1] not in graph.dag.successors(ops[0]):
            return ops
        last = graph.sorted(set(graph.dag.successors(ops[0])) & within.ops)[-1]
        if last == ops[1]:
            return ops
        _, verdict = self.ask(within, target)(frozenset({ops[0], last}), Kind.CONSUMER.asks())
        return (ops[0], last) if verdict is Verdict.FAIL else ops
