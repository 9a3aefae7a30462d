"""The search for one cause: locate it, shrink it, and follow it into the bodies of loops, conditionals and calls."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from bisect_convert.model.bodies import Bodies
from bisect_convert.model.cuts import Section
from bisect_convert.model.origins import sliced_open
from bisect_convert.model.outcome import Failure, Outcome, Stage, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search import from_constants
from bisect_convert.search.bisection import Minimum, first_failing, minimise
from bisect_convert.search.high_ranks import neighbourhoods, of_ranks, rank_regions
from bisect_convert.search.locate import Cause, Locator

__all__ = ["Descent"]

#: How many groups of ops with tensors of too high a rank are tried before the section that they are in.
_FORESEEN = 6
#: With more ops than this left in a body, the op at which the converter gives up is blamed: the others lead to it.
_MOST_BLAMED = 4
#: How many questions may go into the bodies of one construct: each converts all of it.
_FEWER = 60
Place = tuple[str, str]
#: What the converter says where both branches of a conditional were lowered, and give unlike results.
_BRANCHES_DIFFER = re.compile(r"true branch output .* mismatch false branch output|branch.* (number|types?) of outputs")
#: How coremltools writes a size that it does not know.
_OPEN_SIZE = re.compile(r"\bis\d+\b")


class Descent:
    """Finds the cause of one failure, at whatever depth it lies."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.model = prober.model
        self.locator = Locator(prober)
        self.bodies = Bodies(self.model)

    def search(self, section: Section, failure: Failure) -> Cause | None:
        """Return the cause of the failure at whatever depth it lies, with as little around it as still fails; or None."""
        cause = self._search(section, failure)
        if cause is None or cause.graph != cause.witness.graph or not cause.witness.removed <= section.removed:
            return cause
        return self._emptied(cause)

    def _emptied(self, cause: Cause) -> Cause:
        """The cause with all taken out of the bodies below its witness that does not make it fail."""
        witness, target = cause.witness, cause.failure.signature
        read = [
            n for n in witness.ops if self.model.graphs[witness.graph].ops[n].type in self.prober.loaded.convertible
        ]
        places = self.bodies.inside(witness.graph, read, witness.removed)
        bare = self._in_place(witness, frozenset())
        if bare == witness or not places:
            return cause

        def ask(kept: tuple[Place, ...]) -> Verdict:
            part = self._in_place(witness, frozenset(kept))
            return self.prober.verdict(part, target, Kind.EMPTIED.asks(len(kept)))

        if ask(()) is Verdict.FAIL:
            return replace(cause, witness=bare)
        smallest = minimise(places, ask, _FEWER)
        return replace(cause, witness=self._in_place(witness, frozenset(smallest.items)))

    def _search(self, section: Section, failure: Failure) -> Cause | None:
        deep = from_constants.met(self.prober, section, failure) or self.deepest(section, failure)
        if deep is not None:
            return deep
        for cause in self.high_ranks(section, failure):
            return cause
        witness = self.locator.locate(section, failure)
        if witness is None:
            return None
        cause = self.locator.shrink(witness, failure, section)
        return self._descend(from_constants.blamed_alone(self.model.graphs[section.graph], cause))

    def high_ranks(self, section: Section, failure: Failure) -> Iterator[Cause]:
        """Yield the causes of a failure that is one of ranks: one for each group of ops that share such tensors."""
        target = failure.signature
        if of_ranks(failure):
            ask = self.locator.ask(section, target)
            for region in rank_regions(self.model.graphs[section.graph], section, ask):
                yield Cause(section.graph, region.culprits, region.witness, region.minimal, failure, region.cut)

    def foreseen(self, section: Section) -> Outcome | None:
        """Return how a part fails whose tensors have more dimensions than Core ML has, its neighbours being with it; or None.

        The whole section would tell of them only when all passes are through, which is most of a conversion.
        """
        graph = self.model.graphs[section.graph]
        for near in itertools.islice(neighbourhoods(graph, section), _FORESEEN):
            part = self.locator.part(section, graph.close(near, graph.atoms - section.ops))
            outcome = self.prober.outcome(part, Kind.REGION.asks())
            if outcome.failure is not None and of_ranks(outcome.failure):
                return outcome
        return None

    def deepest(self, section: Section, failure: Failure) -> Cause | None:
        """Return the cause where the traceback leads into a body: the op there, alone, or else its construct around it."""
        if failure.signature.stage is not Stage.LOWERING or len(failure.hint) < 2:
            return None
        if failure.hint[0].name not in section.ops:
            return None
        place = self.bodies.follow(section.graph, failure.hint)
        if place is None or place in section.removed:
            return None
        body, op = self.model.graphs[place[0]], place[1]
        target = failure.signature.inside(len(failure.hint) - 1)
        alone = Section(body.name, body.close({op}, frozenset(o for g, o in section.removed if g == body.name)))
        if self.prober.verdict(alone, target, Kind.ALONE.asks(op)) is Verdict.FAIL:
            outcome = self.prober.outcome(alone, Kind.WITNESS.asks(), frontend=True)
            ends: tuple[str, ...] = (op,)
            if _OPEN_SIZE.search(failure.message) and (slicing := sliced_open(body, body.ops[op])) is not None:
                ends = (slicing, op)
            return Cause(body.name, ends, alone, len(alone.ops) == 1, outcome.failure or failure)
        call = failure.hint[0].name
        graph = self.model.graphs[section.graph]
        for construct in dict.fromkeys([frozenset({call}), graph.close({call}, graph.atoms - section.ops)]):
            around = self._in_place(self.locator.part(section, construct), frozenset({place}))
            if self.prober.verdict(around, failure.signature, Kind.IN_PLACE.asks(op, call)) is Verdict.FAIL:
                return Cause(body.name, (op,), around, True, failure)
        return None

    def _in_place(self, construct: Section, kept: frozenset[tuple[str, str]]) -> Section:
        removed = self.bodies.removed_but(construct.graph, construct.ops, kept)
        return Section(construct.graph, construct.ops, construct.removed | removed)

    def _descend(self, cause: Cause) -> Cause:
        """Where the culprit is a call: the op inside that fails in its body, or that the construct needs to fail."""
        graph = self.model.graphs[cause.graph]
        if len(cause.ops) != 1 or graph.ops[cause.ops[0]].type not in self.prober.loaded.convertible:
            return cause
        (call,) = cause.ops
        if _BRANCHES_DIFFER.search(cause.failure.message):  # each converts; it is the two together that do not fit
            return cause
        inner = cause.failure.signature.inside()
        for role, body in self.model.bodies(cause.graph, call):
            gone = frozenset(op for name, op in cause.witness.removed if name == body.name)
            ops = body.atoms - gone
            if not ops:
                continue
            part = Section(body.name, ops, frozenset(r for r in cause.witness.removed if r[0] != body.name))
            if self.prober.verdict(part, inner, Kind.BODY.asks(role, call)) is Verdict.FAIL:
                outcome = self.prober.outcome(part, Kind.BODY_FAILURE.asks(), frontend=inner.stage <= Stage.LOWERING)
                assert outcome.failure is not None
                return self.search(part, outcome.failure) or cause
        return self._shrink_in_place(cause, call)

    def _shrink_in_place(self, cause: Cause, call: str) -> Cause:
        """Take ops out of the bodies while the construct still fails alike; what cannot be taken out is to blame."""
        target = cause.failure.signature
        atoms = [a for a in self.bodies.atoms(cause.graph, call) if a not in cause.witness.removed]
        if not atoms:
            return cause

        def ask(kept: tuple[tuple[str, str], ...]) -> Verdict:
            part = self._in_place(cause.witness, frozenset(kept))
            return self.prober.verdict(part, target, Kind.INSIDES.asks(call, len(kept)))

        if ask(()) is Verdict.FAIL:
            return replace(cause, witness=self._in_place(cause.witness, frozenset()))
        named = {frame.name for frame in cause.failure.hint}
        calls = [(g, op) for g, op in atoms if self.model.graphs[g].ops[op].functions]
        smallest = None
        for name, op in list(dict.fromkeys([*(c for c in calls if c[1] in named), *calls]))[:3]:
            readers = [(name, r) for r in self.model.graphs[name].dag.successors(op) if (name, r) in atoms]
            if ask(((name, op), *readers)) is Verdict.FAIL:
                smallest = minimise(((name, op), *readers), ask, _FEWER)
                break
        if smallest is None:
            flip = first_failing(len(atoms) + 1, lambda i: ask(tuple(atoms[:i])))
            last = tuple(atoms[flip.bad - 1 : flip.bad])
            smallest = Minimum(last, True, last) if ask(last) is Verdict.FAIL else self._between(atoms[: flip.bad], ask)
        kept, blamed = smallest.items, smallest.needed
        part = self._in_place(cause.witness, frozenset(kept))
        blamed = tuple(k for k in blamed if self.model.graphs[k[0]].ops[k[1]].type != "Identity") or blamed
        cause = replace(cause, witness=part, minimal=cause.minimal and smallest.minimal)
        if len({g for g, _ in blamed}) != 1 or len(blamed) > _MOST_BLAMED:
            blamed = self._raising(cause, part)
        return replace(cause, graph=blamed[0][0], ops=tuple(op for _, op in blamed)) if blamed else cause

    def _raising(self, cause: Cause, part: Section) -> tuple[Place, ...]:
        """The op at which the converter gives up, where it is one of those left: all others only lead to it."""
        if len(cause.failure.hint) < 2:
            return ()
        place = self.bodies.follow(cause.witness.graph, cause.failure.hint)
        return (place,) if place is not None and place not in part.removed else ()

    @staticmethod
    def _between(atoms: list[Place], ask: Callable[[tuple[Place, ...]], Verdict]) -> Minimum[Place]:
        suffix = first_failing(len(atoms) + 1, lambda i: ask(tuple(atoms[len(atoms) - i :])))
        return minimise(atoms[len(atoms) - suffix.bad :], ask, _FEWER)
