"""Culprits planted in frozen graphs: after any tensor, in the main graph or in the body of a loop or cond."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert import Report, find
from bisect_convert.model.graph import Model, Tensor
from bisect_convert.probe.client import Workers
from bisect_convert.worker import private_api

__all__ = ["KINDS", "Place", "blamed", "places", "plant", "report_on"]

#: What is planted: how it is made of a tensor, and which of its ops are to blame (by the ends of their names).
KINDS: dict[str, tuple[Callable[[tf.Tensor, str], tf.Tensor], tuple[str, ...]]] = {
    "roll": (lambda x, name: tf.roll(x, 1, 0, name=f"{name}/Roll"), ("Roll",)),
    "erfc": (lambda x, name: tf.math.erfc(x, name=f"{name}/Erfc"), ("Erfc",)),
    "cast": (lambda x, name: _through(x, name, "Bool", tf.bool), ("Bool",)),
    "int8": (lambda x, name: _through(x, name, "Int8", tf.int8), ("Int8",)),
    "rank6": (lambda x, name: _rank6(x, name), ("Six", "Work")),
    "benign": (lambda x, name: tf.math.atan(x, name=f"{name}/Atan"), ()),
}


def _through(x: tf.Tensor, name: str, op: str, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.cast(x, dtype, name=f"{name}/{op}"), x.dtype, name=f"{name}/Back")


def _rank6(x: tf.Tensor, name: str) -> tf.Tensor:
    sizes = x.shape.as_list()
    wide = tf.reshape(x, [1] * (6 - len(sizes)) + sizes, name=f"{name}/Six")
    return tf.reshape(tf.tanh(wide, name=f"{name}/Work"), sizes, name=f"{name}/Back")


@dataclass(frozen=True)
class Place:
    """A float tensor after which something can be planted; `graph` is "" or the name of a body."""

    graph: str
    tensor: Tensor

    def takes(self, kind: str) -> bool:
        """True where that kind can be planted here."""
        shape = self.tensor.shape
        return kind != "rank6" or (shape is not None and None not in shape)


def places(model: Model) -> list[Place]:
    """Every place of a model, in order, but for what nothing reads in a body: coremltools may leave that out."""
    return [
        Place(graph.name, tensor)
        for graph in model.graphs.values()
        for name in graph.sorted(graph.order)
        for tensor in graph.ops[name].outputs
        if tensor.dtype == "float32" and tensor.shape and name not in graph.shape_arithmetic
        if not graph.name or tensor.name in {*graph.results, *(t for op in graph.ops.values() for t in op.inputs)}
    ]


def plant(graph_def: Any, place: Place, kind: str, name: str) -> set[tuple[str, str]]:
    """Plant in place; return (name, function) of the ops to blame. What read the tensor now reads what is planted."""
    make, guilty = KINDS[kind]
    with tf.Graph().as_default() as graph:
        stand_in = tf.compat.v1.placeholder(place.tensor.dtype, place.tensor.shape, name="stand_in")
        last = make(stand_in, name)
    fresh = [n for n in graph.as_graph_def().node if n.name != "stand_in"]
    if place.graph:
        _into_function(graph_def, place, fresh, last)
    else:
        _into_graph(graph_def.node, place.tensor.name.removesuffix(":0"), fresh, last.op.name)
    return {(f"{name}/{end}", place.graph) for end in guilty}


def _into_graph(nodes: Any, tensor: str, fresh: list[Any], last: str) -> None:
    for node in nodes:
        _rename(node, {tensor: last, f"{tensor}:0": last})
    at = 1 + [n.name for n in nodes].index(tensor.partition(":")[0])
    for node in reversed(fresh):
        _rename(node, {"stand_in": tensor})
        nodes.insert(at, node)


def _into_function(graph_def: Any, place: Place, fresh: list[Any], last: tf.Tensor) -> None:
    (function,) = (f for f in graph_def.library.function if f.signature.name == place.graph)
    full = {flat: name for name, flat in private_api.flat_names(function).items()}
    tensor = full.get(place.tensor.name, place.tensor.name.removesuffix(":0"))
    with_arguments = {n.name: f"{n.name}:{_output(n)}:0" for n in fresh}
    for node in function.node_def:
        _rename(node, {tensor: with_arguments[last.op.name]})
    for key, value in function.ret.items():
        if value == tensor:
            function.ret[key] = with_arguments[last.op.name]
    for node in fresh:
        _rename(node, {**with_arguments, "stand_in": tensor})
        function.node_def.add().CopyFrom(node)


def _output(node: Any) -> str:
    from tensorflow.python.framework import op_def_registry

    return str(op_def_registry.get(node.op).output_arg[0].name)


def _rename(node: Any, names: dict[str, str]) -> None:
    inputs = [names.get(i, i) for i in node.input]
    del node.input[:]
    node.input.extend(inputs)


def report_on(graph_def: Any, workers: Workers) -> Report:
    """Search the frozen graph as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.pb"
        path.write_bytes(graph_def.SerializeToString())
        return find(path, workers=workers)


def blamed(report: Report) -> set[tuple[str, str]]:
    """(name, function) of every culprit of every finding."""
    return {(c.name, c.function or "") for f in report.findings for c in f.culprits}
