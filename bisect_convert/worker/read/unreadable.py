"""Models that TensorFlow cannot read: which of their ops it does not know, from the file alone. Runs in a worker.

Nothing is imported into TensorFlow: an op whose type it has never heard of has no shapes, and often no dtypes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format

from bisect_convert.model import facts
from bisect_convert.model.graph import Graph, Op, Tensor
from bisect_convert.model.names import op_of
from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import called_by_role, data, functions_of
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.writing import layer_of

__all__ = ["saved_graph", "write_unread"]


def saved_graph(folder: str, signature: str) -> tuple[Any, list[str]]:
    """Return the GraphDef of a SavedModel and the nodes that the signature's results come from (all, if it is not there)."""
    saved = private_api.saved_model_pb2.SavedModel()
    path = Path(folder) / "saved_model.pb"
    if path.is_file():
        saved.ParseFromString(path.read_bytes())
    else:
        text_format.Parse((Path(folder) / "saved_model.pbtxt").read_text(), saved)
    meta = next((m for m in saved.meta_graphs if "serve" in m.meta_info_def.tags), saved.meta_graphs[0])
    results = meta.signature_def[signature].outputs.values() if signature in meta.signature_def else ()
    return meta.graph_def, [op_of(r.name) for r in results] or [n.name for n in meta.graph_def.node]


def write_unread(graph_def: Any, roots: Iterable[str], folder: Path, reading: Reading) -> dict[str, Any] | None:
    """Write facts on the part of the graph that the roots need, to blame the ops that TensorFlow has no type or body for.

    Returns None, and writes nothing, where there is no such op. reading: with a failure; where it has ops to blame, these
    are, if any.
    """
    main = _needed(graph_def.node, roots)
    graphs = {"": Graph("", _ops(main))}
    library = {f.signature.name: f for f in graph_def.library.function}
    unknown: list[tuple[str, str]] = []
    todo = [("", main)]
    while todo:
        name, nodes = todo.pop(0)
        for node in nodes:
            called = functions_of(node)
            if not private_api.registered(node.op) or set(called) - set(library):
                unknown.append((name, node.name))
            for function in called:
                if function in library and function not in graphs:
                    graphs[function] = _body(library[function], name, node)
                    todo.append((function, list(library[function].node_def)))
    if not unknown and reading.blamed is None:
        return None
    digest = hashlib.sha256(graph_def.SerializeToString(deterministic=True)).hexdigest()
    facts.write(
        facts.Facts(
            reading.path, reading.signature, reading.signatures, digest, graphs, dict.fromkeys(graphs, "graph.pb"),
            failure=reading.failure, blamed=tuple(unknown) if reading.blamed is None else reading.blamed,
        ),
        folder,
    )  # fmt: skip
    for file in ("graph.pb", "weights.pb"):
        (folder / file).write_bytes(tf.compat.v1.GraphDef().SerializeToString())
    return {"ops": len(main), "slim": 0}


def _body(function: Any, graph: str, node: Any) -> Graph:
    roles = {name: role for role, name in called_by_role(node)}
    name = function.signature.name
    parameters = {a.name: _parameter(a) for a in function.signature.input_arg}
    return Graph(name, {**parameters, **_ops(function.node_def)}, (), (graph, node.name, roles.get(name, "call")))


def _needed(nodes: Iterable[Any], roots: Iterable[str]) -> list[Any]:
    """The nodes that the roots are computed from, in the order of the graph."""
    by_name = {n.name: n for n in nodes}
    todo, found = [r for r in roots if r in by_name], set()
    while todo:
        name = todo.pop()
        if name in by_name and name not in found:
            found.add(name)
            todo += [op_of(i) for i in by_name[name].input]
    return [n for n in by_name.values() if n.name in found]


def _ops(nodes: Iterable[Any]) -> dict[str, Op]:
    nodes = list(nodes)
    read: dict[str, set[str]] = {}
    for tensor in (_tensor(i) for n in nodes for i in data(n)):
        read.setdefault(op_of(tensor), set()).add(tensor)
    return {
        n.name: Op(
            n.name, n.op, tuple(_tensor(i) for i in data(n)),
            tuple(_outputs(n, sorted(read.get(n.name, {f"{n.name}:0"})))), tuple(called_by_role(n)), n.op == "Const",
            layer=layer_of(n.name),
        )
        for n in nodes
    }  # fmt: skip


def _parameter(argument: Any) -> Op:
    dtype = tf.as_dtype(argument.type).name if argument.type else "unknown"
    return Op(argument.name, "Placeholder", (), (Tensor(f"{argument.name}:0", dtype, None),))


def _tensor(tensor: str) -> str:
    """A tensor's name with its index: FunctionDefs write "op:argument:index", GraphDefs leave a 0 out."""
    op, _, rest = tensor.partition(":")
    return f"{op}:{rest.rpartition(':')[2] or 0}"


def _outputs(node: Any, names: list[str]) -> Iterator[Tensor]:
    """The outputs that anything reads; where the node does not say their dtype, it is called unknown."""
    dtypes = {a.type for k, a in node.attr.items() if k in ("T", "dtype", "Tout", "out_type") and a.type}
    dtype = tf.as_dtype(dtypes.pop()).name if len(dtypes) == 1 else "unknown"
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    for name in names:
        index = int(name.rpartition(":")[2])
        known = index < len(shapes) and not shapes[index].unknown_rank
        sizes = tuple(d.size if d.size >= 0 else None for d in shapes[index].dim) if known else None
        yield Tensor(name, dtype, sizes)
