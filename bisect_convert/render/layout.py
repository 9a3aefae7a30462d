"""Where the boxes of a small DAG go: layers from top to bottom, few crossings, arrows as near to straight as may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

__all__ = ["Layout", "lay_out"]

_SWEEPS = 6
#: How wide a row of parts that do not hang together may be, unless one of them is wider.
_ROW = 540.0


@dataclass(frozen=True)
class Layout:
    """The centre of each box, the points that each arrow passes, and the size of the whole."""

    centres: Mapping[str, tuple[float, float]]
    routes: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    width: float
    height: float


def lay_out(graph: nx.DiGraph[str], widths: Mapping[str, float], *, row: float = 80, gap: float = 28) -> Layout:
    """Return a layout in which boxes of one layer keep `gap` apart, layers lie `row` apart, and arrows point down.

    Arrows that pass through a layer keep clear of its boxes. Parts that do not hang together stand in rows, in their order.
    """
    if not graph:
        return Layout({}, {}, 0, 0)
    place = {node: number for number, node in enumerate(graph)}
    parts = sorted(nx.weakly_connected_components(graph), key=lambda part: min(place[n] for n in part))
    layouts = [
        _one(nx.DiGraph(graph.subgraph(sorted(part, key=place.__getitem__))), widths, row, gap) for part in parts
    ]
    return layouts[0] if len(layouts) == 1 else _in_rows(layouts, row, gap)


def _in_rows(layouts: Sequence[Layout], row: float, gap: float) -> Layout:
    """The layouts side by side, those that have no room any more below the others."""
    widest = max(_ROW, *(part.width for part in layouts))
    x = y = width = height = 0.0
    centres: dict[str, tuple[float, float]] = {}
    routes: dict[tuple[str, str], tuple[tuple[float, float], ...]] = {}
    for part in layouts:
        if x and x + part.width > widest:
            x, y = 0.0, height + row
        centres |= {node: (a + x, b + y) for node, (a, b) in part.centres.items()}
        routes |= {edge: tuple((a + x, b + y) for a, b in points) for edge, points in part.routes.items()}
        width, height = max(width, x + part.width), max(height, y + part.height)
        x += part.width + gap
    return Layout(centres, routes, width, height)


def _one(graph: nx.DiGraph[str], widths: Mapping[str, float], row: float, gap: float) -> Layout:
    """The layout of a graph that hangs together."""
    layers, chains, joints = _layered(graph)
    _uncross(layers, joints)
    sizes = {node: widths.get(node, 8.0) for node in joints}
    xs = _positions(layers, joints, sizes, gap)
    left = min(xs[n] - sizes[n] / 2 for n in xs)
    right = max(xs[n] + sizes[n] / 2 for n in xs)
    at = {node: (xs[node] - left, depth * row) for depth, layer in enumerate(layers) for node in layer}
    routes = {edge: tuple(at[n] for n in chain) for edge, chain in chains.items()}
    return Layout({n: at[n] for n in graph}, routes, right - left, (len(layers) - 1) * row)


def _layered(graph: nx.DiGraph[str]) -> tuple[list[list[str]], dict[tuple[str, str], list[str]], nx.DiGraph[str]]:
    """Return the layers, the chain of nodes and bends that each arrow follows, and the graph of all these."""
    depth = {node: i for i, layer in enumerate(nx.topological_generations(graph)) for node in layer}
    for node in graph:
        if not graph.in_degree(node) and graph.out_degree(node):
            depth[node] = min(depth[after] for after in graph.succ[node]) - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in graph:
        layers[depth[node]].append(node)
    joints: nx.DiGraph[str] = nx.DiGraph()
    joints.add_nodes_from(graph)
    chains = {}
    for a, b in graph.edges:
        bends = [f"bend:{a}:{b}:{level}" for level in range(depth[a] + 1, depth[b])]
        for level, bend in enumerate(bends, depth[a] + 1):
            layers[level].append(bend)
        chains[a, b] = [a, *bends, b]
        nx.add_path(joints, chains[a, b])
    return layers, chains, joints


def _uncross(layers: Sequence[list[str]], joints: nx.DiGraph[str]) -> None:
    """Reorder each layer by the mean place of its neighbours in the layer before, downwards and upwards in turn."""
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = joints.pred if down else joints.succ
        for layer in layers if down else reversed(layers):
            place = {node: i for other in layers for i, node in enumerate(other)}
            mean = {n: sum(place[m] for m in near[n]) / len(near[n]) if near[n] else place[n] for n in layer}
            layer.sort(key=mean.__getitem__)


def _positions(
    layers: Sequence[Sequence[str]], joints: nx.DiGraph[str], sizes: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Return the horizontal centre of each node: as near to its neighbours' mean as its layer's order allows."""
    xs: dict[str, float] = {}
    for layer in layers:
        xs |= _settle(layer, dict.fromkeys(layer, 0.0), sizes, gap)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            wish = {}
            for node in layer:
                near = [xs[m] for m in (joints.pred if sweep % 2 else joints.succ)[node]]
                wish[node] = sum(near) / len(near) if near else xs[node]
            xs |= _settle(layer, wish, sizes, gap)
    return xs


def _settle(
    layer: Sequence[str], wish: Mapping[str, float], sizes: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Return the layer's places: halfway between pushing all to the right and all to the left until none overlap."""
    right: list[float] = []
    for i, node in enumerate(layer):
        room = (sizes[layer[i - 1]] + sizes[node]) / 2 + gap if i else 0.0
        right.append(max(wish[node], right[-1] + room) if i else wish[node])
    left: list[float] = []
    for i, node in reversed(list(enumerate(layer))):
        room = (sizes[layer[i + 1]] + sizes[node]) / 2 + gap if left else 0.0
        left.append(min(wish[node], left[-1] - room) if left else wish[node])
    return {n: (a + b) / 2 for n, a, b in zip(layer, right, reversed(left), strict=False)}
