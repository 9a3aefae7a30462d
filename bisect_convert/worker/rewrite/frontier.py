"""Where a model may start or end, so that what has no place in Core ML stays in the app: strings, tables, decoders.

The last resort of a fix, and only at a model's edges: nothing that holds a layer is left to the app.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import tensorflow as tf

from bisect_convert.model.outcome import Failure
from bisect_convert.worker.rewrite.constants import from_constants
from bisect_convert.worker.rewrite.draws import DRAWS
from bisect_convert.worker.rewrite.editing import imported
from bisect_convert.worker.rewrite.edits import Edit, edited

__all__ = ["Moved", "moved"]

#: What no input or output of a Core ML model can be.
_NO_FEATURE = frozenset({tf.string, tf.variant, tf.resource, tf.bool, tf.complex64, tf.complex128, tf.bfloat16})
#: What is made for an encoder: Core ML has no outputs of it either.
_PIXELS = frozenset({tf.uint8, tf.uint16, tf.int8, tf.int16})
#: Ops of layers, which are the model's own work.
_LAYER = re.compile("Conv|MatMul|Einsum|LSTM|GRU|RNN")
#: Ops that compute nothing.
_IDLE = frozenset(
    {"Identity", "IdentityN", "NoOp", "Placeholder", "PlaceholderWithDefault", "Cast", "Reshape", "Squeeze"}
)
#: Ops between the decoding of an image and what brings it to its size, and how many of them there may be.
_PREPARES = re.compile(
    "Cast|ExpandDims|Reshape|Squeeze|Identity|Mul|RealDiv|Sub|AddV2|StridedSlice|Transpose|Reverse|Resize"
)
_STEPS = 12
#: How large a part of a model without layers may be left to the app.
_MOST = 0.7


@dataclass(frozen=True)
class Moved:
    """The program with other boundaries: the edits that moved them, and the names of the ops that make its outputs."""

    program: Any
    results: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    bad: frozenset[str] = frozenset()
    """The ops that were to be left to the app."""
    left: frozenset[str] = frozenset()
    """The ops that are."""


def moved(program: Any, results: Sequence[str], failures: Sequence[Failure], known: frozenset[str]) -> Moved | None:
    """Return the program without what fails, and what works with strings or tables, where that stands at an edge; or None.

    known: the ops that were in the way before, in a program that was edited otherwise.
    """
    graph, sized = imported(program), imported(_with_sizes(program))
    dag = _dag(graph)
    bad = known | _hinted(dag, failures) | _of_app(graph)
    if bad == known:
        return None
    beside = _beside(graph, dag, bad)
    front, back = _parted(graph, dag, bad - beside)
    front, starts = _front(sized, dag, front)
    back = _back(graph, dag, back)
    gone = front | back | beside
    if front & back or not _spared(graph, dag, gone):
        return None
    if not bad & _of_app(graph) and not _layers(graph, dag.nodes - gone):
        return None  # what fails is the model's own work, and nothing would be left of it
    ends = [r for r in results if r not in back | beside]
    edits = [
        Edit((), r, graph.get_operation_by_name(r).type, "passes_by", {"results": ends}) for r in results if r in beside
    ]
    for tensor in sorted(starts, key=lambda t: (t.op.name, -t.value_index)):  # an op's first result stands for the op
        given = {"results": list(results), "shape": _shape(tensor), **_numbered(tensor)}
        edits.append(Edit((), tensor.op.name, tensor.op.type, "starts_here", given))
    back = {n for n in back if not _handle(graph.get_operation_by_name(n))}
    first = sorted(n for n in back if not any(s in back for s in dag.predecessors(n)))
    edits += [Edit((), name, graph.get_operation_by_name(name).type, "ends_before") for name in first]
    if not edits:
        return None
    made = edited(program, edits)
    names = {n.name for n in made.node}
    fresh = [n.name for n in made.node if n.name.endswith("_to_app")]
    left = frozenset(front | back | beside)
    return Moved(made, (*(r for r in ends if r in names), *fresh), tuple(edits), frozenset(bad), left)


def _with_sizes(program: Any) -> Any:
    """The GraphDef in which what a table gives has the shape of its keys, which TensorFlow does not say; not to be run."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(program)
    for node in made.node:
        if node.op == "LookupTableFindV2":
            kinds = node.attr["Tin"].type, node.attr["Tout"].type
            keys = node.input[1]
            node.op = "Cast"
            node.input[:] = [keys]
            node.attr.clear()
            node.attr["SrcT"].type, node.attr["DstT"].type = kinds
    return made


def _beside(graph: Any, dag: nx.DiGraph[str], bad: Iterable[str]) -> set[str]:
    """The ops that hang together with none that compute anything, as a key does that goes in and comes out."""
    parts = list(nx.weakly_connected_components(dag))
    apart = [p for p in parts if p & set(bad) and {graph.get_operation_by_name(n).type for n in p} <= _IDLE]
    return set().union(*apart) if len(apart) < len(parts) else set()


def _hinted(dag: nx.DiGraph[str], failures: Sequence[Failure]) -> set[str]:
    """The ops of the main graph that failed, whatever edits made of them, but for those that stand behind another."""
    found = set()
    for failure in failures:
        name = failure.hint[0].name if failure.hint else ""
        while name and name not in dag:
            name = name.rpartition("/")[0]
        found |= {name} - {""}
    return {name for name in found if not nx.ancestors(dag, name) & found}


def _of_app(graph: Any) -> set[str]:
    """The ops that work with strings or with tables, but for constants and what labels alone are made by."""
    return {
        op.name
        for op in graph.get_operations()
        if any(t.dtype in (tf.string, tf.resource) for t in (*op.inputs, *op.outputs)) and not from_constants(op)
    }


def _dag(graph: Any) -> nx.DiGraph[str]:
    """The ops that something fed leads to, and what reads what."""
    dag: nx.DiGraph[str] = nx.DiGraph()
    fed = [op for op in graph.get_operations() if not from_constants(op)]
    dag.add_nodes_from(op.name for op in fed)
    dag.add_edges_from((t.op.name, op.name) for op in fed for t in op.inputs if t.op.name in dag)
    return dag


def _parted(graph: Any, dag: nx.DiGraph[str], bad: Iterable[str]) -> tuple[set[str], set[str]]:
    """The ops with all before those of the front, and with all behind those of the back: each where less is lost."""
    front: set[str] = set()
    back: set[str] = set()
    for name in bad:
        if name in dag and not _handle(graph.get_operation_by_name(name)):  # that goes with what reads it
            before, behind = nx.ancestors(dag, name), nx.descendants(dag, name)
            if (_layers(graph, before), len(before)) <= (_layers(graph, behind), len(behind)):
                front |= {name, *before}
            else:
                back |= {name, *behind}
    return front, back


def _handle(op: Any) -> bool:
    return op.type.startswith("Placeholder") and bool(op.outputs[0].dtype == tf.resource)


def _numbered(tensor: Any) -> dict[str, int]:
    return {"number": tensor.value_index} if tensor.value_index else {}


def _front(graph: Any, dag: nx.DiGraph[str], front: set[str]) -> tuple[set[str], set[Any]]:
    """The front until what it hands on can be inputs, and those tensors."""
    while True:
        handed = _handed(graph, dag, front)
        unfit = [t for t in handed if t.dtype in _NO_FEATURE or _vague(t) or _shape(t).rank == 0]
        if not unfit:
            narrower = _narrower(graph, dag, front, handed)
            if narrower is None:
                return front, {t for t in handed if not t.op.type.startswith("Placeholder")}
            front = narrower
        for reader in {r.name for t in unfit for r in t.consumers() if r.name in dag}:
            front = front | {reader} | nx.ancestors(dag, reader)


def _handed(graph: Any, dag: nx.DiGraph[str], front: set[str]) -> set[Any]:
    """The tensors that the front hands on."""
    made = [t for n in front for t in graph.get_operation_by_name(n).outputs]
    return {t for t in made if any(r.name not in front and r.name in dag for r in t.consumers())}


def _narrower(graph: Any, dag: nx.DiGraph[str], front: set[str], handed: set[Any]) -> set[str] | None:
    """The front with a reader of its own that takes several of its tensors for one, as the parts of ragged rows are."""
    inputs = {n for n in dag if graph.get_operation_by_name(n).type.startswith("Placeholder")}
    for reader in sorted({r.name for t in handed for r in t.consumers() if r.name in dag} - front):
        wider = front | {reader} | nx.ancestors(dag, reader)
        fresh = wider - front
        if not _layers(graph, fresh) and not fresh & inputs and len(_handed(graph, dag, wider)) < len(handed):
            return wider
    return None


def _vague(tensor: Any) -> bool:
    """Whether sizes are open that are known right behind, where no layer is, or once an image was brought to its size."""
    if tensor.shape.rank is None:
        return _shape(tensor).rank is None
    if tensor.shape.is_fully_defined():
        return False
    readers = tensor.consumers()
    known = all(t.shape.is_fully_defined() for r in readers for t in r.outputs)
    return (known and not any(_LAYER.search(r.type) for r in readers)) or _sized_behind(tensor)


def _shape(tensor: Any) -> Any:
    """The tensor's shape; where TensorFlow knows none, that which a product with a matrix asks for."""
    products = [r for r in tensor.consumers() if r.type == "MatMul" and r.inputs[0] is tensor]
    if tensor.shape.rank is None and products and not products[0].get_attr("transpose_a"):
        other = products[0].inputs[1].shape
        if other.rank == 2:
            return tf.TensorShape([None, other[1 if products[0].get_attr("transpose_b") else 0]])
    return tensor.shape


def _sized_behind(tensor: Any) -> bool:
    """Whether a resizing stands behind it, with nothing between them but what prepares for that."""
    for _ in range(_STEPS):
        readers = [r for r in tensor.consumers() if r.type != "Shape"]
        if len(readers) != 1 or not _PREPARES.match(readers[0].type):
            return False
        if readers[0].type.startswith("Resize"):
            return True
        tensor = readers[0].outputs[0]
    return False


def _back(graph: Any, dag: nx.DiGraph[str], back: set[str]) -> set[str]:
    """The back until what it is handed can be outputs; a draw that only it reads is its own."""
    while True:
        unfit = {
            t.op.name for n in back for t in graph.get_operation_by_name(n).inputs
            if t.op.name in dag and t.op.name not in back
            and (t.dtype in _NO_FEATURE or DRAWS.search(t.op.type) or (t.dtype in _PIXELS and t.op.type != "Placeholder"))
        }  # fmt: skip
        if not unfit:
            return back
        for name in unfit:
            back = back | {name} | nx.descendants(dag, name)


def _spared(graph: Any, dag: nx.DiGraph[str], gone: set[str]) -> bool:
    """Whether what is left to the app is no layer, and either layers are left or no more is gone than may be."""
    names = [name for name in dag if name not in gone]
    if _layers(graph, gone) or not gone:
        return False
    kinds = {graph.get_operation_by_name(name).type for name in names}
    return _layers(graph, names) or (len(gone) <= _MOST * len(dag) and not kinds <= _IDLE)


def _layers(graph: Any, names: Iterable[str]) -> bool:
    """Whether one of these is an op of a layer."""
    return any(_LAYER.search(graph.get_operation_by_name(name).type) for name in names)
