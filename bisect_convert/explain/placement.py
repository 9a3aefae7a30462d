"""Where in its graph an op sits: the fork and the join around it, the arms between them, the calls that enclose it.

A region is a fork and a join with at least two arms between: the join is the fork's immediate post-dominator, or the
fork the join's immediate dominator. What carries no data is looked through: Identity ops, shape arithmetic, resources.
The members of a cycle are one node. Gates, the small diamonds inside activations and normalisations (`x * sigmoid(x)`,
exact GELU), are regions too, but one around them says more. Inputs that meet lack a fork, heads that part lack a join.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import networkx as nx

from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.names import op_of
from bisect_convert.report.findings import Context, Enclosing

__all__ = ["KINDS", "context_of"]

_Edges = Mapping[int, list[int]]
_ROOT = -1
KINDS = {"body": "loop_body", "cond": "loop_cond", "then": "then", "else": "else", "branch": "branch"}
_ADDS, _CONCATS = frozenset({"Add", "AddV2", "AddN", "Sub"}), frozenset({"Concat", "ConcatV2"})
_INPUTS, _HANDLES = frozenset({"Placeholder", "PlaceholderWithDefault"}), frozenset({"resource", "variant"})
_THROUGH = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics"})
_HEAVY, _POOL = re.compile("Conv|MatMul|Einsum|LSTM|GRU|RNN"), re.compile("Pool|Mean|Max")
_UPSAMPLING = re.compile("Resize|BackpropInput|DepthToSpace|BatchToSpace")
_SPLITS, _SLICES = frozenset({"Split", "SplitV", "Unpack"}), frozenset({"Slice", "StridedSlice"})
#: What activations, normalisations and rotary embeddings are made of.
_ELEMENTWISE = frozenset(
    "Abs Add AddV2 Cast ConcatV2 Cos Div Elu Erf Erfc Exp Log Log1p Max Maximum Mean Min Minimum Mul Neg Pow RealDiv "
    "Reciprocal Relu Relu6 Rsqrt Selu Sigmoid Sin Slice Softplus Softsign Split SplitV Sqrt Square SquaredDifference "
    "StridedSlice Sub Sum Tanh".split()
)
_GATE_SIZE = 12  # ops: a layer normalisation written out has 9 between its fork and its join
_GATE_SIZE_BESIDE_IDENTITY = 3  # x + 0.044715 * x ** 3 inside a GELU; beyond, it is a residual block
_MOST_REGIONS = 32  # looked at per op, innermost first: bounds the time where everything meets everything


def context_of(model: Model, graph: str, op: str) -> Context:
    """Return the op's role in its graph, the innermost fork and join around it, their arms, and the enclosing calls.

    >>> from bisect_convert.model.graph import Op, Tensor
    >>> def node(name, type, *inputs):
    ...     return Op(name, type, tuple(f"{i}:0" for i in inputs), (Tensor(f"{name}:0", "float32", (1, 4)),))
    >>> ops = [node("x", "Placeholder"), node("conv", "Conv2D", "x"), node("relu", "Relu", "conv"),
    ...        node("conv_1", "Conv2D", "relu"), node("add", "AddV2", "x", "conv_1"), node("out", "Softmax", "add")]
    >>> model = Model("m", None, {"": Graph("", {o.name: o for o in ops})}, "")
    >>> context_of(model, "", "relu")
    Context(role='main_arm', fork='x', join='add', arms=(('conv', 'relu', 'conv_1'), ()), enclosing=())
    >>> context_of(model, "", "add").role, context_of(model, "", "out").role
    ('join', 'trunk')
    """
    return replace(_place(model.graphs[graph], op), enclosing=_enclosing(model, graph))


def _enclosing(model: Model, graph: str) -> tuple[Enclosing, ...]:
    """Return the calls from the main graph down to this one."""
    if not (caller := model.graphs[graph].caller):
        return ()
    above, name, role = caller
    call = Enclosing(model.graphs[above].ops[name].type, name, graph, KINDS.get(role, "call"))
    return (*_enclosing(model, above), call)


def _place(graph: Graph, op: str) -> Context:
    if op not in graph.order:
        return Context()
    if op in graph.shape_arithmetic:
        return _place_of_size(graph, op)
    flow = _flow_of(graph, op)
    at = flow.at[op]
    joined = _own(flow, at, join=True)
    if joined and "skip" in flow.roles(joined) and not flow.is_gate(joined):
        return flow.context(joined, at)
    # The parameters and results of a loop or a branch are its variables; those of a model are inputs and heads.
    whole = graph.caller is None or graph.caller[2] == "call"
    region = _around(flow, at) or (whole and _inputs(flow, at)) or joined or (whole and _heads(flow, at))
    region = region or _own(flow, at, join=False)
    return flow.context(region, at) if region else Context()


def _place_of_size(graph: Graph, op: str) -> Context:
    """Place shape arithmetic in the arm of the op that it serves, else on the trunk."""
    for served in graph.sorted(nx.descendants(graph.dag, op) - graph.shape_arithmetic)[:1]:
        flow = _flow_of(graph, served)
        if region := _around(flow, flow.at[served]):
            context = flow.context(region, flow.at[served])
            return replace(context, arms=tuple((op, *arm) if served in arm else arm for arm in context.arms))
    return Context()


def _flow_of(graph: Graph, op: str) -> _Flow:
    """Return the graph's flow as the op is placed in it: an op that is looked through for others is a node for itself."""
    return _flow(graph, op if graph.ops[op].type in _THROUGH else "")


@lru_cache(maxsize=16)
def _flow(graph: Graph, keep: str) -> _Flow:
    return _Flow.of(graph, keep)


@dataclass(frozen=True)
class _Region:
    """A fork, a join and the arms between; no fork where inputs meet, no join where heads part. () is a direct edge."""

    fork: int | None
    join: int | None
    arms: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Flow:
    """The flow of data through a graph. Nodes are positions in its order; `at` and `members` lead to them and back."""

    graph: Graph
    at: Mapping[str, int]
    members: Mapping[int, list[str]]
    before: _Edges
    after: _Edges
    results: set[int]

    @classmethod
    def of(cls, graph: Graph, keep: str) -> _Flow:
        """Condense cycles; look through what carries no data, but for the op `keep`."""
        groups = [graph.sorted(cycle) for cycle in nx.strongly_connected_components(graph.dag)]
        members = {graph.order[names[0]]: names for names in groups}
        at = {name: node for node, names in members.items() for name in names}
        before: dict[int, list[int]] = {}
        after: dict[int, list[int]] = {}
        seen: dict[int, set[int]] = {}
        for node in sorted(members):
            first, *others = members[node]
            sources = {at[p] for name in members[node] for p in graph.dag.predecessors(name)} - {node}
            known: set[int] = set().union(*(seen[s] for s in sources))
            if first in graph.shape_arithmetic and not others:
                seen[node] = set()
            elif graph.ops[first].type in _THROUGH and not others and first != keep:
                seen[node] = known
            else:
                seen[node], before[node], after[node] = {node}, sorted(known), []
                for source in known:
                    after[source].append(node)
        results = {n for t in graph.results if (name := op_of(t)) in at for n in seen[at[name]]}
        return cls(graph, at, members, before, after, results)

    @cached_property
    def inputs(self) -> set[int]:
        params = (n for n in self.before if not self.before[n] and self.type(n) in _INPUTS)
        return {n for n in params if not self.dtypes(n) & _HANDLES}

    @cached_property
    def dominator(self) -> dict[int, int]:  # sources that are no inputs count for nothing
        return _dominators(self.after, self.inputs or [n for n in self.before if not self.before[n]])

    @cached_property
    def post_dominator(self) -> dict[int, int]:
        return _dominators(self.before, [n for n in self.after if not self.after[n]])

    def type(self, node: int) -> str:
        return self.graph.ops[self.members[node][0]].type

    def dtypes(self, node: int) -> set[str]:
        return {tensor.dtype for tensor in self.graph.ops[self.members[node][0]].outputs}

    def work(self, arm: Iterable[int]) -> tuple[int, int]:
        """How much is done on an arm: ops with weights or bodies and loops, then ops."""
        ops = [(self.graph.ops[self.members[n][0]], len(self.members[n])) for n in arm]
        return sum(bool(size > 1 or op.functions or _HEAVY.search(op.type)) for op, size in ops), len(ops)

    def arms(self, nodes: set[int]) -> tuple[tuple[int, ...], ...]:
        """The parts of the nodes that no edge joins."""
        parts, left = [], set(nodes)
        for node in sorted(nodes):
            if node in left:
                part = _reach([self.before, self.after], [node], left.__contains__)
                left -= part
                parts.append(tuple(sorted(part)))
        return tuple(parts)

    def between(self, fork: int, join: int) -> _Region:
        """The region from one node to a later one."""
        ahead = _reach([self.after], [fork], lambda n: n < join)
        arms = self.arms((ahead & _reach([self.before], [join], lambda n: n > fork)) - {fork, join})
        return _Region(fork, join, (*arms, ()) if join in self.after[fork] else arms)

    def is_gate(self, region: _Region) -> bool:
        """True for the inside of an activation or a normalisation."""
        most = _GATE_SIZE_BESIDE_IDENTITY if () in region.arms and "skip" in self.roles(region) else _GATE_SIZE
        nodes = [n for arm in (*region.arms, [region.join]) for n in arm if n is not None]
        return len(nodes) <= most + 1 and all(self.type(n) in _ELEMENTWISE | _THROUGH for n in nodes)

    def roles(self, region: _Region) -> list[str]:
        """The role of each arm: a skip and the main arm that it bypasses, or branches."""
        skip, every = _skip(self, region), range(len(region.arms))
        if skip is None:
            return ["branch" for _ in every]
        main = max((i for i in every if i != skip), key=lambda i: self.work(region.arms[i]))
        return ["skip" if i == skip else "main_arm" if i == main else "branch" for i in every]

    def context(self, region: _Region, at: int) -> Context:
        """The region, and the node's role in it, in the words of the report."""
        ends = {region.join: "join", region.fork: "fork"}
        role = ends.get(at) or next(r for r, arm in zip(self.roles(region), region.arms, strict=True) if at in arm)
        fork, join = (None if n is None else self.members[n][0] for n in (region.fork, region.join))
        return Context(role, fork, join, tuple(tuple(o for n in arm for o in self.members[n]) for arm in region.arms))


def _around(flow: _Flow, at: int) -> _Region | None:
    """Return the innermost region that holds the node strictly inside; a gate only where nothing else does.

    Where data enters a region at its side (an attention mask), its fork no longer dominates the node: there only a
    region with a skip counts, or any shared input would be a fork of all that it meets.
    """
    above, below = _reach([flow.before], flow.before[at]), _reach([flow.after], flow.after[at])
    pairs = {(f, flow.post_dominator[f]) for f in above if f in flow.post_dominator}
    pairs |= {(flow.dominator[j], j) for j in below if j in flow.dominator}
    inside = sorted((j - f, f, j) for f, j in pairs if f in above and j in below)
    forks, gate = set(_chain(flow.dominator, at)), None
    for _, fork, join in inside[:_MOST_REGIONS]:
        region = flow.between(fork, join)
        if len(region.arms) > 1 and (fork in forks or "skip" in flow.roles(region)):
            if not flow.is_gate(region):
                return region
            gate = gate or region
    return gate


def _own(flow: _Flow, at: int, *, join: bool) -> _Region | None:
    """Return the region that the node ends (`join`) or begins: from its dominator or to its post-dominator, if any."""
    ways = [(flow.before, flow.dominator), (flow.after, flow.post_dominator)]
    (near, direct), (far, back) = ways if join else reversed(ways)
    if len(near[at]) < 2:
        return None
    ends = [n for n in sorted(far, reverse=join) if back.get(n) == at and len(far[n]) > 1 and n != direct.get(at)]
    for end in ([direct[at]] if at in direct else []) + ends[:_MOST_REGIONS]:
        region = flow.between(end, at) if join else flow.between(at, end)
        if len(region.arms) > 1 and (end == direct.get(at) or not join or "skip" in flow.roles(region)):
            return region
    return None


def _inputs(flow: _Flow, at: int) -> _Region | None:
    """Return the region of inputs that meet: another one and the node's, as soon as they do, else those at the node."""
    others = flow.inputs - _reach([flow.before], [at])
    join = min(_reach([flow.after], flow.after[at]) & _reach([flow.after], others), default=at)
    arms = [a for a in flow.arms(_reach([flow.before], flow.before[join])) if at in a or flow.inputs & set(a)]
    return _Region(None, join, tuple(arms)) if len(arms) > 1 else None


def _heads(flow: _Flow, at: int) -> _Region | None:
    """Return the region of heads that part for good: after the last op on all ways to the node, else after the node."""
    ends = flow.results | {n for n in flow.after if not flow.after[n]}
    elsewhere = _reach([flow.before], ends - _reach([flow.after], [at]))
    fork = next((n for n in _chain(flow.dominator, at) if n in elsewhere), at)
    arms = flow.arms(_reach([flow.after], flow.after[fork])) + (((),) if fork in flow.results else ())
    return _Region(fork, None, arms) if len(arms) > 1 else None


def _skip(flow: _Flow, region: _Region) -> int | None:
    """Return which arm bypasses the work of another: a direct edge, or far less work; None where no arm does."""
    fork, join, arms = region.fork, region.join, region.arms
    if fork is None or join is None or len(arms) < 2 or flow.type(join) not in _ADDS | _CONCATS:
        return None
    first, last = flow.dtypes(fork), flow.dtypes(join)
    if _parts(flow, region):
        return None
    if not first & last and not all("float" in dtype for dtype in first | last):
        return None  # numbers that come of ids or flags: what bypasses an embedding is a mask
    concat = flow.type(join) in _CONCATS
    if () in arms or len(arms) != 2:
        return arms.index(()) if () in arms and not (concat and len(arms) > 2) else None
    short, long = sorted((0, 1), key=lambda i: flow.work(arms[i]))
    (few, size), (many, most) = flow.work(arms[short]), flow.work(arms[long])
    bypass = 2 * few <= many > 0 or few == many and 2 * size < most
    upsampled = any(_UPSAMPLING.search(flow.type(n)) for n in arms[long])
    pools = concat and (few > 0 or any(_POOL.search(flow.type(n)) for n in arms[short]))
    gate = size + most <= _GATE_SIZE and all(flow.type(n) in _ELEMENTWISE for arm in arms for n in arm)
    return short if bypass and (upsampled or not (few > 1 or pools or gate)) else None


def _parts(flow: _Flow, region: _Region) -> bool:
    """True where each arm works on a part of its own, as in a channel split: none of them bypasses another."""
    if region.fork is not None and flow.type(region.fork) in _SPLITS:
        return True
    return all(arm and flow.type(arm[0]) in _SLICES for arm in region.arms)


def _dominators(edges: _Edges, starts: Iterable[int]) -> dict[int, int]:
    dag = nx.DiGraph([(_ROOT, n) for n in starts] + [(n, m) for n, ends in edges.items() for m in ends])
    return {n: d for n, d in nx.immediate_dominators(dag, _ROOT).items() if n != _ROOT and d != _ROOT}


def _chain(dominators: Mapping[int, int], node: int) -> Iterator[int]:
    while node in dominators:
        node = dominators[node]
        yield node


def _reach(edges: list[_Edges], starts: Iterable[int], within: Callable[[int], bool] = lambda node: True) -> set[int]:
    seen = set(starts)
    todo = list(seen)
    while todo:
        node = todo.pop()
        fresh = {m for ends in edges for m in ends[node] if m not in seen and within(m)}
        seen |= fresh
        todo += fresh
    return seen
