"""What sections have in common that differ in names only: the converter is asked about one of them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph, Model, Tensor

__all__ = ["canonical", "form_of", "pattern_of"]

#: Sections with more ops are not compared: one of that size is hardly met twice.
_LARGEST = 16


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
    return _digest(key)


def form_of(model: Model, section: Section) -> str | None:
    """Return what a section of one op has in common with all that differ from it in names only; None for larger ones."""
    if len(section.ops) != 1 or section.removed:
        return None
    return canonical(model.graphs[section.graph], *section.ops)


def pattern_of(model: Model, section: Section) -> str | None:
    """Return what a small section of several ops has in common with those that differ in the numbers of its names only.

    That is: the ops in their order, how they are wired, what enters and leaves, which unknown sizes are equal, and the
    names but for their digits. None where it is no such section, or where functions are called.
    """
    graph = model.graphs[section.graph]
    if not 1 < len(section.ops) <= _LARGEST or section.removed or section.renamed or section.handed:
        return None
    ops = [graph.ops[name] for name in graph.sorted(section.ops)]
    if any(op.functions for op in ops):
        return None
    numbers: dict[str, int] = {}
    symbols: dict[str, int] = {}
    edges = [(n, sink) for n in section.ops for sink in graph.dag.successors(n) if sink not in section.ops]
    left = set(graph.results).union(*(graph.dag[n][sink]["tensors"] for n, sink in edges))

    def said(tensor: Tensor) -> list[Any]:
        sizes = [symbols.setdefault(s, len(symbols)) if s else -1 for s in tensor.symbols]
        maker = graph.ops[tensor.op]
        return [
            numbers.setdefault(tensor.name, len(numbers)), tensor.dtype, tensor.shape, sizes, repr(tensor.items),
            maker.constant, maker.foldable, maker.attributes if maker.constant else "", tensor.name in left,
            re.sub(r"\d+", "0", tensor.name),
        ]  # fmt: skip

    key = [
        [op.type, op.attributes, [said(graph.tensors[t]) for t in op.inputs], [said(t) for t in op.outputs]] for op in ops
    ]  # fmt: skip
    return _digest(key)


def _digest(key: Any) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()
