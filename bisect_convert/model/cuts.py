"""From a section to the plan by which a worker carves it out of the model's GraphDef: what enters, leaves and stays.

A cut must change nothing for the converter; where it cannot be made faithfully there is no plan but a reason.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import networkx as nx

from bisect_convert.model.graph import Graph, Items, Model, Op, Tensor
from bisect_convert.model.names import HANDLES, op_of

__all__ = [
    "CutTensor", "End", "Entry", "Exit", "Plan", "Section", "Unsliceable", "feedable", "made_by_a_cut", "plan", "whole",
]  # fmt: skip


#: What cuts call tensors that the model does not have.
_OWN_NAME = re.compile(r"\bcut_(?:entry|exit|thread|end)_\d+")
#: Ops that make lists, or put something into one.
_FILLS = ("TensorList", "TensorArray", "EmptyTensorList", "Identity")
#: What no parameter of a body can be: the converter has no variable of that type, or only inside of one block.
_UNTHREADED = frozenset({"complex64", "complex128", "string", "resource", "bfloat16"})


@dataclass(frozen=True)
class Section:
    """A set of ops of one graph to be converted on its own; `removed` (graph, op) are taken out of the bodies below.

    An entering tensor keeps its op's name, on which some failures hang; that of the ops in `renamed` is a neutral one.
    handed: what Core ML has no inputs of (strings, handles) enters too, made by ops that do not convert either.
    """

    graph: str
    ops: frozenset[str]
    removed: frozenset[tuple[str, str]] = frozenset()
    renamed: frozenset[str] = frozenset()
    handed: bool = False

    def __len__(self) -> int:
        return len(self.ops)


@dataclass(frozen=True)
class CutTensor:
    """A severed tensor: what the model knows of it, and of the list that it is, where it is one."""

    tensor: str
    dtype: str
    shape: tuple[int | None, ...] | None = None
    items: Items | None = None


@dataclass(frozen=True)
class Entry(CutTensor):
    """One that enters a section; `name`: what it is called there, where it must not bear its op's name. `value`: it is a
    constant there, of the value that it has in the model.

    `symbols`: the name of each dimension that is equal to others; `worked`: an Identity reads it.
    """

    symbols: tuple[str, ...] = ()
    name: str | None = None
    worked: bool = False
    value: bool = False


@dataclass(frozen=True)
class Exit(CutTensor):
    """One that leaves it; `carried`: its op cannot be an output itself, `worked`: it is an input, `result`: of the model.

    `guarded`: something must read it (see `_must_be_read`).
    """

    carried: bool = False
    worked: bool = False
    result: bool = False
    guarded: bool = False


@dataclass(frozen=True)
class End(CutTensor):
    """What only removed ops of a body read, and the tensor that stands for what it led `into`."""

    into: str = ""


@dataclass(frozen=True)
class Plan:
    """How a worker carves a section out of the GraphDef in `file`; the whole model has nothing to be cut.

    inputs: the placeholders of the graph. Per body: the ops `removed`, by tensor what comes in for them (`threads`), and
    the loose `ends` that they leave.
    """

    file: str
    inputs: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    whole: bool = False
    entries: tuple[Entry, ...] = ()
    exits: tuple[Exit, ...] = ()
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    removed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    threads: Mapping[str, Mapping[str, CutTensor]] = field(default_factory=dict)
    ends: Mapping[str, tuple[End, ...]] = field(default_factory=dict)


class Unsliceable(Exception):
    """The section cannot be cut out faithfully; the message says why."""


def made_by_a_cut(message: str) -> bool:
    """Return whether the converter's message speaks of a tensor that no model has, but a cut put there."""
    return _OWN_NAME.search(message) is not None


def whole(model: Model, graph: str = "") -> Section:
    """Return the section of all ops of a graph."""
    return Section(graph, model.graphs[graph].atoms)


def plan(model: Model, section: Section, files: Mapping[str, str]) -> Plan:
    """Return the worker's plan for the section; raises Unsliceable where a cut would change something."""
    graph = model.graphs[section.graph]
    inputs = tuple(n for n in graph.ops if graph.ops[n].type in ("Placeholder", "PlaceholderWithDefault"))
    file, ops = files[section.graph], tuple(graph.sorted(section.ops))
    if section.graph == "" and section.ops == graph.atoms and not section.removed:
        return Plan(file, inputs, ops, whole=True)
    if not section.ops:
        raise Unsliceable("it is empty")
    entering = graph.entering(section.ops)
    removed, threads, ends = _removals(model, section) if section.removed else ({}, {}, {})
    return Plan(
        file, inputs, ops,
        entries=tuple(
            _value(t)
            if graph.ops[t.op].foldable
            else _handed(t)
            if section.handed and not t.replaceable
            else _entry(t, f"cut_entry_{n}" if t.op in section.renamed else None, _feeds_identity(graph, t, section.ops))
            for n, t in enumerate(entering)
        ),
        exits=tuple(_exit(graph, t, section) for t in graph.leaving(section.ops) if t.replaceable),
        symbols={n: graph.ops[n].outputs[0].symbols for n in inputs if n in section.ops},
        removed=removed, threads=threads, ends=ends,
    )  # fmt: skip


def _feeds_identity(graph: Graph, tensor: Tensor, ops: frozenset[str]) -> bool:
    """True where an Identity reads it: coremltools multiplies an input by 1.0 there, which fails for integers."""
    return any(graph.ops[s].type.startswith("Identity") for s in graph.dag.successors(tensor.op) if s in ops)


def _must_be_read(graph: Graph, tensor: Tensor) -> bool:
    """True for x - mean(x): the fusion of layer norms in coremltools takes for granted that something reads it."""
    op = graph.ops[tensor.op]
    reads = {graph.ops[op_of(t)].type for t in op.inputs}
    return op.type == "Sub" and "Mean" in reads and tensor.dtype.startswith("float")


def _exit(graph: Graph, tensor: Tensor, section: Section) -> Exit:
    """The tensor as it leaves: by an op of its own where the converter cannot take its op as an output."""
    op = graph.ops[tensor.op]
    is_input = _handed_on(graph, op, section).type.startswith("Placeholder")
    result = section.graph == "" and tensor.name in graph.results
    last = (
        result and len(op.outputs) == 1 and not graph.dag.succ[op.name]
    )  # as it is in the model: nothing carries it there
    return Exit(
        tensor.name, tensor.dtype, tensor.shape, tensor.items,
        carried=not last and (len(op.outputs) > 1 or bool(op.functions) or is_input), worked=is_input, result=result,
        guarded=_must_be_read(graph, tensor),
    )  # fmt: skip


def _handed_on(graph: Graph, op: Op, section: Section) -> Op:
    """The op whose result an Identity hands on, through as many of them as there are in the section."""
    while op.type == "Identity" and op.inputs and op_of(op.inputs[0]) in section.ops:
        op = graph.ops[op_of(op.inputs[0])]
    return op


def _value(tensor: Tensor) -> Entry:
    if not tensor.severable:
        raise Unsliceable(f"{tensor.name} ({tensor.dtype}) cannot be a constant")
    return Entry(tensor.name, tensor.dtype, tensor.shape, value=True)


def _handed(tensor: Tensor) -> Entry:
    if tensor.dtype not in HANDLES:
        raise Unsliceable(f"{tensor.name} ({tensor.dtype}) cannot be an input")
    return Entry(tensor.name, tensor.dtype, tensor.shape)


def _entry(tensor: Tensor, name: str | None = None, worked: bool = False) -> Entry:
    if not tensor.replaceable:
        raise Unsliceable(f"{tensor.name} ({tensor.dtype}) cannot be an input")
    if tensor.shape is not None and len(tensor.shape) > 5 and None in tensor.shape:
        raise Unsliceable(f"{tensor.name} has rank {len(tensor.shape)} and an unknown size")
    return Entry(tensor.name, tensor.dtype, tensor.shape, tensor.items, tensor.symbols, name, worked)


def _removals(
    model: Model, section: Section
) -> tuple[dict[str, tuple[str, ...]], dict[str, dict[str, CutTensor]], dict[str, tuple[End, ...]]]:
    """Per body: the ops taken out, the facts of their tensors that what stays still reads, and the ends they leave."""
    removed: dict[str, tuple[str, ...]] = {}
    threads: dict[str, dict[str, CutTensor]] = {}
    ends: dict[str, tuple[End, ...]] = {}
    for name in sorted(section.ops):
        for body in model.below(section.graph, name):
            gone = {op for graph, op in section.removed if graph == body.name and op in body.order}
            if not gone:
                continue
            kept = body.atoms - gone
            tensors = [t for t in body.entering(kept) if t.op in gone]
            tensors += [body.tensors[r] for r in body.results if op_of(r) in gone]
            if odd := [t for t in tensors if t.dtype in _UNTHREADED]:
                raise Unsliceable(f"{odd[0].name} ({odd[0].dtype}) cannot come into a body from outside")
            threads[body.name] = {t.name: _entry(t) for t in tensors}
            removed[body.name] = tuple(sorted(gone))
            ends[body.name] = tuple(_ends(body, gone, tensors))
    return removed, threads, ends


def _ends(body: Graph, gone: set[str], threads: list[Tensor]) -> list[End]:
    """What only removed ops read, each with a thread that stands for what it leads to: a body may not have loose ends."""
    results = {op_of(r) for r in body.results}
    found = []
    for name in body.sorted(body.atoms - gone - results):
        readers = set(body.dag.successors(name))
        read = {t for reader in readers for t in body.dag[name][reader]["tensors"]}
        tensors = [t for t in body.ops[name].outputs if t.severable and t.name in read]
        if not readers or readers - gone or not tensors:
            continue
        below = nx.descendants(body.dag.subgraph(gone | {name}), name)
        into = next((t.name for t in threads if t.op in below), None)
        if into is not None:
            loose = tensors[0]
            found.append(End(loose.name, loose.dtype, loose.shape, loose.items, into))
    return found


def feedable(graph: Graph, ops: frozenset[str], before: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the ops split into those that can be converted without what was cut out, and those that cannot be fed.

    What only fills lists that nothing reads any more is in neither: it went with its readers.
    """
    lost: set[str] = set()
    idle: set[str] = set()
    left = set(ops)
    todo = deque(graph.sorted(ops))
    while todo:
        name = todo.popleft()
        if name not in left:
            continue
        reads = (graph.tensors[t] for t in graph.ops[name].inputs if t in graph.tensors)
        unfed = any(not t.replaceable and t.op in before and t.op not in left for t in reads)
        sinks = before.intersection(graph.dag.successors(name))
        makes = any(t.dtype == "variant" for t in graph.ops[name].outputs)
        unread = makes and bool(sinks) and not sinks & left
        fills = graph.ops[name].type.startswith(_FILLS)
        if unfed or (unread and (fills or any(not t.replaceable for t in graph.ops[name].outputs))):
            left.discard(name)
            (idle if unread and fills and not unfed else lost).add(name)
            todo.extend(left.intersection([*graph.dag.successors(name), *graph.dag.predecessors(name)]))
    return frozenset(left), frozenset(lost)
