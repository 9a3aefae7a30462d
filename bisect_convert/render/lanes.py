"""A small DAG in a few lines of text, one line a box, drawn as `git log --graph` draws commits but downwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bisect_convert.render.picture import Node, Picture

__all__ = ["lanes"]

_MARKS = {"op": "*", "input": "o", "output": "v", "gap": ":"}


def lanes(picture: Picture) -> list[tuple[str, Node | None]]:
    """Return rows from top to bottom: what to draw in the margin, and the box that stands there, if any.

    A line leads from each box to every box it feeds, and to no other; boxes that stand alone are marked with a dash.
    """
    after: dict[str, list[str]] = {n.key: [] for n in picture.nodes}
    for a, b in picture.edges:
        after[a].append(b)
    joined = {key for edge in picture.edges for key in edge}
    ended = -1
    ways: list[str | None] = []
    rows: list[tuple[str, Node | None]] = []
    for node in picture.nodes:
        mine = [i for i, to in enumerate(ways) if to == node.key]
        if not mine and ended == 0 and not ways and node.key in joined:
            rows.append(("", None))
            ended = -1
        mine = mine or [_free(ways, 0, taken=ended)]
        if len(mine) > 1:
            rows.append((_fan(ways, mine, "/'"), None))
        for i in mine:
            ways[i] = None
        ways[mine[0]] = node.key
        mark = "X" if node.blamed else _MARKS.get(node.kind, "*") if node.key in joined else "-"
        rows.append((_line(ways, mine[0], mark), node))
        ways[mine[0]] = None
        outs = []
        for to in after[node.key]:
            way = mine[0] if ways[mine[0]] is None else _free(ways, mine[0] + 1)
            ways[way] = to
            outs.append(way)
        if len(outs) > 1:
            rows.append((_fan(ways, outs, "\\."), None))
        ended = -1 if outs or node.key not in joined else mine[0]
        while ways and ways[-1] is None:
            ways.pop()
    return rows


def _free(ways: list[str | None], start: int, taken: int = -1) -> int:
    """Return the first unused way from `start` on but `taken`, which then exists."""
    free = start
    while free == taken or (free < len(ways) and ways[free] is not None):
        free += 1
    ways.extend([None] * (free + 1 - len(ways)))
    return free


def _line(ways: Sequence[str | None], at: int, mark: str) -> str:
    return " ".join(mark if i == at else "|" if to is not None else " " for i, to in enumerate(ways)).rstrip()


def _fan(ways: Sequence[str | None], ends: Iterable[int], corners: str) -> str:
    """Return the row in which the ways `ends` leave or meet at the first of them; `corners` are near and far signs."""
    first, *rest = sorted(ends)
    row = list(_line(ways, -1, "").ljust(2 * len(ways)))
    row[2 * first] = "|"
    if rest == [first + 1]:
        row[2 * first + 1], row[2 * first + 2] = corners[0], " "
        return "".join(row).rstrip()
    for column in range(2 * first + 1, 2 * rest[-1]):
        row[column] = "+" if row[column] == "|" else "-"
    for i in rest:
        row[2 * i] = corners[1]
    return "".join(row).rstrip()
