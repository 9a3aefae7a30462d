"""The levels of a program: its main graph, and the bodies of its loops, conditionals and calls as GraphDefs of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bisect_convert.worker.nodes import ROLES
from bisect_convert.worker.rewrite.editing import imported, opened

__all__ = ["levels"]

Level = tuple[tuple[tuple[str, str], ...], Any, Any]


def levels(program: Any) -> Iterator[Level]:
    """Yield (path, GraphDef, tf.Graph) for each level, bodies before the graph that holds them."""
    if not _known or _known[0] is not program:
        _known[:] = [program, list(_levels((), program))]
    yield from _known[1]


#: The program whose levels were asked for last, and they: each failure of a conversion asks for them again.
_known: list[Any] = []


def _levels(path: tuple[tuple[str, str], ...], level: Any) -> Iterator[Level]:
    graph = imported(level)
    held = {
        function.signature.name for function in level.library.function
    }  # freezing may lose one, which is then a failure
    for op in graph.get_operations():
        for role in ROLES.get(op.type, ()):
            if role != "branches" and op.node_def.attr[role].func.name in held:
                yield from _levels((*path, (op.name, role)), opened(level, op, role))
    yield path, level, graph
