"""The switches of training of TensorFlow 1, scalar inputs, as constants: of their default, or of what inference takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.nodes import controls, data, rewire
from bisect_convert.worker.rewrite.calls import known_branch
from bisect_convert.worker.rewrite.constants import folded, from_constants
from bisect_convert.worker.rewrite.editing import imported, pruned

__all__ = ["default_of", "switches", "with_defaults", "with_default_values"]

#: What scalars of these names and dtypes are in inference, which have no default that says so.
_IN_INFERENCE = (
    (re.compile(r"train|learning_phase", re.IGNORECASE), (tf.bool, tf.int32), 0),
    (re.compile(r"keep_?(prob|rate|ratio)?[^/]*$", re.IGNORECASE), (tf.float32, tf.float16, tf.float64), 1.0),
    (re.compile(r"drop(out)?_?(rate|prob)[^/]*$", re.IGNORECASE), (tf.float32, tf.float16, tf.float64), 0.0),
)


def switches(graph_def: Any) -> list[str]:
    """Return the names of scalar inputs that are called and typed as what tells training from inference, with no default."""
    return [n.name for n in graph_def.node if n.op == "Placeholder" and _in_inference(n) is not None]


def _in_inference(node: Any) -> Any:
    """The value that the input has in inference; None where its name says nothing, or it is no scalar."""
    shape, dtype = tf.TensorShape(node.attr["shape"].shape), tf.as_dtype(node.attr["dtype"].type)
    if shape.rank not in (0, None) or (shape.rank is None and dtype == tf.int32):
        return None
    value = next((v for name, dtypes, v in _IN_INFERENCE if dtype in dtypes and name.search(node.name)), None)
    return None if value is None else dtype.as_numpy_dtype(value)


def with_default_values(graph_def: Any) -> list[str]:
    """Return the names of scalar inputs, which Core ML has none of, with defaults that follow from constants."""
    scalars = [
        n.name
        for n in graph_def.node
        if n.op == "PlaceholderWithDefault" and tf.TensorShape(n.attr["shape"].shape).rank == 0
    ]
    if not scalars:
        return []
    graph = imported(graph_def)
    return [name for name in scalars if from_constants(graph.get_operation_by_name(name).inputs[0].op)]


def default_of(graph_def: Any, name: str) -> Any:
    """Return the value that the input has where none is given, or in inference where it has no default."""
    node = next(n for n in graph_def.node if n.name == name)
    if node.op == "Placeholder":
        return _in_inference(node).item()
    graph = imported(graph_def)
    with tf.compat.v1.Session(graph=graph) as session:
        value = session.run(graph.get_operation_by_name(name).inputs[0])
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value.item()


def with_defaults(graph_def: Any, names: Iterable[str]) -> Any:
    """Return the GraphDef in which these inputs are their defaults, and conditionals that hang on nothing else are decided."""
    wanted = set(names)
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    for node in made.node:
        if node.name in wanted and node.op == "Placeholder":
            value = tf.make_tensor_proto(_in_inference(node))
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = value.dtype
            node.attr["value"].tensor.CopyFrom(value)
        elif node.name in wanted:
            kind = node.attr["dtype"].type
            node.op = "Identity"
            node.attr.clear()
            node.attr["T"].type = kind
    made = _without_dead(made, _decided(made))
    ends = _unread(made, ())
    while (op := _known(made)) is not None:
        predicate = op.inputs[0].op
        made = made if predicate.type == "Const" else folded(made, predicate.name)
        made = known_branch(made, op.name)
    return pruned(made, ends)


def _known(graph_def: Any) -> Any:
    """The first conditional of functions whose predicate follows from constants; None where there is none."""
    ops = imported(graph_def).get_operations()
    return next((op for op in ops if op.type in ("If", "StatelessIf") and from_constants(op.inputs[0].op)), None)


def _without_dead(graph_def: Any, decided: Mapping[str, bool]) -> Any:
    """The GraphDef without what is never computed, as TensorFlow's executor has it: a Merge takes what is alive."""
    pivots = _pivots(graph_def)
    ends = _unread(graph_def, pivots)
    seen: set[str] = set()
    dead: set[str] = set()  # ops, and results of those Switch ops that are alive
    taken: dict[str, int] = {}
    for node in _in_order(graph_def):
        reads = data(node)
        alive = [t for t in reads if op_of(t) not in dead and (t if ":" in t else f"{t}:0") not in dead]
        seen.add(node.name)
        if node.op == "Merge" and any(op_of(t) in seen for t in alive):  # what comes later is the next turn of a loop
            if len(alive) == 1:
                taken[node.name] = reads.index(alive[0])
                _hand_on(node, alive[0])
        elif node.op == "Merge" or len(alive) < len(reads) or any(op in dead for op in controls(node)):
            dead.add(node.name)
        elif node.name in decided:
            dead.add(f"{node.name}:{0 if decided[node.name] else 1}")
    gone = dead | pivots
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    del made.node[:]
    for node in (n for n in graph_def.node if n.name not in gone):
        if node.name in decided:
            _hand_on(node, data(node)[0])
        rewire(node, lambda t: op_of(t) if op_of(t) in decided else t, waits=lambda op: op not in gone)
        made.node.append(node)
    return pruned(_with_indices(made, taken), ends)


def _with_indices(graph_def: Any, taken: Mapping[str, int]) -> Any:
    """The GraphDef in which a Merge that became an Identity has its second result, which branch it took, as a constant."""
    read = {t for node in graph_def.node for t in data(node)}
    known = {f"{name}:1": f"{name}/value_index" for name in taken if f"{name}:1" in read}
    for node in graph_def.node:
        rewire(node, lambda t: known.get(t, t))
    for tensor, name in known.items():
        value = tf.make_tensor_proto(taken[op_of(tensor)], tf.int32)
        node = graph_def.node.add(name=name, op="Const")
        node.attr["dtype"].type = value.dtype
        node.attr["value"].tensor.CopyFrom(value)
    return graph_def


def _unread(graph_def: Any, but: Collection[str]) -> list[str]:
    """The ops that nothing reads, but for these: what the model ends in."""
    read = {op_of(t) for node in graph_def.node for t in data(node)}
    return [n.name for n in graph_def.node if n.name not in read and n.name not in but]


def _pivots(graph_def: Any) -> set[str]:
    """The ops that hold a branch back until it is taken: Identities of a Switch that are waited for and not read."""
    nodes = {n.name: n for n in graph_def.node}
    read = {op_of(t) for node in graph_def.node for t in data(node)}
    held = {n for n in nodes if nodes[n].op == "Identity" and n not in read}
    return {n for n in held if nodes[op_of(data(nodes[n])[0])].op == "Switch"}


def _hand_on(node: Any, tensor: str) -> None:
    """Let the node be an Identity of the tensor."""
    kind = node.attr["T"].type
    node.op = "Identity"
    node.attr.clear()
    node.attr["T"].type = kind
    rewire(node, tensors=[tensor])


def _decided(graph_def: Any) -> Mapping[str, bool]:
    """The Switch ops whose predicate follows from constants alone, and what it is."""
    graph = imported(graph_def)
    predicates = {
        op.name: op.inputs[1]
        for op in graph.get_operations()
        if op.type == "Switch" and from_constants(op.inputs[1].op)
    }
    found = {}
    with tf.compat.v1.Session(graph=graph) as session:
        for name, predicate in predicates.items():
            try:
                found[name] = bool(session.run(predicate))
            except tf.errors.InvalidArgumentError:  # it stands in a branch that is not taken
                continue
    return found


def _in_order(graph_def: Any) -> list[Any]:
    """The nodes, each behind those that it reads."""
    nodes = {n.name: n for n in graph_def.node}
    return [nodes[op.name] for op in imported(graph_def).get_operations()]
