"""A model as a tree of regions: layers by their scopes, bodies below their loops, and what repeats only once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bisect_convert.explain.marked_graphs import Mark, marks, unmarked
from bisect_convert.model.graph import Graph, Model
from bisect_convert.report.findings import Finding
from bisect_convert.report.model_map import Region

__all__ = ["model_map"]

#: How many regions one picture shows before runs of them are drawn as one.
_SHOWN = 24
#: How many neighbours may make up what repeats.
_LONGEST = 6
#: Siblings of this form, where there are several of one number, are parts of a layer of that number.
_NUMBERED, _SEVERAL = re.compile(r"(.+?_\d+)_(.+)"), 3
_WORSE = ("culprit", "witness", "unknown", "converts")


def model_map(model: Model, findings: Sequence[Finding], complete: bool) -> Region:
    """Return the model as one region; complete: what no finding is about was seen to convert."""
    builder = _Builder(model, marks(model, findings), unmarked(complete))
    return replace(builder.level(model.main), title="the model")


@dataclass
class _Scope:
    """A layer while its tree is made: scopes by their names, and the ops that are in it itself."""

    scopes: dict[str, _Scope] = field(default_factory=dict)
    ops: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Builder:
    model: Model
    marks: Mapping[tuple[str, str], Mark]
    plain: str

    def level(self, graph: Graph) -> Region:
        """The ops of one graph, by their layers."""
        root = _Scope()
        for name in graph.order:
            scope = root
            for part in (graph.ops[name].layer or "").split("/") if graph.ops[name].layer else ():
                scope = scope.scopes.setdefault(part, _Scope())
            scope.ops.append(name)
        made = self._region("", "layer", _numbered(root), graph)[0]
        return made if made.inside or not graph.order else _holding("", "layer", [made], ())

    def _region(self, title: str, kind: str, scope: _Scope, graph: Graph) -> tuple[Region, frozenset[str]]:
        """The region of a scope, and the ops that it holds."""
        while not scope.ops and len(scope.scopes) == 1:
            ((name, scope),) = scope.scopes.items()
            title = f"{title}/{name}" if title else name
        made = [self._region(name, "layer", inner, graph) for name, inner in scope.scopes.items()]
        made += [(self._op(graph, name), frozenset({name})) for name in scope.ops]
        made.sort(key=lambda item: min(graph.order[n] for n in item[1]))
        held = {name: place for place, (_, names) in enumerate(made) for name in names}
        edges = {(held[a], held[b]) for a in held for b in graph.dag.successors(a) if b in held and held[a] < held[b]}
        if title and len(made) == 1 and not made[0][0].inside:
            return replace(made[0][0], title=title), made[0][1]
        inside, joined = _folded([region for region, _ in made], edges, self.plain)
        return _holding(title, kind, inside, joined), frozenset(held)

    def _op(self, graph: Graph, name: str) -> Region:
        op = graph.ops[name]
        verdict, numbers = self.marks.get((graph.name, name), (self.plain, ()))
        own = Region(name.rpartition("/")[2], op.type, int(name in graph.atoms), verdict, numbers)
        bodies = [
            replace(self.level(self.model.graphs[body]), title=role, kind="body")
            for role, body in op.functions
            if body in self.model.graphs and self.model.graphs[body].caller == (graph.name, name, role)
        ]
        if not bodies:
            return own
        around = _holding(own.title, own.kind, bodies, ())
        worst = min(own.verdict, around.verdict, key=_WORSE.index)
        both = tuple(dict.fromkeys((*numbers, *around.findings)))
        return replace(around, ops=around.ops + own.ops, verdict=worst, findings=both)


def _holding(title: str, kind: str, inside: Sequence[Region], edges: Sequence[tuple[int, int]]) -> Region:
    verdict = min((r.verdict for r in inside), key=_WORSE.index, default="converts")
    numbers = tuple(sorted({n for r in inside for n in r.findings}))
    count = sum(r.ops * r.times for r in inside)
    return Region(title, kind, count, verdict, numbers, tuple(inside), tuple(edges))


def _numbered(scope: _Scope) -> _Scope:
    """The scope with siblings of one number, `block_1_expand` and `block_1_project`, as the parts of a layer `block_1`."""
    heads = Counter(m[1] for name in scope.scopes if (m := _NUMBERED.fullmatch(name)))
    made = _Scope(ops=scope.ops)
    for name, inner in scope.scopes.items():
        match = _NUMBERED.fullmatch(name)
        if match and heads[match[1]] >= _SEVERAL and len(heads) > 1:
            made.scopes.setdefault(match[1], _Scope()).scopes[match[2]] = inner
        else:
            held = made.scopes.setdefault(name, _Scope())
            held.scopes.update(inner.scopes)
            held.ops += inner.ops
    made.scopes = {name: _numbered(inner) for name, inner in made.scopes.items()}
    return made


def _folded(
    regions: list[Region], edges: set[tuple[int, int]], plain: str
) -> tuple[list[Region], tuple[tuple[int, int], ...]]:
    """The regions with what repeats drawn once and, where they are many, with runs of them as one."""
    for groups in (_repeats, _runs):
        found = groups(regions, plain)
        place = {old: new for new, group in enumerate(found) for old in group.places}
        regions = [group.drawn(regions, edges) for group in found]
        edges = {(place[a], place[b]) for a, b in edges if place[a] < place[b]}
    return regions, tuple(sorted(edges))


@dataclass(frozen=True)
class _Group:
    """Neighbours that are drawn as one; times: of how many repeats of their first ones they consist."""

    places: range
    times: int = 1

    def drawn(self, regions: Sequence[Region], edges: set[tuple[int, int]]) -> Region:
        once = self.places[: len(self.places) // self.times]
        first, last = regions[self.places[0]], regions[self.places[-1]]
        title = f"{_called(first)} to {_called(last)}"
        if len(once) == 1:
            return replace(first, title=title, times=self.times) if self.times > 1 else first
        inner = tuple(sorted((a - once[0], b - once[0]) for a, b in edges if a in once and b in once))
        return replace(_holding(title, "run", [regions[i] for i in once], inner), times=self.times)


def _called(region: Region) -> str:
    return region.title if region.inside else region.kind


def _repeats(regions: Sequence[Region], plain: str) -> list[_Group]:
    """Neighbours, or sequences of a few, that are the same but for their names, and in which nothing was found."""
    forms = [_form(r) if r.verdict == plain and not r.findings else (place,) for place, r in enumerate(regions)]
    groups: list[_Group] = []
    place = 0
    while place < len(regions):
        times, period = max((_times(forms, place, p), -p) for p in range(1, _LONGEST + 1))
        if times > 1 and any(regions[i].inside for i in range(place, place - period)):
            groups.append(_Group(range(place, place - period * times), times))
        else:
            groups.append(_Group(range(place, place + 1)))
        place = groups[-1].places[-1] + 1
    return groups


def _times(forms: Sequence[object], place: int, period: int) -> int:
    """How often the forms from that place on repeat with the period."""
    times = 1
    while forms[place : place + period] == forms[place + times * period : place + (times + 1) * period] != []:
        times += 1
    return times


def _form(region: Region) -> tuple[object, ...]:
    kind = region.kind if not region.inside else "layer"
    return (kind, region.ops, region.times, region.edges, tuple(map(_form, region.inside)))


def _runs(regions: Sequence[Region], plain: str) -> list[_Group]:
    """Runs in which nothing was found, as long as it takes for one picture to show all; else each by itself."""
    longest = 1 if len(regions) <= _SHOWN else -(-len(regions) // _SHOWN) + 1
    groups: list[_Group] = []
    for place, region in enumerate(regions):
        calm = region.verdict == plain and not region.findings
        before = groups[-1].places if groups else range(0)
        if calm and 0 < len(before) < longest and regions[before[-1]].verdict == plain:
            groups[-1] = _Group(range(before[0], place + 1))
        else:
            groups.append(_Group(range(place, place + 1)))
    return groups
