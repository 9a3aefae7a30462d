"""What is to be drawn, before it is known how: the boxes and arrows of a witness, and of the arms around a culprit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from bisect_convert.render.names import spell
from bisect_convert.report.findings import Body, Context, Culprit, Neighbour, TensorFact, Witness

__all__ = ["Node", "Picture", "of_arms", "of_bodies", "of_witness"]


@dataclass(frozen=True)
class Node:
    """One box: `kind` is op, input, output or gap; `name` is whole and untrusted; `blamed` holds for culprits.

    link: an anchor of the page that it leads to, or ""; verdict: what the box's colour says beside the blame, or "".
    """

    key: str
    kind: str
    title: str
    name: str
    blamed: bool = False
    mark: str = ""
    link: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Picture:
    """A small DAG, nodes in topological order; `left_out` ops and tensors were too many to draw."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    left_out: int = 0

    @property
    def graph(self) -> nx.DiGraph[str]:
        """The picture as a networkx graph of keys."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(n.key for n in self.nodes)
        graph.add_edges_from(self.edges)
        return graph


def of_witness(
    witness: Witness, culprits: Sequence[Culprit], *, limit: int = 60, holding: Collection[str] = ()
) -> Picture:
    """Return at most `limit` ops of the witness, those nearest to the culprits, with the tensors that enter and leave.

    `holding` names the ops with a culprit in a body below them.
    """
    inside = {op for body in witness.bodies for op in body.ops}
    ops = [op for op in dict.fromkeys(witness.ops) if op not in inside] or list(dict.fromkeys(witness.ops))
    blamed = {c.name for c in culprits}
    kinds = dict(zip(reversed(witness.ops), reversed(witness.types), strict=False)) | {c.name: c.op for c in culprits}
    inner = _acyclic(ops, witness.edges)
    shown = _nearest(inner, [op for op in ops if op in blamed or op in holding], limit)
    entering, arrows = _entering(witness, culprits, inner)
    drawn_in = [t for t in entering if not arrows[t.tensor] or arrows[t.tensor] & shown][:limit]
    nodes = [Node("in:" + t.tensor, "input", spell(t), t.tensor) for t in drawn_in]
    nodes += [_op(op, kinds.get(op, "op"), blamed, holding) for op in ops if op in shown]
    edges = [("op:" + a, "op:" + b) for a, b in inner.edges if a in shown and b in shown]
    edges += [("in:" + t.tensor, "op:" + op) for t in drawn_in for op in ops if op in arrows[t.tensor] & shown]
    leaving = [t for t in witness.outputs if _maker(t.tensor, inner) in shown][:limit]
    nodes += [Node("out:" + t.tensor, "output", spell(t), t.tensor) for t in leaving]
    edges += [(f"op:{_maker(t.tensor, inner)}", "out:" + t.tensor) for t in leaving]
    left_out = len(inner) - len(shown) + len(entering) - len(drawn_in)
    return Picture(_ordered(nodes, edges), tuple(dict.fromkeys(edges)), left_out)


def of_bodies(
    witness: Witness, culprits: Sequence[Culprit], *, limit: int = 20, holding: Collection[str] = ()
) -> list[tuple[Body, Picture]]:
    """Return what is left of each body below the witness's calls, as a picture: those with a culprit first."""
    kinds = dict(zip(reversed(witness.ops), reversed(witness.types), strict=False)) | {c.name: c.op for c in culprits}
    blamed = {c.name for c in culprits}
    found = []
    for body in sorted(witness.bodies, key=lambda b: not blamed & set(b.ops)):
        inner = _acyclic(body.ops, body.edges)
        shown = _nearest(inner, [op for op in body.ops if op in blamed or op in holding], limit)
        nodes = [_op(op, kinds.get(op, "op"), blamed, holding) for op in body.ops if op in shown]
        edges = [("op:" + a, "op:" + b) for a, b in inner.edges if a in shown and b in shown]
        found.append((body, Picture(_ordered(nodes, edges), tuple(edges), len(inner) - len(shown))))
    return found


def of_arms(context: Context, culprits: Sequence[Culprit], *, limit: int = 6) -> Picture | None:
    """Return fork, arms and join as chains of at most about `limit` ops each; without arms the ops before and behind.

    None where the report tells neither.
    """
    if context.fork is None or context.join is None or not context.arms:
        return _of_neighbours(context, {c.name for c in culprits})
    blamed = {c.name for c in culprits}
    kinds = {n.name: _typed(n) for n in context.near}
    kinds |= {c.name: c.op for c in culprits if c.name not in kinds}
    fork, join = "op:fork", "op:join"
    nodes = [_end(fork, "fork", context.fork, kinds, blamed)]
    edges = []
    for number, arm in enumerate(context.arms):
        keys = [fork]
        for index, item in enumerate(_abridged(arm, blamed, limit)):
            keys.append(f"arm:{number}:{index}")
            nodes.append(_arm_node(keys[-1], item, kinds, blamed))
        edges += list(zip(keys, [*keys[1:], join], strict=False))
    nodes.append(_end(join, "join", context.join, kinds, blamed))
    return Picture(tuple(nodes), tuple(edges))


def _of_neighbours(context: Context, blamed: Collection[str]) -> Picture | None:
    """What is before and behind a culprit that stands in no arm."""
    shown = {n.name for n in context.near}
    if not shown - set(blamed):
        return None
    nodes = [
        Node("op:" + n.name, "op", _typed(n), n.name, n.name in blamed, "culprit" * (n.name in blamed))
        for n in context.near
    ]
    edges = [("op:" + n.name, "op:" + to) for n in context.near for to in n.feeds if to in shown]
    return Picture(_ordered(nodes, edges), tuple(edges))


def _typed(near: Neighbour) -> str:
    """The op's type, and the shape of what it makes."""
    return near.op if near.makes is None else f"{near.op}  {spell(near.makes).removeprefix(near.makes.dtype).strip()}"


def _end(key: str, role: str, name: str, kinds: Mapping[str, str], blamed: Collection[str]) -> Node:
    return Node(key, "op", f"{role}: {kinds[name]}" if name in kinds else role, name, name in blamed)


def _arm_node(key: str, item: str | int, kinds: Mapping[str, str], blamed: Collection[str]) -> Node:
    if isinstance(item, int):
        return Node(key, "gap", f"{item} op{'s' * (item != 1)}" if item else "no op", "")
    return Node(key, "op", kinds.get(item, ""), item, item in blamed)


def _abridged(arm: Sequence[str], keep: Collection[str], limit: int) -> list[str | int]:
    """Return the arm's ops with runs that matter least given as their number; an empty arm is the run 0."""
    if not arm:
        return [0]
    if len(arm) <= limit:
        return list(arm)
    blamed = [i for i, op in enumerate(arm) if op in keep][: limit - 2]
    wanted = {0, len(arm) - 1, *blamed}
    for i in blamed:
        wanted |= {max(i - 1, 0), min(i + 1, len(arm) - 1)} if len(wanted) < limit else set()
    row: list[str | int] = []
    run = 0
    for i, op in enumerate(arm):
        if i in wanted:
            row += [run, op] if run else [op]
            run = 0
        else:
            run += 1
    return row


def _op(name: str, kind: str, blamed: Collection[str], holding: Collection[str]) -> Node:
    mark = "culprit" if name in blamed else "culprit inside" if name in holding else ""
    return Node("op:" + name, "op", kind, name, bool(mark), mark)


def _acyclic(ops: Iterable[str], edges: Iterable[tuple[str, str]]) -> nx.DiGraph[str]:
    """Return the graph of the ops without foreign edges and, should it hold a cycle, without those going backwards."""
    place = {op: i for i, op in enumerate(ops)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((a, b) for a, b in edges if a in place and b in place and a != b)
    if not nx.is_directed_acyclic_graph(graph):
        graph.remove_edges_from([(a, b) for a, b in graph.edges if place[a] > place[b]])
    return graph


def _nearest(graph: nx.DiGraph[str], centre: Sequence[str], limit: int) -> set[str]:
    """Return at most `limit` ops, by distance from the centre; without a centre the last ones."""
    if len(graph) <= limit:
        return set(graph)
    centre = centre or list(graph)[-1:]
    shown = dict.fromkeys(centre[:limit])
    for op in shown.copy():
        for near in nx.bfs_tree(graph.to_undirected(as_view=True), op):
            if len(shown) >= limit:
                break
            shown[near] = None
    return set(shown)


def _entering(
    witness: Witness, culprits: Sequence[Culprit], graph: nx.DiGraph[str]
) -> tuple[list[TensorFact], dict[str, set[str]]]:
    """Return the entering tensors and, as far as the report tells, the ops that each goes to."""
    entering = list({t.tensor: t for t in witness.inputs}.values())
    goes: dict[str, set[str]] = {t.tensor: set() for t in entering}
    for culprit in culprits:
        for tensor in culprit.inputs:
            if tensor.tensor in goes and culprit.name in graph:
                goes[tensor.tensor].add(culprit.name)
    for source, target in witness.edges:
        if source not in graph and target in graph:
            for name, ops in goes.items():
                if _base(name) == _base(source):
                    ops.add(target)
    fed = set().union(*goes.values()) if goes else set()
    hungry = [op for op in graph if not graph.pred[op] and op not in fed]
    loose = [name for name, ops in goes.items() if not ops]
    if len(hungry) == 1 and (len(loose) == 1 or len(graph) == 1):
        for name in loose:
            goes[name].add(hungry[0])
    return entering, goes


def _base(tensor: str) -> str:
    head, colon, index = tensor.rpartition(":")
    return head if colon and index.isdigit() else tensor


def _maker(tensor: str, graph: nx.DiGraph[str]) -> str | None:
    return tensor if tensor in graph else _base(tensor) if _base(tensor) in graph else None


def _ordered(nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> tuple[Node, ...]:
    """Return the nodes so that each follows what feeds it, and a chain stays together."""
    by_key = {n.key: n for n in nodes}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(by_key)
    graph.add_edges_from(edges)
    waiting = {key: graph.in_degree(key) for key in graph}
    stack = [key for key in reversed(list(by_key)) if not waiting[key]]
    row = []
    while stack:
        row.append(by_key[key := stack.pop()])
        for after in reversed(list(graph.succ[key])):
            waiting[after] -= 1
            if not waiting[after]:
                stack.append(after)
    return tuple(row)
