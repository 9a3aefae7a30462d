"""The graph with the shapes that a call gives to its inputs. Runs in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.arguments.input_corrections import fits

__all__ = ["declared", "shape_of", "with_shapes"]


def with_shapes(graph_def: Any, inputs: Iterable[Mapping[str, Any]]) -> tuple[Any, list[dict[str, Any]], bool]:
    """Import the graph with the shapes that the caller gave to its inputs, as far as they do not contradict its own.

    Returns it, what its inputs are, and whether TensorFlow refuses those shapes: then the graph has the model's own.
    """
    placeholders = {n.name: n for n in graph_def.node if n.op in ("Placeholder", "PlaceholderWithDefault")}
    given: dict[str, list[int | None]] = {}
    for spec in inputs:
        name = spec.get("name") or (next(iter(placeholders)) if len(placeholders) == 1 else None)
        if name is not None and name in placeholders and spec.get("static") is not None:
            given[name] = spec["static"]
    refused = False
    try:
        graph = _imported(graph_def, given)
    except ValueError:  # no shape can be inferred from those given
        graph, refused = _imported(graph_def, {}), True
    facts = [
        {
            "name": n,
            "dtype": tf.as_dtype(p.attr["dtype"].type).name,
            "shape": shape_of(graph.get_tensor_by_name(f"{n}:0")),
            "declared": declared(p),
        }
        for n, p in placeholders.items()
    ]
    return graph, facts, refused


def _imported(graph_def: Any, given: dict[str, list[int | None]]) -> Any:
    shaped = tf.compat.v1.GraphDef()
    shaped.CopyFrom(graph_def)
    for node in shaped.node:
        if node.name in given:
            _give(node, given[node.name])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(shaped, name="")
    for op in graph.get_operations():
        _say_shape(op)
    return graph


def _say_shape(op: Any) -> None:
    """Give the op's results the shapes that follow from it or its readers where TensorFlow has lost them."""
    if op.type == "LookupTableFindV2":  # freezing loses the table, and with it the shape of its values
        keys, default = op.inputs[1].shape, op.inputs[2].shape
        op.outputs[0].set_shape(keys.concatenate(default))
    for tensor in op.outputs:
        readers = [c for c in tensor.consumers() if c.type == "EnsureShape"] if tensor.shape.rank is None else []
        if readers:
            tensor.set_shape(readers[0].outputs[0].shape)


def declared(node: Any) -> list[int | None] | None:
    """Return the shape that an input's node declares, None for an unknown rank."""
    shape = node.attr["shape"].shape
    if shape.unknown_rank or "shape" not in node.attr:
        return None
    return [d.size if d.size >= 0 else None for d in shape.dim]


def _give(node: Any, sizes: list[int | None]) -> None:
    """Write the given shape into the input, unless it contradicts the model's own, which also stands where a size is open."""
    own = declared(node)
    if own is not None:
        if not fits(sizes, own):
            return
        sizes = [a if b is None else b for a, b in zip(own, sizes, strict=True)]
    shape = node.attr["shape"].shape
    shape.Clear()
    shape.dim.extend(type(shape).Dim(size=-1 if s is None else s) for s in sizes)
    if "_output_shapes" in node.attr:
        del node.attr["_output_shapes"]


def shape_of(tensor: Any) -> list[int | None] | None:
    """Return the shape of a tensor of TensorFlow: None for an unknown size, and for an unknown rank."""
    return None if tensor.shape.rank is None else tensor.shape.as_list()
