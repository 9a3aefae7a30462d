"""What is left of a model once causes are cut out of it, and what of that cannot be asked about without them."""

from __future__ import annotations

from collections.abc import Callable

from bisect_convert.model.cuts import Section, Unsliceable, feedable, plan
from bisect_convert.model.graph import Graph
from bisect_convert.probe.prober import Prober
from bisect_convert.search import dependents
from bisect_convert.search.descend import Descent
from bisect_convert.search.found import Found

__all__ = ["Remainder"]


class Remainder:
    """The sections that remain; `unprobed`: causes seen to fail behind others only.

    tell: hears what a reader should know; give_up: hears why the search is not complete.
    """

    def __init__(
        self, prober: Prober, descent: Descent, tell: Callable[[str], None], give_up: Callable[[str], None]
    ) -> None:
        self.unprobed: list[Found] = []
        self._prober = prober
        self._model = prober.model
        self._descent = descent
        self._tell = tell
        self._give_up = give_up
        self._bodies: set[Section] = set()

    def of(self, section: Section, cut: frozenset[tuple[str, str]]) -> list[Section]:
        """Return what is still to be converted once causes are cut out: the section without them, the bodies cut with them."""
        graph = self._model.graphs[section.graph]
        here = frozenset(op for name, op in cut if name == section.graph)
        below = frozenset((name, op) for name, op in cut if name != section.graph)
        rest, lost = self.without(section, here, below)
        if below and not self._sliceable(rest):
            here |= {call for call in section.ops if below & set(self._descent.bodies.atoms(section.graph, call))}
            rest, lost = self.without(section, here, frozenset())
        gone = below | {(section.graph, op) for op in here}
        filling = dependents.loops_that_fill(graph, lost, here)
        calls = sorted(g for g in gone | {(graph.name, op) for op in lost} if g not in section.removed)
        bodies = [
            self._body(body, gone | section.removed, filling=at[1] in filling)
            for at in calls
            for _, body in self._model.bodies(*at)
        ]
        self._report_lost(graph, lost - filling)
        fresh = [s for s in dict.fromkeys(bodies) if s.ops and s not in self._bodies]
        self._bodies.update(fresh)
        return [rest, *fresh] if rest.ops else fresh

    def _body(self, body: Graph, gone: frozenset[tuple[str, str]], *, filling: bool) -> Section:
        """What is left of a body whose call is cut out: on its own, without what was cut out of it before.

        filling: the call was not to blame, it went with the reader of a list that it fills.
        """
        left = body.atoms - {op for name, op in gone if name == body.name}
        unfed = dependents.fed_by_none(body, left)
        ops, lost = feedable(body, left - unfed, body.atoms)
        filled = frozenset(n for n in unfed if body.ops[n].type == "TensorListSetItem") if filling else frozenset()
        self._report_lost(body, (lost | unfed) - filled)
        return self._descent.locator.part(Section(body.name, ops, gone), ops)

    def without(
        self, section: Section, here: frozenset[str], below: frozenset[tuple[str, str]]
    ) -> tuple[Section, frozenset[str]]:
        """Return the section without these ops of it and these below, and the ops that are lost with them."""
        graph = self._model.graphs[section.graph]
        ops, lost = feedable(graph, section.ops - here, section.ops)
        return Section(section.graph, ops, section.removed | below), lost

    def _sliceable(self, section: Section) -> bool:
        try:
            return bool(section.ops and plan(self._model, section, self._prober.loaded.files))
        except Unsliceable:
            return False

    def _report_lost(self, graph: Graph, lost: frozenset[str]) -> None:
        """Say which ops cannot be probed without the culprit; one without any conversion is a cause of its own.

        It was seen to fail behind ops that fail too, and that make what it reads and Core ML has no inputs of.
        """
        lost = frozenset(n for n in lost if graph.ops[n].type != "Identity")
        for failing in dependents.behind_others(self._prober, graph, lost):
            culprits = tuple((graph.name, name) for name, _ in failing)
            witness = Section(graph.name, frozenset({failing[0][0]}), handed=True)
            places = tuple((culprit,) for culprit in culprits)
            self.unprobed.append(Found(failing[0][1], culprits, witness, minimal=True, confirmed=True, places=places))
            lost -= {name for name, _ in failing}
        known = frozenset(n for n in lost if graph.ops[n].type in self._prober.loaded.convertible)
        if strings := dependents.string_company(graph, known):
            some = ", ".join(graph.sorted(strings)[:3])
            work = "1 op works" if len(strings) == 1 else f"{len(strings)} ops work"
            self._tell(f"{work} on strings of a culprit, with which they go: {some}")
            lost -= strings
        if lost:
            names = graph.sorted(lost)
            need = "1 op needs" if len(lost) == 1 else f"{len(lost)} ops need"
            self._give_up(f"{need} a tensor of a culprit that cannot be an input: {', '.join(names[:3])}")
