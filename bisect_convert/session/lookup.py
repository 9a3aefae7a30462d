"""Finding ops in a session by what people type: globs, names, parts of names, layers, types."""

from __future__ import annotations

import fnmatch
from collections import Counter

from bisect_convert.model.graph import Graph
from bisect_convert.session.section import Section
from bisect_convert.session.workspace import Workspace, like, near

__all__ = ["Layers", "Lookup"]


class Layers(dict[str, Section]):
    """The ops of each layer, by its name; printed it is a table."""

    def __repr__(self) -> str:
        width = max((len(name) for name in self), default=0)
        rows = []
        for name, section in self.items():
            kinds = Counter(section._graph.ops[op].type for op in section)
            told = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.most_common(4))
            rows.append(f"{name:{width}}  {len(section):4}  {told}{', ...' * (len(kinds) > 4)}")
        return "\n".join(rows) or "no op belongs to a layer"


class Lookup:
    """The part of a session that finds ops."""

    _workspace: Workspace

    def ops(self, pattern: str = "*", *, type: str = "*", graph: str = "") -> Section:
        """Return the section of all ops whose name and type match these globs; constants go with their consumers.

        A pattern that is no glob and no op's name is looked for in names, layers and types; where nothing is like it, the
        section is empty and says what comes near.

        >>> s.ops("dense/*")
        <Section: 2 of 7 ops, dense/MatMul, dense/Relu>
        >>> s.ops(type="Erf*"), s.ops("erfc")
        (<Section: 1 of 7 ops, act/Erfc>, <Section: 1 of 7 ops, act/Erfc>)
        >>> s.ops("dens/MatMull")
        <Section: 0 of 7 ops; near: dense/MatMul, ...>
        """
        home = self._workspace.graph(graph)
        named = self._matching(pattern, graph).ops or like(home, pattern)
        found = frozenset(n for n in named if fnmatch.fnmatchcase(home.ops[n].type, type))
        return Section(self._workspace, found, graph, near=() if found else near(pattern, home.sorted(home.atoms)))

    def _matching(self, pattern: str, graph: str = "") -> Section:
        """The ops whose names match this glob."""
        atoms = self._workspace.graph(graph).atoms
        return Section(self._workspace, frozenset(n for n in atoms if fnmatch.fnmatchcase(n, pattern)), graph)

    def layers(self, graph: str = "") -> Layers:
        """Return the ops of each layer, in the order of the graph; what belongs to no layer is left out.

        >>> list(s.layers())
        ['dense', 'act', ...]
        """
        home = self._workspace.graph(graph)
        return Layers({name: Section(self._workspace, ops, graph) for name, ops in _by_layer(home).items()})


def _by_layer(graph: Graph) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for op in graph.sorted(graph.atoms):
        layer = graph.ops[op].layer
        if layer is not None:
            found.setdefault(layer, set()).add(op)
    return {name: frozenset(ops) for name, ops in found.items()}
