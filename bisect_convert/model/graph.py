"""The graph of a model as plain facts, and the sets of ops that searches walk: prefixes, neighbourhoods, closures.

Constants are no ops of their own: an op whose value follows from constants alone (`Op.constant`) goes with its consumers.
Nothing here knows TensorFlow; dtypes are TensorFlow's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import networkx as nx

from bisect_convert.model.names import op_of
from bisect_convert.model.prefixes import Prefixes

__all__ = ["Graph", "Items", "Model", "Op", "Shape", "Tensor"]

Shape = tuple[int | None, ...]

#: dtypes that cannot cross a cut: Core ML has no input of that kind and no op makes one from an input.
_UNSEVERABLE = frozenset(
    {
        "variant",
        "resource",
        "string",
        "int16",
        "uint16",
        "uint32",
        "uint64",
        "complex128",
        "bfloat16",
        "int4",
        "uint4",
        "qint8",
        "quint8",
        "qint16",
        "quint16",
        "qint32",
    }
)
_SHAPE_OPS = frozenset({"Shape", "ShapeN", "Size", "Rank"})


@dataclass(frozen=True)
class Items:
    """What a tensor list (TensorFlow's TensorArray) holds: so many tensors of one dtype and shape."""

    dtype: str
    shape: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class Tensor:
    """One result of an op: `shape` has None for an unknown dimension and is None for an unknown rank.

    `symbols` names, dimension by dimension, the unknown sizes that are equal throughout the model ("" for a known one).
    `items` is what is in it where it is a list.
    """

    name: str
    dtype: str
    shape: Shape | None
    symbols: tuple[str, ...] = ()
    items: Items | None = None

    @property
    def op(self) -> str:
        """The name of the op that makes it."""
        return op_of(self.name)

    @property
    def severable(self) -> bool:
        """True where the converter can take it as an input instead."""
        return self.dtype not in _UNSEVERABLE and self.shape is not None

    @property
    def replaceable(self) -> bool:
        """True where something can stand for it at all: a list is only cut off from its op where that op must go."""
        items = self.items
        return self.severable or (items is not None and len(items.shape) < 5 and items.dtype not in _UNSEVERABLE)

    def to_json(self) -> dict[str, Any]:
        """Return the tensor as reports show it."""
        return {"tensor": self.name, "dtype": self.dtype, "shape": None if self.shape is None else list(self.shape)}


@dataclass(frozen=True)
class Op:
    """One node of the frozen graph; `functions` maps a role ("body", "cond", "then", "else", "call") to a graph's name."""

    name: str
    type: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    functions: tuple[tuple[str, str], ...] = ()
    constant: bool = False
    foldable: bool = False
    """True where its value follows from constants that the converter cannot evaluate: an op of its own, whose results come
    into a section as the values that they are."""
    layer: str | None = None
    source: str | None = None
    attributes: str = ""


@dataclass(frozen=True)
class Graph:
    """One graph level: the main graph (name "") or a function body; `ops` in a topological order where there is one.

    >>> a = Op("a", "Placeholder", (), (Tensor("a:0", "float32", (1, 4)),))
    >>> b = Op("b", "Relu", ("a:0",), (Tensor("b:0", "float32", (1, 4)),))
    >>> graph = Graph("", {"a": a, "b": b})
    >>> sorted(graph.upstream({"b"}, 1))
    ['a', 'b']
    """

    name: str
    ops: Mapping[str, Op]
    results: tuple[str, ...] = ()
    caller: tuple[str, str, str] | None = None
    """(calling graph, calling op, role) of a body; None for the main graph."""

    def __hash__(self) -> int:
        return hash((self.name, self.results, self.caller, len(self.ops)))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the graph by name."""
        return {t.name: t for op in self.ops.values() for t in op.outputs}

    @cached_property
    def dag(self) -> nx.DiGraph[str]:
        """The non-constant ops, with the tensors that join them on the edges (attribute `tensors`)."""
        dag: nx.DiGraph[str] = nx.DiGraph()
        dag.add_nodes_from(name for name, op in self.ops.items() if not op.constant)
        for name in list(dag):
            for tensor in self.ops[name].inputs:
                source = op_of(tensor)
                if source in dag:
                    if not dag.has_edge(source, name):
                        dag.add_edge(source, name, tensors=[])
                    dag[source][name]["tensors"].append(tensor)
        return dag

    @cached_property
    def order(self) -> dict[str, int]:
        """Position of each non-constant op in the topological order that prefixes follow; the members of a cycle adjoin."""
        rank = {name: i for i, name in enumerate(self.ops)}
        condensed = nx.condensation(self.dag)
        first = {n: min(rank[m] for m in data["members"]) for n, data in condensed.nodes(data=True)}
        names = [
            member
            for n in nx.lexicographical_topological_sort(condensed, key=lambda n: first[n])
            for member in sorted(condensed.nodes[n]["members"], key=rank.__getitem__)
        ]
        return {name: i for i, name in enumerate(names)}

    @cached_property
    def atoms(self) -> frozenset[str]:
        """All ops that a search may keep or leave out: not the parameters of a body, nor what makes no tensor."""
        return frozenset(n for n in self.order if self._may_join(n) and self.ops[n].outputs)

    def sorted(self, ops: Iterable[str]) -> list[str]:
        """Return the ops in topological order."""
        return sorted(ops, key=self.order.__getitem__)

    @cached_property
    def shape_arithmetic(self) -> frozenset[str]:
        """Ops whose results are sizes: integers of rank 0 or 1 that come from Shape ops and constants alone."""
        found: set[str] = set()
        for name in self.order:
            op = self.ops[name]
            if not op.outputs or not all(_is_size(t) for t in op.outputs):
                continue
            sources = [s for t in op.inputs if not self.ops[s := op_of(t)].constant]
            if op.type in _SHAPE_OPS or (sources and all(s in found for s in sources)):
                found.add(name)
        return frozenset(found)

    @cached_property
    def ties(self) -> dict[str, frozenset[str]]:
        """Ops that only make sense together, each mapped to its whole group: cycles, dilated convolutions."""
        cycles = [c for c in nx.strongly_connected_components(self.dag) if len(c) > 1]
        home = {name: cycle for cycle in cycles for name in cycle}
        groups = [self._loop(c, home) for c in cycles]
        groups += [g for n, op in self.ops.items() if op.type == "BatchToSpaceND" and (g := self._dilated(n))]
        return {name: frozenset(group) for group in groups for name in group}

    def _loop(self, cycle: set[str], home: Mapping[str, set[str]]) -> set[str]:
        """A loop of TensorFlow 1, given one variable's cycle and the cycle of each op: those of all, test, Enter, Exit."""
        tests = {p for n in cycle for p in self.dag.predecessors(n) if self.ops[p].type == "LoopCond"}
        switches = {s for t in tests for s in self.dag.successors(t)}
        loop = cycle | tests | switches.union(*(home[s] for s in switches if s in home))
        between = {n for t in tests for n in nx.ancestors(self.dag, t)}
        loop |= between & {n for m in loop for n in nx.descendants(self.dag, m)}
        around = {n for m in loop for n in (*self.dag.predecessors(m), *self.dag.successors(m))}
        return loop | {n for n in around if self.ops[n].type.removeprefix("Ref") in ("Enter", "Exit")}

    def _dilated(self, last: str) -> set[str] | None:
        """The group SpaceToBatchND, (ExpandDims), convolution, (Squeeze, BiasAdd), BatchToSpaceND ending in `last`."""
        group, at = {last}, last
        between = {"Conv2D", "DepthwiseConv2dNative", "ExpandDims", "Squeeze", "BiasAdd", "SpaceToBatchND"}
        for _ in range(6):
            before = [p for p in self.dag.predecessors(at) if self.ops[p].type in between] if at in self.dag else []
            if len(before) != 1:
                return None
            at = before[0]
            group.add(at)
            if self.ops[at].type == "SpaceToBatchND":
                return group
        return None

    def close(self, ops: Iterable[str], cut_out: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the smallest superset of `ops` whose cuts change nothing for the converter; never adds a `cut_out` op.

        Sizes ride with their consumers, tensors that cannot be inputs keep their producers and consumers, ties hold.
        """
        todo, closed = list(ops), set(ops)
        dag = self.dag
        while todo:
            name = todo.pop()
            wanted = set(self.ties.get(name, ()))
            for source in dag.predecessors(name):
                tensors = [self.tensors[t] for t in dag[source][name]["tensors"]]
                if source in self.shape_arithmetic or not all(t.severable for t in tensors):
                    wanted.add(source)
            for sink in dag.successors(name):
                if any(self.tensors[t].dtype == "variant" for t in dag[name][sink]["tensors"]):
                    wanted.add(sink)
            fresh = {w for w in wanted - closed - cut_out if self._may_join(w)}
            closed |= fresh
            todo += fresh
        return frozenset(closed)

    def _may_join(self, name: str) -> bool:
        return self.name == "" or self.ops[name].type != "Placeholder"

    def prefixes(self, ops: frozenset[str]) -> Sequence[frozenset[str]]:
        """Return the chain of sections {}, {first op}, ... `ops`, in topological order; each is made when it is asked for."""
        return Prefixes(tuple(self.sorted(ops)))

    def upstream(self, ops: Iterable[str], steps: int) -> frozenset[str]:
        """Return the neighbourhood: `ops` and what lies within `steps` steps upstream of them."""
        layer = set(ops)
        seen = set(layer)  # grows in place: a copy for each step would be quadratic in a deep graph
        for _ in range(steps):
            layer = {p for n in layer for p in self.dag.predecessors(n) if p not in seen}
            if not layer:
                break
            seen |= layer
        return frozenset(n for n in seen if self._may_join(n))

    def entering(self, ops: frozenset[str]) -> list[Tensor]:
        """The tensors that the ops read from elsewhere in the graph, in order."""
        found: dict[str, Tensor] = {}
        for name in self.sorted(ops):
            for tensor in self.ops[name].inputs:
                source = op_of(tensor)
                if source not in ops and not self.ops[source].constant:
                    found.setdefault(tensor, self.tensors[tensor])
        return list(found.values())

    def leaving(self, ops: frozenset[str]) -> list[Tensor]:
        """The tensors of the ops that are read elsewhere or are results, in order."""
        results = set(self.results)
        found = []
        for name in self.sorted(ops):
            outside: set[str] = set()
            for sink in self.dag.successors(name):
                if sink not in ops:
                    outside.update(self.dag[name][sink]["tensors"])
            found += [t for t in self.ops[name].outputs if t.name in outside or t.name in results]
        return found


@dataclass(frozen=True)
class Model:
    """A model as it was loaded: its graphs by name ("" is the main one) and what is known of it as a whole."""

    path: str
    signature: str | None
    graphs: Mapping[str, Graph]
    digest: str
    names: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def main(self) -> Graph:
        """The main graph."""
        return self.graphs[""]

    @property
    def ops(self) -> int:
        """How many ops there are, bodies counted."""
        return sum(len(g.atoms) for g in self.graphs.values())

    def bodies(self, graph: str, op: str) -> Iterator[tuple[str, Graph]]:
        """Yield (role, body) for each function that the op calls."""
        for role, name in self.graphs[graph].ops[op].functions:
            if name in self.graphs:
                yield role, self.graphs[name]

    def below(self, graph: str, op: str) -> Iterator[Graph]:
        """Yield every body below the op once, nested ones after those that hold them."""
        seen: set[str] = set()
        todo = [body for _, body in self.bodies(graph, op)][::-1]
        while todo:
            body = todo.pop()
            if body.name not in seen:
                seen.add(body.name)
                yield body
                todo += [inner for name in body.order for _, inner in self.bodies(body.name, name)][::-1]


def _is_size(tensor: Tensor) -> bool:
    return tensor.dtype in {"int32", "int64"} and tensor.shape is not None and len(tensor.shape) <= 1
