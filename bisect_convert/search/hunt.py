"""The hunt: control, locate, shrink, descend, confirm, cut out, and again until the rest converts.

It joins the pure searches (`search`) with the graph (`graph`) through the one door to the converter (`prober`). A hint
orders the questions and never convicts: whatever is blamed has been seen to fail on its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bisect_convert.arguments.corrections import constant_strings
from bisect_convert.model.bodies import without_scaffold
from bisect_convert.model.cuts import Section, feedable, made_by_a_cut, whole
from bisect_convert.model.outcome import Failure, Outcome, Verdict
from bisect_convert.probe.flakiness import died
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search import dependents
from bisect_convert.search.controls import FICKLE, Control
from bisect_convert.search.descend import Descent
from bisect_convert.search.faulty_arguments import fault
from bisect_convert.search.found import Found
from bisect_convert.search.high_ranks import of_ranks, raises
from bisect_convert.search.locate import Cause
from bisect_convert.search.places import Places
from bisect_convert.search.remainder import Remainder

__all__ = ["Hunt"]


class Hunt:
    """One run over a model; iterate `causes()`, then read `complete` and `notes`."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.model = prober.model
        self.complete = False
        self.notes: list[str] = []
        self.control = Control(prober)
        self.descent = Descent(prober)
        self.places = Places(prober, self.descent)
        self.remainder = Remainder(prober, self.descent, self.notes.append, self._give_up)
        self._blamed: set[tuple[str, str]] = set()
        self._gone: set[tuple[str, str]] = set()
        self._met: frozenset[tuple[str, str]] | None = None
        """The ops that the conversion of the whole, which nothing was cut out of, failed at; None before it."""

    def causes(self) -> Iterator[Found]:
        """Yield each cause until what is left of the model, and of each body that had to be cut out, converts."""
        todo = [whole(self.model)]
        self.complete = True
        self._foresee()
        while todo:
            section = todo.pop(0)
            steady = self.prober.unsteady is None
            outcome = self._outcome(section)
            failure, found, hidden = outcome.failure, None, None
            if failure is not None and steady is (self.prober.unsteady is None):
                hidden = self._hidden(section, failure)
                if (reason := self.control.endless(section, failure)) is not None:
                    self._give_up(reason)
                    continue
                found = self._cause(section, failure, outcome.further) if hidden is None else None
            if steady and self.prober.unsteady is not None:
                self.notes.append(self.control.sample())
                todo.insert(0, section)
            elif outcome.unresolved is not None:
                self._give_up(f"what is left could not be probed: {outcome.unresolved}")
            elif hidden is not None:
                also = {place for f in outcome.further if (place := self._hidden(section, f)) is not None}
                todo = self.remainder.of(section, frozenset({hidden, *also})) + todo
            elif failure is not None and found is None:
                self._give_up(f"no section fails as the whole does ({failure.type})")
            elif found is not None and found.argument is not None:
                yield from self._fresh(found)
                self.prober.instead(found.changes or {found.argument: None})
                todo.insert(0, section)
            elif found is not None:
                for each in itertools.chain([found], self._behind(section, outcome.further)):
                    each, todo = self._also_in(each, todo)
                    self._gone |= each.gone
                    yield from self._fresh(each)
                todo = self.remainder.of(section, frozenset(self._gone)) + todo
                self._gone.clear()
                yield from self._unseen()
        self._note_text()

    def _outcome(self, section: Section) -> Outcome:
        """What came of the section, or of a part of it that tells sooner; what the whole failed at is kept."""
        if self._met is not None and self.prober.unsteady is None:
            if (part := self.descent.foreseen(section)) is not None:
                return part
        outcome = self.control.outcome(section)
        if self._met is None:
            self._met = self.descent.bodies.met(section.graph, outcome)
        return outcome

    def _note_text(self) -> None:
        """Say which output is text, where nothing that was asked had it in it."""
        text = constant_strings(self.model.main, self.prober.options.get("outputs"))
        if text and self._blamed:
            self.notes.append(
                f"the output {text[0]} is text that is always the same, which does not convert: name the others in `outputs`"
            )

    def _also_in(self, found: Found, todo: list[Section]) -> tuple[Found, list[Section]]:
        """The cause with its places in bodies that wait to be looked into, and what is left of these without them."""
        waiting: list[Section] = []
        for section in todo:
            here = self.places.elsewhere(found, section, self._blamed) if self.prober.unsteady is None else []
            waiting += self.remainder.of(section, frozenset((section.graph, op) for op in here)) if here else [section]
            culprits = tuple((section.graph, op) for op in here)
            each = tuple((culprit,) for culprit in culprits)
            if here:
                found = replace(found, culprits=found.culprits + culprits, places=found.places + each)
        return found, waiting

    def _unseen(self) -> Iterator[Found]:
        """The causes that could not be probed: ops without any conversion that hang on what was cut out."""
        for unprobed in self.remainder.unprobed:
            yield from self._fresh(unprobed)
        self.remainder.unprobed.clear()

    def _behind(self, section: Section, further: Sequence[Failure]) -> Iterator[Found]:
        """The causes of what fails behind the first, where hints lead straight to them: cut out with it, in one go."""
        for index, failure in enumerate(further):
            if self.prober.unsteady is not None:
                return
            place = self.descent.bodies.follow(section.graph, failure.hint) if failure.hint else None
            if place is None or place in self._blamed or place in section.removed:
                continue
            if (hidden := self._hidden(section, failure)) is not None:
                self._gone.add(hidden)
                continue
            cause = self.places.hinted(section, failure)
            if cause is None or any((cause.graph, op) in self._blamed for op in cause.ops):
                continue
            found = self._judged(section, cause, failure, further[index + 1 :])
            if found is not None:
                yield found

    def _hidden(self, section: Section, failure: Failure) -> tuple[str, str] | None:
        """The op that fails for want of a value or dtype that a culprit was to make, which a note then says."""
        place = self.descent.bodies.follow(section.graph, failure.hint) if failure.hint else None
        if place is None or place in self._blamed:
            return None
        graph, op = self.model.graphs[place[0]], place[1]
        missing = dependents.missing_value(graph, op, self._blamed)
        missing = missing or dependents.fed_otherwise(graph, op, failure.message, self._blamed)
        self.notes += [] if missing is None else [missing]
        return None if missing is None else place

    def _fresh(self, found: Found) -> Iterator[Found]:
        """The cause, without culprits that are blamed already: one op may both lack a conversion and read a table.

        None whose failure speaks of a tensor of ours, unless the whole model was seen to fail there too.
        """
        ours = made_by_a_cut(found.failure.message) and not set(found.culprits) & (self._met or frozenset())
        name = found.culprits[0][1] if found.culprits else "a section"
        if ours and of_ranks(found.failure):  # a tensor of ours is of that rank since the model's is
            raising = tuple(c for c in found.culprits if raises(self.model.graphs[c[0]], c[1]))
            if not raising:
                self.notes.append(f"{name} reads what a culprit makes, of a rank that Core ML does not have")
                return
            groups = [tuple(c for c in place if c in raising) for place in found.places]
            places = tuple(place for place in groups if place)
            several = any(len(place) > 1 for place in places)
            found = replace(found, culprits=raising, cut=found.gone, places=places, interaction=several)
        elif ours:
            self._give_up(f"{name} was seen to fail only where it was cut out of the model, and is not blamed for that")
            return
        fresh = tuple(c for c in found.culprits if c not in self._blamed)
        self._blamed |= set(fresh)
        if found.interaction or len(fresh) == len(found.culprits):
            yield found
        elif fresh:
            places = tuple(p for p in found.places if set(p) & set(fresh))
            yield replace(found, culprits=fresh, cut=found.gone, places=places)

    def _foresee(self) -> None:
        """Begin on what is likely to be asked next: the rest without the ops of types that have no conversion, else the
        second control.
        """
        main, unknown = self.model.main, self.prober.loaded.unknown
        if self.control.likely:
            self.prober.ahead([Section("", feedable(main, main.atoms - unknown, main.atoms)[0])])
        elif not unknown:
            self.prober.ahead([whole(self.model)], again=True)

    def _foresee_rest(self, section: Section, cut: frozenset[tuple[str, str]]) -> None:
        """Begin on what is left without all that may be cut out, while each place of it is confirmed."""
        here = frozenset(op for graph, op in cut if graph == section.graph)
        rest, _ = self.remainder.without(
            section, here, frozenset((graph, op) for graph, op in cut if graph != section.graph)
        )
        if cut and rest.ops:
            self.prober.ahead([rest])

    def causes_with_weights(self) -> Iterator[Found]:
        """Yield each cause of the model with its true weights, where it converts with repeated values in their place."""
        outcome = self.prober.outcome(whole(self.model), Kind.WEIGHTS.asks(), fresh=True)
        if outcome.failure is None:
            return
        self.notes.append(
            "it fails only with its own weights, not with others of their size, and was searched with them"
        )
        self.prober.with_weights()
        found = None
        for found in self.causes():
            yield found
        if found is None:
            yield Found(outcome.failure, (), whole(self.model), minimal=False, confirmed=True)

    def _give_up(self, reason: str) -> None:
        self.complete = False
        self.notes.append(reason)

    # --- one cause ---------------------------------------------------------------------------------------------------

    def _cause(self, section: Section, failure: Failure, further: Sequence[Failure] = ()) -> Found | None:
        if (call := fault(self.prober, section, failure)) is not None:
            return Found(failure, (), section, False, True, argument=call.argument, changes=call.changes)
        cause = self.descent.search(section, failure)
        if cause is None:
            self.control.holds(section, failure)
            return None
        self._foresee_rest(section, self.places.likely(cause, section, further))
        return self._judged(section, cause, failure, further)

    def _judged(self, section: Section, cause: Cause, failure: Failure, further: Sequence[Failure]) -> Found | None:
        """What was found, once it is confirmed, with all its places; None where it does not hold."""
        doubtful = len(cause.ops) > 1 or died(Outcome(cause.failure))
        if doubtful and not self.control.holds(cause.witness, cause.failure):
            return None
        if self.prober.unsteady is not None and not self.control.singled_out(section, cause):
            self._give_up(f"{cause.ops[0]} was suspected, but what is left without it fails so too now and then")
            return None
        if (confirmed := self._confirmed(cause)) is None:
            return None
        graph = self.model.graphs[cause.graph]
        culprits = [(cause.graph, op) for op in cause.ops]
        if handle := dependents.handle_readers(graph, cause.ops):
            readers, on_the_way = ([(cause.graph, op) for op in ops] for ops in handle)
            cut = frozenset([*culprits, *on_the_way, *readers])
            each = tuple((reader,) for reader in readers)
            return Found(failure, tuple(readers), cause.witness, cause.minimal, confirmed, cut=cut, places=each)
        cut = cause.cut or frozenset((cause.graph, n) for op in cause.ops for n in graph.ties.get(op, ()))
        cut |= {(cause.graph, n) for n in dependents.island(graph, cause.ops)}
        if (call := dependents.only_inside(self.prober, cause)) is not None:
            culprits.append(call)
        places = [tuple(culprits)]
        if len(culprits) == 1 and not cause.cut and cause.graph == cause.witness.graph:
            places += [((cause.graph, op),) for op in self.places.instances(cause, section)]
        taken = self._blamed | {place for group in places for place in group}
        others = self.places.of(cause, section, further, taken)
        places += [tuple((other.graph, op) for op in other.ops) for other in others]
        cut = cut.union(*(other.cut for other in others))
        culprits = [place for group in places for place in group]
        if len(cause.ops) == 1 and not cut:
            culprits, cut = without_scaffold(self.model, culprits)
        elif cut:
            cut |= frozenset(culprits)
        return Found(
            failure, tuple(culprits), cause.witness, cause.minimal, confirmed, interaction=len(places[0]) > 1, cut=cut,
            places=tuple(places),
        )  # fmt: skip

    def _confirmed(self, cause: Cause) -> bool | None:
        """Whether the witness fails so with the true weights too; None where it does not hold at all."""
        target = cause.failure.signature
        confirmed = self.prober.verdict(cause.witness, target, Kind.CONFIRM.asks(), fresh=True) is Verdict.FAIL
        if not confirmed and not self.control.holds(cause.witness, cause.failure):
            return None
        if not confirmed and target.kind in FICKLE:
            self._give_up(
                f"{cause.ops[0]} was suspected, but it did not fail so again when asked afresh ({target.kind})"
            )
            return None
        if len(cause.witness.ops) > 1 and (difference := self.prober.errands.differs(cause.witness)):
            self.notes.append(f"the section of {cause.ops[0]} gives other values than the model does ({difference})")
            confirmed = False
        return confirmed
