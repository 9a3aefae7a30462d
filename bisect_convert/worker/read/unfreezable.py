"""Ops that keep a model from freezing, and the model without them. Runs in a worker.

Freezing turns each variable into a constant. What writes to a variable, or reads its handle where a body has none to
give, cannot be frozen with it. Without those ops the rest can, so that it can be searched as any model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import functions_of, rewire
from bisect_convert.worker.read.handles import fewer_rows, in_words, oversized

__all__ = ["Kept", "without_keepers"]

_WRITES = re.compile(
    r"(Assign\w*VariableOp|Resource(Scatter|Apply|SparseApply|StridedSliceAssign|CountUpTo)\w*|Rng\w+|"
    r"Stateful(Uniform|StandardNormal|TruncatedNormal|RandomBinomial)\w*|NonDeterministicInts)"
)
_NODE = re.compile(r"(?:node|Node:|op:?) '?\{*(?:\{?node )?([\w./\-]+)")
_RENAMED = "_rest"
_MOST_ROUNDS = 4

Place = tuple[str, str]


@dataclass(frozen=True)
class Kept:
    """What keeps a model from freezing: `blamed` are ops as (function, op).

    rest: the GraphDef that freezes without them, or None; large: the variables too large for a constant, by what reads them.
    """

    blamed: tuple[Place, ...]
    rest: Any | None = None
    large: Mapping[Place, str] = field(default_factory=dict)


def without_keepers(function: Any, error: BaseException) -> Kept:
    """Return what keeps the concrete function from freezing.

    error: what freezing it raised. What the error names is blamed, and whatever writes to a variable: it would be next.
    """
    graph_def = function.graph.as_graph_def(add_shapes=True)
    large = {place: in_words(variable) for place, variable in oversized(function, graph_def).items()}
    blamed = [(g, n.name) for g, n in _nodes(graph_def) if _WRITES.fullmatch(n.op)]
    blamed += _named(graph_def, error, blamed)
    rest = None
    for _ in range(_MOST_ROUNDS):
        try:
            rest = private_api.freeze(_without(function, graph_def, blamed))
            break
        except Exception as another:
            further = _named(graph_def, another, blamed)
            if not further:
                break
            blamed += further
    return Kept((*large, *(place for place in blamed if place not in large)), rest, large)


def _nodes(graph_def: Any) -> Iterator[tuple[str, Any]]:
    """The nodes of the main graph and of the functions that it reaches, each with the name of its function."""
    library = {f.signature.name: f for f in graph_def.library.function}
    yield from (("", node) for node in graph_def.node)
    todo, seen = [graph_def.node], set()
    while todo:
        for name in (n for node in todo.pop() for n in functions_of(node)):
            if name in library and name not in seen:
                seen.add(name)
                yield from ((name, node) for node in library[name].node_def)
                todo.append(library[name].node_def)


def _named(graph_def: Any, error: BaseException, known: list[Place]) -> list[Place]:
    """The ops that read a handle and that the message names by a path that ends like theirs, with others of their type."""
    paths = _NODE.findall(str(error))
    nodes = [(g, n) for g, n in _nodes(graph_def) if n.op.startswith("Resource") and (g, n.name) not in known]
    kinds = {(bool(g), n.op) for g, n in nodes if any(p == n.name or p.endswith("/" + n.name) for p in paths)}
    return [(g, n.name) for g, n in nodes if (bool(g), n.op) in kinds]


def _without(function: Any, graph_def: Any, blamed: list[Place]) -> Any:
    """The concrete function without the ops, and with fewer rows of what is too large to freeze.

    Its functions get other names, since TensorFlow knows these already.
    """
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    for name, nodes, body in [
        ("", made.node, None),
        *((f.signature.name, f.node_def, f) for f in made.library.function),
    ]:
        _remove(nodes, {op for graph, op in blamed if graph == name}, body)
    _rename(made)
    variables = [fewer_rows(v) for v in function.graph.variables]
    handles = {id(old.handle): new.handle for old, new in zip(function.graph.variables, variables, strict=True)}
    captured = {inner.op.name: handles.get(id(outer), outer) for outer, inner in function.graph.captures}
    inputs = [t.name for t in function.inputs if t.op.name not in captured]
    rest = private_api.function_of(made, inputs, [t.name for t in function.outputs], captured, variables)
    rest._bisect_convert_owner = variables  # the graph holds them weakly
    return rest


def _remove(nodes: Any, gone: set[str], body: Any | None) -> None:
    kept = []
    for node in nodes:
        if node.name not in gone:
            kept.append(node)
        elif (stand_in := _STAND_INS.get(node.op, _constant)(node, body is not None)) is not None:
            kept += stand_in
    left = {node.name for node in kept}
    copies = []
    for node in kept:
        copies.append(copy := tf.compat.v1.NodeDef())
        copy.CopyFrom(node)
        rewire(
            copy,
            lambda tensor: tensor if body is None else _output(tensor, gone),
            waits=lambda op: op in left or op not in gone,
        )
    del nodes[:]
    nodes.extend(copies)
    if body is not None:
        for key in [k for k, n in body.control_ret.items() if n in gone - left]:
            del body.control_ret[key]
            body.signature.control_output.remove(key)


def _output(tensor: str, replaced: set[str]) -> str:
    """The tensor of a body, "op:argument:index"; that of a stand-in is called as those of Const and GatherV2 are."""
    op, _, rest = tensor.partition(":")
    return f"{op}:output:0" if rest and op in replaced else tensor


def _constant(node: Any, in_function: bool) -> list[Any] | None:
    """Zeros in place of an op that makes values, None for one that only writes; raises ValueError for an open shape."""
    dtype = node.attr["dtype"].type or tf.int64.as_datatype_enum
    if node.op.startswith(("Assign", "Resource")):
        return None
    shapes = node.attr["_output_shapes"].list.shape
    shape = [d.size for d in shapes[0].dim] if shapes and not shapes[0].unknown_rank else [-1]
    if -1 in shape and node.op == "RngReadAndSkip":
        dtype, shape = tf.int64.as_datatype_enum, [3]
    if -1 in shape:
        raise ValueError(f"{node.name} makes values of a shape that is not known")
    made = tf.compat.v1.NodeDef(name=node.name, op="Const")
    made.attr["dtype"].type = dtype
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros(shape), tf.as_dtype(dtype), shape))
    return [made]


def _gather(node: Any, in_function: bool) -> list[Any]:
    """A gather from the variable's value in place of one from its handle."""
    read = tf.compat.v1.NodeDef(name=f"{node.name}/value", op="ReadVariableOp", input=[node.input[0]])
    read.attr["dtype"].type = node.attr["dtype"].type
    axis = tf.compat.v1.NodeDef(name=f"{node.name}/axis", op="Const")
    axis.attr["dtype"].type = tf.int32.as_datatype_enum
    axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
    ends = (":value:0", ":output:0") if in_function else ("", "")
    made = tf.compat.v1.NodeDef(
        name=node.name, op="GatherV2", input=[read.name + ends[0], node.input[1], axis.name + ends[1]]
    )  # fmt: skip
    made.attr["Tparams"].type = node.attr["dtype"].type
    made.attr["Tindices"].type = node.attr["Tindices"].type
    made.attr["Taxis"].type = tf.int32.as_datatype_enum
    made.attr["batch_dims"].i = node.attr["batch_dims"].i
    return [read, axis, made]


_STAND_INS: dict[str, Callable[[Any, bool], list[Any] | None]] = {"ResourceGather": _gather}


def _rename(graph_def: Any) -> None:
    own = {f.signature.name for f in graph_def.library.function}
    nodes = [*graph_def.node, *(n for f in graph_def.library.function for n in f.node_def)]
    for node in nodes:
        node.attr.pop("_output_shapes", None)  # those of a loop that a variable runs through change in freezing
    for reference in (f for node in nodes for a in node.attr.values() for f in [a.func, *a.list.func]):
        if reference.name in own:
            reference.name += _RENAMED
    for function in graph_def.library.function:
        function.signature.name += _RENAMED
    del graph_def.library.gradient[:]
