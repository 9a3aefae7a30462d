"""From a section to the plan by which a worker carves it out of the model's GraphDef: what enters, leaves and stays.

A cut must change nothing for the converter; where it cannot be made faithfully there is no plan but a reason.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import networkx as nx

from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.names import op_of

__all__ = ["Section", "Unsliceable", "canonical", "feedable", "form_of", "plan", "whole"]


@dataclass(frozen=True)
class Section:
    """A set of ops of one graph to be converted on its own; `removed` (graph, op) are taken out of the bodies below.

    An entering tensor keeps its op's name, on which some failures hang; that of the ops in `renamed` is a neutral one.
    """

    graph: str
    ops: frozenset[str]
    removed: frozenset[tuple[str, str]] = frozenset()
    renamed: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.ops)


class Unsliceable(Exception):
    """The section cannot be cut out faithfully; the message says why."""


def whole(model: Model, graph: str = "") -> Section:
    """Return the section of all ops of a graph."""
    return Section(graph, model.graphs[graph].atoms)


def plan(model: Model, section: Section, files: dict[str, str]) -> dict[str, Any]:
    """Return the worker's plan for the section as plain data; raises Unsliceable where a cut would change something."""
    graph = model.graphs[section.graph]
    inputs = [n for n in graph.ops if graph.ops[n].type in ("Placeholder", "PlaceholderWithDefault")]
    made: dict[str, Any] = {"file": files[section.graph], "inputs": inputs, "ops": graph.sorted(section.ops)}
    if section.graph == "" and section.ops == graph.atoms and not section.removed:
        return {**made, "whole": True, "symbols": {}}
    if not section.ops:
        raise Unsliceable("it is empty")
    made["entries"] = [
        {
            **_entry(t),
            "worked": _feeds_identity(graph, t, section.ops),
            "name": f"cut_entry_{n}" if t.op in section.renamed else None,
        }
        for n, t in enumerate(graph.entering(section.ops))
    ]
    exits = [t for t in graph.leaving(section.ops) if t.replaceable]
    results = set(graph.results) if section.graph == "" else set()
    made["exits"] = [
        {**_fact(t), **_carrier(graph.ops[t.op]), "result": t.name in results, "guarded": _must_be_read(graph, t)}
        for t in exits
    ]  # fmt: skip
    made["symbols"] = {n: list(graph.ops[n].outputs[0].symbols) for n in inputs if n in section.ops}
    if section.removed:
        made["removed"], made["threads"], made["ends"] = _removals(model, section)
    return made


def _feeds_identity(graph: Graph, tensor: Tensor, ops: frozenset[str]) -> bool:
    """True where an Identity reads it: coremltools multiplies an input by 1.0 there, which fails for integers."""
    return any(graph.ops[s].type.startswith("Identity") for s in graph.dag.successors(tensor.op) if s in ops)


def _must_be_read(graph: Graph, tensor: Tensor) -> bool:
    """True for x - mean(x): the fusion of layer norms in coremltools takes for granted that something reads it."""
    op = graph.ops[tensor.op]
    reads = {graph.ops[op_of(t)].type for t in op.inputs}
    return op.type == "Sub" and "Mean" in reads and tensor.dtype.startswith("float")


def _carrier(op: Op) -> dict[str, bool]:
    """Whether the converter cannot take the op itself as an output: several results, a call, an input."""
    carried = len(op.outputs) > 1 or bool(op.functions) or _is_input(op)
    return {"carried": carried, "worked": _is_input(op)}


def _is_input(op: Op) -> bool:
    return op.type.startswith("Placeholder")


def _entry(tensor: Tensor) -> dict[str, Any]:
    if not tensor.replaceable:
        raise Unsliceable(f"{tensor.name} ({tensor.dtype}) cannot be an input")
    if tensor.shape is not None and len(tensor.shape) > 5 and None in tensor.shape:
        raise Unsliceable(f"{tensor.name} has rank {len(tensor.shape)} and an unknown size")
    return {**_fact(tensor), "symbols": list(tensor.symbols)}


def _fact(tensor: Tensor) -> dict[str, Any]:
    return {
        "tensor": tensor.name,
        "dtype": tensor.dtype,
        "shape": None if tensor.shape is None else list(tensor.shape),
        "items": None if tensor.items is None else asdict(tensor.items),
    }


def _removals(model: Model, section: Section) -> tuple[dict[str, list[str]], dict[str, Any], dict[str, Any]]:
    """Per body: the ops taken out, the facts of their tensors that what stays still reads, and the ends they leave."""
    removed: dict[str, list[str]] = {}
    threads: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    for name in sorted(section.ops):
        for body in model.below(section.graph, name):
            gone = {op for graph, op in section.removed if graph == body.name and op in body.order}
            if not gone:
                continue
            kept = body.atoms - gone
            tensors = [t for t in body.entering(kept) if t.op in gone]
            tensors += [body.tensors[r] for r in body.results if op_of(r) in gone]
            threads[body.name] = {t.name: _entry(t) for t in tensors}
            removed[body.name] = sorted(gone)
            ends[body.name] = _ends(body, gone, tensors)
    return removed, threads, ends


def _ends(body: Graph, gone: set[str], threads: list[Tensor]) -> list[dict[str, Any]]:
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
            found.append({**_fact(tensors[0]), "into": into})
    return found


def feedable(graph: Graph, ops: frozenset[str], before: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the ops split into those that can be converted without what was cut out, and those that cannot be fed."""
    lost: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name in graph.sorted(ops - lost):
            reads = [t for t in graph.entering(frozenset({name})) if t.op in before and t.op not in ops - lost]
            unfed = any(not t.replaceable for t in reads)
            makes = any(t.dtype == "variant" and not t.replaceable for t in graph.ops[name].outputs)
            sinks = set(graph.dag.successors(name)) & before
            if unfed or (makes and sinks and not sinks & (ops - lost)):
                lost.add(name)
                changed = True
    return ops - lost, frozenset(lost)


def canonical(graph: Graph, op: str) -> str:
    """Return a digest that two ops share only where their one-op sections are the same but for names."""
    fact = graph.ops[op]
    tensors = [graph.tensors[t] for t in fact.inputs]
    key = [
        fact.type,
        fact.attributes,
        [[t.dtype, t.shape, graph.ops[t.op].constant] for t in tensors],
        [[t.dtype, t.shape] for t in fact.outputs],
        [fact.inputs.index(t) for t in fact.inputs],
        [f for _, f in fact.functions],
    ]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def form_of(model: Model, section: Section) -> str | None:
    """Return what a section of one op has in common with all that differ from it in names only; None for larger ones."""
    if len(section.ops) != 1 or section.removed:
        return None
    return canonical(model.graphs[section.graph], *section.ops)
