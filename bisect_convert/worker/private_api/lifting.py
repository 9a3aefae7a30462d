"""TensorFlow's `lift_to_graph` with the ops copied in one import, where that makes the graph that it makes one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import lift_to_graph as lifting
from tensorflow.python.eager import wrap_function

__all__ = ["NEEDED", "lifted_at_once"]

#: The private attributes that this module uses.
NEEDED: tuple[tuple[Any, str], ...] = (
    (lifting, "_copy_non_source"),
    (lifting, "lift_to_graph"),
    (wrap_function, "lift_to_graph"),
)
#: The attributes that a node loses as it is copied, and one that it gets where another waits for it.
_LOST, _WAITED_FOR = ("_class", "_tpu_replicate"), "_has_manual_control_dependencies"


@contextlib.contextmanager
def lifted_at_once() -> Iterator[None]:
    """Within, functions are pruned to the graphs that they ever are, sooner."""

    class AtOnce:
        """The module as `WrappedFunction.prune` uses it."""

        @staticmethod
        def lift_to_graph(tensors: Any, graph: Any, sources: Any, base_graph: Any) -> Any:
            lift = _lifted if _plain(base_graph) else lifting.lift_to_graph
            return lift(tensors, graph, sources=sources, base_graph=base_graph)

    wrap_function.lift_to_graph = AtOnce
    try:
        yield
    finally:
        wrap_function.lift_to_graph = lifting


def _plain(graph: Any) -> bool:
    """Whether copying the ops one by one would rename none, define no functions, and meet each op after what it reads."""
    ops = graph.get_operations()
    return (
        not getattr(graph, "_functions", True)
        and len({op.name.lower() for op in ops}) == len(ops)
        and not any(op.type in ("Merge", "RefMerge") for op in ops)
        and not any(reached.type.startswith("Placeholder") for op in ops for reached in op.control_inputs)
    )


def _lifted(tensors: Any, graph: Any, *, sources: Any, base_graph: Any) -> Any:
    """Lift as TensorFlow does: it says which ops, in which order, and copies the sources."""
    order: list[Any] = []

    def noted(op: Any, graph: Any, op_map: Any, base_graph: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        order.append(op)
        op_map[op] = op
        return (), ()

    copy = lifting._copy_non_source
    lifting._copy_non_source = noted
    try:
        op_map = lifting.lift_to_graph(tensors, graph, sources=sources, base_graph=base_graph)
    finally:
        lifting._copy_non_source = copy
    _import(base_graph, [op.name for op in order], {s.name: op_map[s] for s in sources}, graph)
    for op in order:
        op_map[op] = copied = graph.get_operation_by_name(op.name)
        for output, made in zip(op.outputs, copied.outputs, strict=True):
            op_map[output] = made
    return op_map


def _import(base_graph: Any, names: Sequence[str], sources: dict[str, Any], graph: Any) -> None:
    """Add these nodes of the one graph to the other in this order, which reads its own tensors in place of the sources."""
    nodes = {node.name: node for node in base_graph.as_graph_def().node}
    chosen = tf.compat.v1.GraphDef(node=[nodes[name] for name in names])
    chosen.versions.producer = graph.graph_def_versions.producer
    kept = {node.name: node for node in chosen.node}
    for node in chosen.node:
        for name in [tensor[1:] for tensor in node.input if tensor[0] == "^"]:
            kept[name].attr[_WAITED_FOR].b = True
    for node in chosen.node:
        _as_copied(node)
    read = {tensor if ":" in tensor else f"{tensor}:0" for node in chosen.node for tensor in node.input}
    with graph.as_default():
        tf.graph_util.import_graph_def(chosen, name="", input_map={n: t for n, t in sources.items() if n in read})


def _as_copied(node: Any) -> None:
    """Take from the node what creating it anew would not give it, such as waiting for what it reads anyway."""
    node.ClearField("experimental_debug_info")
    for attribute in [a for a in node.attr if a.startswith(_LOST)]:
        del node.attr[attribute]
    reads = {tensor.partition(":")[0] for tensor in node.input}
    node.input[:] = [tensor for tensor in node.input if tensor[0] != "^" or tensor[1:] not in reads]
