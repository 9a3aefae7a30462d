"""A model that starts later or ends earlier: what is in front or behind is left to the app. Scripts hold the text of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.constants import from_constants
from bisect_convert.worker.rewrite.editing import imported

__all__ = ["as_classifier", "ends_before", "passes_by", "starts_here"]


def starts_here(graph_def: Any, name: str, results: Sequence[str], shape: Any, number: int = 0) -> Any:
    """The model starts here: what the op made is an input of that name, and what led to it is left to the app.

    results: the ops that make the model's outputs; shape: of the input, which TensorFlow may not know;
    number: of the op's result, in the input's name too where it is not the first.
    """
    graph = imported(graph_def)
    given = graph.get_operation_by_name(name).outputs[number]
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    if number:
        node = made.node.add()
        node.name = f"{name}_result{number}"
        for reader in made.node:
            reader.input[:] = [node.name if i == given.name else i for i in reader.input]
    else:
        node = next(n for n in made.node if n.name == name)
        node.Clear()
        node.name = name
    node.op = "Placeholder"
    node.attr["dtype"].type = given.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(shape.as_proto())
    needed = _needed(made, results)
    led = _needed(graph_def, [name])  # inputs that nothing reads stay as they were
    inputs = {n.name for n in made.node if n.op.startswith("Placeholder") and n.name not in led}
    return _kept(made, {n.name for n in made.node if n.name in needed | inputs})


def passes_by(graph_def: Any, name: str, results: Sequence[str]) -> Any:
    """What this op makes hangs on nothing that the model computes: the app keeps it, and hands it on itself.

    results: the ops that make the model's other outputs.
    """
    gone = _needed(graph_def, [name]) - _needed(graph_def, results)
    return _kept(graph_def, {n.name for n in graph_def.node} - gone)


def ends_before(graph_def: Any, name: str) -> Any:
    """The model ends before this op: what it read is an output, and the op with all behind it is left to the app."""
    graph = imported(graph_def)
    gone = {name}
    for op in graph.get_operations():  # in their order: an op stands behind those that it reads
        if any(t.op.name in gone for t in op.inputs):
            gone.add(op.name)
    tables = {op for op in graph.get_operations() if op.type == "Placeholder" and op.outputs[0].dtype == tf.resource}
    gone |= {op.name for op in tables if all(r.name in gone for r in op.outputs[0].consumers())}
    left = _kept(graph_def, {n.name for n in graph_def.node} - gone)
    read = {t for n in sorted(gone) for t in graph.get_operation_by_name(n).inputs if t.op.name not in gone}
    for tensor in sorted(read, key=lambda t: t.name):
        name = f"{tensor.name.replace(':', '_')}_to_app"
        if not from_constants(tensor.op) and name not in {n.name for n in left.node}:
            node = left.node.add(name=name, op="Identity", input=[tensor.name])
            node.attr["T"].type = tensor.dtype.as_datatype_enum
    return left


def as_classifier(graph_def: Any, name: str, output: str, scores: str) -> Any:
    """The table of class names is that of a classifier: Core ML gives the likeliest one's, and the scores by name.

    name: of the op that gave the name; output: the op that gives the scores, new where there is none.
    """
    made = _kept(graph_def, {n.name for n in graph_def.node} - {name})
    if output not in {n.name for n in made.node}:
        node = made.node.add(name=output, op="Identity", input=[scores])
        node.attr["T"].type = imported(graph_def).get_tensor_by_name(scores).dtype.as_datatype_enum
    return made


def _needed(graph_def: Any, ends: Sequence[str]) -> set[str]:
    """The names of the nodes that one of these needs to be computed: what they only wait for is none."""
    nodes = {n.name: n for n in graph_def.node}
    todo, found = [n for n in ends if n in nodes], set(ends)
    while todo:
        inputs = nodes[todo.pop()].input
        sources = {i.partition(":")[0] for i in inputs if not i.startswith("^")} - found
        found |= sources
        todo += sources & nodes.keys()
    return found


def _kept(graph_def: Any, names: set[str]) -> Any:
    """The GraphDef with these nodes only, which wait for no other."""
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    made.node.extend(n for n in graph_def.node if n.name in names)
    for node in made.node:
        node.input[:] = [i for i in node.input if not i.startswith("^") or i[1:] in names]
    return made
