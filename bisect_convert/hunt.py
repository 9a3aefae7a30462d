"""The hunt: control, locate, shrink, descend, confirm, cut out, and again until the rest converts.

It joins the pure searches (`search`) with the graph (`graph`) through the one door to the converter (`prober`). A hint
orders the questions and never convicts: whatever is blamed has been seen to fail on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bisect_convert.bodies import Bodies
from bisect_convert.graph import Graph
from bisect_convert.prober import Prober
from bisect_convert.ranks import rank_regions
from bisect_convert.search import first_failing, minimise
from bisect_convert.slicer import Section, Unsliceable, canonical, plan, whole
from bisect_convert.verdict import ARGUMENTS, Failure, Outcome, Signature, Stage, Verdict

__all__ = ["Found", "Hunt"]

_RADII = (0, 1, 2)
_HANDLES = frozenset({"string", "resource", "variant"})
_MOST_CULPRITS = 4
#: Arguments of `ct.convert` that hold for the whole model alone, and all that it checks by themselves.
_ONLY_WHOLE = ("classifier_config", "outputs")
_CHECKED = (
    "inputs", *_ONLY_WHOLE, "compute_precision", "minimum_deployment_target", "convert_to", "pass_pipeline",
)  # fmt: skip
_MOST_QUESTIONS = 150


@dataclass(frozen=True)
class Found:
    """One cause: its culprits as (graph, op), the witness that shows it, and what must go for the rest to be probed."""

    failure: Failure
    culprits: tuple[tuple[str, str], ...]
    witness: Section
    minimal: bool
    confirmed: bool
    interaction: bool = False
    cut: frozenset[tuple[str, str]] = frozenset()
    argument: str | None = None

    @property
    def gone(self) -> frozenset[tuple[str, str]]:
        """The ops to cut out with this cause."""
        return self.cut or frozenset(self.culprits)


@dataclass(frozen=True)
class _Cause:
    """What a search in one graph ended with: the ops to blame there and the section that shows it."""

    graph: str
    ops: tuple[str, ...]
    witness: Section
    minimal: bool
    failure: Failure
    cut: frozenset[tuple[str, str]] = frozenset()


class Hunt:
    """One run over a model; iterate `causes()`, then read `complete` and `notes`."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.model = prober.model
        self.complete = False
        self.notes: list[str] = []
        self._bodies = Bodies(self.model)
        self._unprobed: list[Found] = []

    def causes(self) -> Iterator[Found]:
        """Yield each cause until what is left of the model, and of each body that had to be cut out, converts."""
        todo = [whole(self.model)]
        self.complete = True
        while todo:
            section = todo.pop(0)
            outcome = self.prober.outcome(section, "the whole model" if section == whole(self.model) else "the rest")
            if outcome.unresolved is not None:
                self._give_up(f"what is left could not be probed: {outcome.unresolved}")
            elif outcome.failure is not None:
                found = self._cause(section, outcome.failure)
                if found is None:
                    self._give_up(f"no section fails as the whole does ({outcome.failure.type})")
                    continue
                yield found
                if found.argument is None:
                    todo = self._rest(section, found) + todo
                    yield from self._unprobed
                    self._unprobed.clear()
                else:
                    self.prober.without(found.argument)
                    todo.insert(0, section)

    def causes_with_weights(self) -> Iterator[Found]:
        """Yield the failure, if any, of the whole model with its true weights where it converts with repeated values."""
        outcome = self.prober.outcome(whole(self.model), "the whole model with its true weights", fresh=True)
        if outcome.failure is not None:
            self._give_up("it fails only with its true weights, for which no smaller section was searched")
            yield Found(outcome.failure, (), whole(self.model), minimal=False, confirmed=True)

    def _give_up(self, reason: str) -> None:
        self.complete = False
        self.notes.append(reason)

    def _rest(self, section: Section, found: Found) -> list[Section]:
        """What is still to be converted once the cause is cut out: the section without it, and the bodies cut with it."""
        graph = self.model.graphs[section.graph]
        here = frozenset(op for name, op in found.gone if name == section.graph)
        below = frozenset((name, op) for name, op in found.gone if name != section.graph)
        rest, lost = self._without(section, here, below)
        if below and not self._sliceable(rest):
            here |= {call for call in section.ops if below & set(self._bodies.atoms(section.graph, call))}
            rest, lost = self._without(section, here, frozenset())
        gone = below | {(section.graph, op) for op in here}
        bodies = [
            Section(body.name, ops)
            for name, op in sorted(gone)
            for _, body in self.model.bodies(name, op)
            if (ops := body.atoms - {o for g, o in gone if g == body.name})
        ]
        self._report_lost(graph, lost)
        return [s for s in [rest, *bodies] if s.ops]

    def _without(
        self, section: Section, here: frozenset[str], below: frozenset[tuple[str, str]]
    ) -> tuple[Section, frozenset[str]]:
        graph = self.model.graphs[section.graph]
        ops, lost = _feedable(graph, section.ops - here, section.ops)
        return Section(section.graph, ops, section.removed | below), lost

    def _sliceable(self, section: Section) -> bool:
        try:
            return bool(section.ops and plan(self.model, section, self.prober.loaded.files))
        except Unsliceable:
            return False

    def _report_lost(self, graph: Graph, lost: frozenset[str]) -> None:
        """Say which ops cannot be probed without the culprit; one that has no conversion at all is a cause of its own."""
        lost = frozenset(n for n in lost if graph.ops[n].type != "Identity")
        if not lost:
            return
        self._give_up(f"{len(lost)} ops need a tensor of a culprit that cannot be an input: {', '.join(graph.sorted(lost)[:3])}")
        unfed = {n for n in lost if any(graph.tensors[t].dtype in _HANDLES for t in graph.ops[n].inputs)}
        for kind in sorted({graph.ops[n].type for n in unfed} - self.prober.loaded.convertible):
            names = graph.sorted(n for n in unfed if graph.ops[n].type == kind)
            message = f"Conversion for TF op '{kind}' not implemented."
            signature = Signature(Stage.LOWERING, None, "NotImplementedError", message, (kind,))
            failure = Failure(signature, "NotImplementedError", message)
            culprits = tuple((graph.name, n) for n in names)
            self._unprobed.append(Found(failure, culprits, Section(graph.name, frozenset(names[:1])), False, False))

    # --- one cause ---------------------------------------------------------------------------------------------------

    def _cause(self, section: Section, failure: Failure) -> Found | None:
        if (argument := self._argument(section, failure)) is not None:
            return Found(failure, (), section, False, True, argument=argument)
        cause = self._search(section, failure)
        if cause is None or len(cause.ops) > _MOST_CULPRITS:
            return None
        if (argument := self._given_input(cause)) is not None:
            return Found(failure, (), cause.witness, cause.minimal, True, argument=argument)
        target = cause.failure.signature
        confirmed = self.prober.verdict(cause.witness, target, "confirm", fresh=True) is Verdict.FAIL
        culprits = [(cause.graph, op) for op in cause.ops]
        if readers := self._table_readers(cause):
            cut = frozenset([*culprits, *readers])
            return Found(failure, readers, cause.witness, cause.minimal, confirmed, cut=cut)
        if len(culprits) == 1:
            culprits += [(cause.graph, op) for op in self._instances(cause, section)]
        return Found(
            replace(failure, signature=failure.signature), tuple(culprits), cause.witness, cause.minimal, confirmed,
            interaction=len(cause.ops) > 1, cut=cause.cut,
        )  # fmt: skip

    def _argument(self, section: Section, failure: Failure) -> str | None:
        """The argument of the call that is at fault where the whole fails only because of it."""
        if section != whole(self.model):
            return None
        suspects = _CHECKED if failure.signature.pass_name == ARGUMENTS else _ONLY_WHOLE
        for name in suspects:
            if name in self.prober.options:
                options = {k: v for k, v in self.prober.options.items() if k != name}
                outcome = self.prober.outcome(section, f"without {name}", options=options)
                if outcome.converted or _later(outcome, failure):
                    return name
        return None

    def _given_input(self, cause: _Cause) -> str | None:
        """The argument `inputs` where what fails is an input as the caller described it, and not as the model has it."""
        graph = self.model.graphs[cause.graph]
        if cause.graph or "inputs" not in self.prober.options or len(cause.ops) != 1:
            return None
        if not graph.ops[cause.ops[0]].type.startswith("Placeholder"):
            return None
        options = {k: v for k, v in self.prober.options.items() if k != "inputs"}
        outcome = self.prober.outcome(whole(self.model), "without inputs", options=options)
        return "inputs" if outcome.converted or _later(outcome, cause.failure) else None

    def _table_readers(self, cause: _Cause) -> tuple[tuple[str, str], ...]:
        """What reads a captured table or variable, where that is what fails: its input is no op of the user's."""
        graph = self.model.graphs[cause.graph]
        (first, *others) = cause.ops
        captured = not others and graph.ops[first].type == "Placeholder" and graph.ops[first].outputs[0].dtype == "resource"
        return tuple((cause.graph, n) for n in graph.sorted(graph.dag.successors(first))) if captured else ()

    def _instances(self, cause: _Cause, section: Section) -> list[str]:
        """Other ops of the same type that fail alone in the same way; of one form only the first is asked about."""
        graph = self.model.graphs[cause.graph]
        (first,) = cause.ops
        kind, target = graph.ops[first].type, cause.failure.signature
        removed = {op for name, op in section.removed if name == cause.graph}
        pool = section.ops if section.graph == cause.graph else graph.atoms - removed
        unknown = kind not in self.prober.loaded.convertible
        form = canonical(graph, first)
        found = []
        for name in graph.sorted(pool - {first}):
            if graph.ops[name].type != kind or not (unknown or canonical(graph, name) == form):
                continue
            closed = graph.close({name})
            if self.prober.verdict(Section(cause.graph, closed), target, "another instance") is Verdict.FAIL:
                found.append(name)
        return found

    # --- search in one graph -----------------------------------------------------------------------------------------

    def _search(self, section: Section, failure: Failure) -> _Cause | None:
        deep = self._deepest(section, failure)
        if deep is not None:
            return deep
        target = failure.signature
        if target.pass_name == "program check" and "rank" in target.message:
            region = rank_regions(self.model.graphs[section.graph], section, self._ask(section, target))
            if region is not None:
                return _Cause(section.graph, region.culprits, region.witness, region.minimal, failure, region.cut)
        witness = self._locate(section, failure)
        if witness is None:
            return None
        cause = self._shrink(witness, failure, section)
        return self._descend(cause)

    def _ask(self, section: Section, target: Signature):  # type: ignore[no-untyped-def]
        graph = self.model.graphs[section.graph]

        def ask(ops: frozenset[str], question: str) -> tuple[Section, Verdict]:
            closed = graph.close(ops & section.ops, graph.atoms - section.ops)
            part = self._part(section, closed)
            return part, self.prober.verdict(part, target, question)

        return ask

    def _part(self, section: Section, ops: frozenset[str]) -> Section:
        """The section of these ops, with what is taken out of the bodies below them, and nothing else."""
        below = {body.name for op in ops for body in self.model.below(section.graph, op)}
        return Section(section.graph, ops, frozenset(r for r in section.removed if r[0] in below))

    def _locate(self, section: Section, failure: Failure) -> Section | None:
        """A failing section: around what the converter hints at, else by bisection."""
        graph = self.model.graphs[section.graph]
        ask = self._ask(section, failure.signature)
        for hint in self._hints(section, failure):
            before: frozenset[str] = frozenset()
            for radius in _RADII:
                ops = graph.upstream({hint}, radius) & section.ops
                if ops == before:
                    break
                before = ops
                part, verdict = ask(ops, f"{hint} and {radius} steps upstream" if radius else f"{hint} alone")
                if verdict is Verdict.FAIL:
                    return part
        return self._bisect(section, failure.signature)

    def _hints(self, section: Section, failure: Failure) -> list[str]:
        named = [frame.name for frame in failure.hint[:1] if frame.name in section.ops]
        if named or failure.signature.stage is Stage.LOWERING:
            return named
        text = failure.message.replace("/", "_")
        mentioned = [n for n in section.ops if len(n) > 3 and n.replace("/", "_") in text]
        return sorted(mentioned, key=lambda n: (-len(n), n))[:1]

    def _bisect(self, section: Section, target: Signature) -> Section | None:
        """Bisect the prefixes for the last op that is needed, then what is upstream of it for the first."""
        graph = self.model.graphs[section.graph]
        ask = self._ask(section, target)
        chain = graph.prefixes(section.ops)
        flip = first_failing(len(chain), lambda i: ask(chain[i], f"the first {i} ops")[1])
        last = chain[flip.bad] - chain[flip.good]
        upstream = graph.upstream(last, len(section.ops)) & chain[flip.bad]
        for radius in _RADII:
            ops = graph.upstream(last, radius) & chain[flip.bad]
            part, verdict = ask(ops, f"the last of them and {radius} steps upstream")
            if verdict is Verdict.FAIL:
                return part
            if ops == upstream:
                break
        order = graph.sorted(upstream)
        if ask(upstream, "all that is upstream of it")[1] is not Verdict.FAIL:
            order = graph.sorted(chain[flip.bad])
        suffix = first_failing(
            len(order) + 1, lambda i: ask(frozenset(order[len(order) - i :]), f"the last {i} of these ops")[1]
        )
        part, verdict = ask(frozenset(order[len(order) - suffix.bad :]), "the section between them")
        return part if verdict is Verdict.FAIL else None

    def _shrink(self, witness: Section, failure: Failure, within: Section) -> _Cause:
        graph = self.model.graphs[witness.graph]
        target = failure.signature
        ask = self._ask(witness, target)
        smallest = minimise(
            self._units(graph, witness, failure),
            lambda ops: ask(frozenset(ops), "without some of it")[1],
            _MOST_QUESTIONS,
        )
        ops = self._last_consumer(graph, smallest.needed or smallest.items[-1:], within, target)
        items = smallest.items if ops == smallest.needed else ops
        part = self._part(within, graph.close(items, graph.atoms - within.ops))
        minimal = smallest.minimal
        riders = graph.sorted(part.ops - set(items))
        if riders:
            kept = minimise(
                riders,
                lambda some: self.prober.verdict(
                    self._part(witness, frozenset(items) | set(some)), target, "without what rides along"
                ),
                _MOST_QUESTIONS,
            )
            part = self._part(witness, frozenset(items) | set(kept.items))
            alone = self._part(witness, frozenset(items))
            if self.prober.verdict(alone, target, "without all that rides along") is Verdict.FAIL:
                part = alone
            minimal = minimal and kept.minimal
        outcome = self.prober.outcome(part, "the witness", frontend=target.stage <= Stage.LOWERING)
        ops = (*ops, *self._named(part, ops, target))
        return _Cause(witness.graph, ops, part, minimal, outcome.failure or failure)

    def _named(self, part: Section, ops: tuple[str, ...], target: Signature) -> list[str]:
        """The ops outside whose names alone make the section fail: a graph pass may take a name for another's prefix."""
        graph = self.model.graphs[part.graph]
        if target.stage is not Stage.GRAPH_PASS or len(ops) < 2 or not any(graph.ops[n].functions for n in ops):
            return []
        found = []
        for name in dict.fromkeys(t.op for t in graph.entering(part.ops)):
            other = Section(part.graph, part.ops, part.removed, frozenset({name}))
            if self.prober.verdict(other, target, f"with another name for {name}") is Verdict.PASS:
                found.append(name)
        return found

    @staticmethod
    def _units(graph: Graph, witness: Section, failure: Failure) -> list[str]:
        """One op for each group of the witness that only goes together: the one hinted at, or a call, or the last."""
        hinted = {frame.name for frame in failure.hint}
        groups: dict[frozenset[str], str] = {}
        for name in graph.sorted(witness.ops):
            group = graph.close({name}, graph.atoms - witness.ops)
            best = groups.get(group)
            weight = (name in hinted, bool(graph.ops[name].functions))
            if best is None or weight >= (best in hinted, bool(graph.ops[best].functions)):
                groups[group] = name
        return graph.sorted(groups.values())

    def _last_consumer(self, graph: Graph, ops: tuple[str, ...], within: Section, target: Signature) -> tuple[str, ...]:
        """Where a call fails with any of those that read it, name the last of them: up to there it would convert."""
        if len(ops) != 2 or not graph.ops[ops[0]].functions or ops[1] not in graph.dag.successors(ops[0]):
            return ops
        last = graph.sorted(set(graph.dag.successors(ops[0])) & within.ops)[-1]
        if last == ops[1]:
            return ops
        _, verdict = self._ask(within, target)(frozenset({ops[0], last}), "with its last consumer")
        return (ops[0], last) if verdict is Verdict.FAIL else ops

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _deepest(self, section: Section, failure: Failure) -> _Cause | None:
        """Where the traceback leads into a body: the op there, alone, or else with its construct around it."""
        if len(failure.hint) < 2 or failure.hint[0].name not in section.ops:
            return None
        place = self._bodies.follow(section.graph, failure.hint)
        if place is None or place in section.removed:
            return None
        body, op = self.model.graphs[place[0]], place[1]
        target = failure.signature.inside(len(failure.hint) - 1)
        alone = Section(body.name, body.close({op}, frozenset(o for g, o in section.removed if g == body.name)))
        if self.prober.verdict(alone, target, f"{op} alone") is Verdict.FAIL:
            outcome = self.prober.outcome(alone, "the witness", frontend=True)
            return _Cause(body.name, (op,), alone, len(alone.ops) == 1, outcome.failure or failure)
        call = failure.hint[0].name
        graph = self.model.graphs[section.graph]
        construct = self._part(section, graph.close({call}, graph.atoms - section.ops))
        around = self._in_place(construct, frozenset({place}))
        if self.prober.verdict(around, failure.signature, f"{op} in its {call}") is not Verdict.FAIL:
            return None
        return _Cause(body.name, (op,), around, True, failure)

    def _in_place(self, construct: Section, kept: frozenset[tuple[str, str]]) -> Section:
        removed = self._bodies.removed_but(construct.graph, construct.ops, kept)
        return Section(construct.graph, construct.ops, construct.removed | removed)

    def _descend(self, cause: _Cause) -> _Cause:
        """Where the culprit is a call: the op inside that fails in its body, or that the construct needs to fail."""
        graph = self.model.graphs[cause.graph]
        if len(cause.ops) != 1 or graph.ops[cause.ops[0]].type not in self.prober.loaded.convertible:
            return cause
        (call,) = cause.ops
        inner = cause.failure.signature.inside()
        for role, body in self.model.bodies(cause.graph, call):
            gone = frozenset(op for name, op in cause.witness.removed if name == body.name)
            ops = body.atoms - gone
            if not ops:
                continue
            part = Section(body.name, ops, frozenset(r for r in cause.witness.removed if r[0] != body.name))
            if self.prober.verdict(part, inner, f"the {role} of {call}") is Verdict.FAIL:
                outcome = self.prober.outcome(part, "the body", frontend=inner.stage <= Stage.LOWERING)
                assert outcome.failure is not None
                return self._search(part, outcome.failure) or cause
        return self._shrink_in_place(cause, call)

    def _shrink_in_place(self, cause: _Cause, call: str) -> _Cause:
        """Take ops out of the bodies while the construct still fails alike; what cannot be taken out is to blame."""
        target = cause.failure.signature
        atoms = [a for a in self._bodies.atoms(cause.graph, call) if a not in cause.witness.removed]
        if not atoms:
            return cause

        def ask(kept: tuple[tuple[str, str], ...]) -> Verdict:
            part = self._in_place(cause.witness, frozenset(kept))
            return self.prober.verdict(part, target, f"{call} with {len(kept)} ops of its bodies")

        if ask(()) is Verdict.FAIL:
            return replace(cause, witness=self._in_place(cause.witness, frozenset()))
        for suspect in [(g, op) for g, op in atoms if self.model.graphs[g].ops[op].functions][:3]:
            if ask((suspect,)) is Verdict.FAIL:
                part = self._in_place(cause.witness, frozenset({suspect}))
                return replace(cause, graph=suspect[0], ops=(suspect[1],), witness=part)
        flip = first_failing(len(atoms) + 1, lambda i: ask(tuple(atoms[:i])))
        last = atoms[flip.bad - 1 : flip.bad]
        if ask(tuple(last)) is Verdict.FAIL:
            kept = blamed = tuple(last)
        else:
            smallest = self._between(atoms[: flip.bad], ask)
            kept, blamed = smallest.items, smallest.needed
        part = self._in_place(cause.witness, frozenset(kept))
        blamed = tuple(k for k in blamed if self.model.graphs[k[0]].ops[k[1]].type != "Identity") or blamed
        if len({g for g, _ in blamed}) != 1 or len(blamed) > _MOST_CULPRITS:
            return replace(cause, witness=part)
        return replace(cause, graph=blamed[0][0], ops=tuple(op for _, op in blamed), witness=part)

    @staticmethod
    def _between(atoms, ask):  # type: ignore[no-untyped-def]
        suffix = first_failing(len(atoms) + 1, lambda i: ask(tuple(atoms[len(atoms) - i :])))
        return minimise(atoms[len(atoms) - suffix.bad :], ask, _MOST_QUESTIONS)


def _later(outcome: Outcome, failure: Failure) -> bool:
    """True where the outcome is a failure that shows only once the other one is gone."""
    if outcome.failure is None:
        return False
    was, now = failure.signature, outcome.failure.signature
    return now.stage > was.stage or (was.pass_name == ARGUMENTS != now.pass_name)


def _feedable(graph: Graph, ops: frozenset[str], before: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Split the ops into those that can be converted without what was cut out, and those that cannot be fed."""
    lost: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name in graph.sorted(ops - lost):
            reads = [t for t in graph.entering(frozenset({name})) if t.op in before and t.op not in ops - lost]
            unfed = any(not t.severable for t in reads)
            makes = any(t.dtype == "variant" for t in graph.ops[name].outputs)
            sinks = set(graph.dag.successors(name)) & before
            if unfed or (makes and sinks and not sinks & (ops - lost)):
                lost.add(name)
                changed = True
    return ops - lost, frozenset(lost)
