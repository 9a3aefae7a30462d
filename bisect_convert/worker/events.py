"""An events file of TensorBoard, from plain data. Runs in a worker: its records are TensorFlow's protocol buffers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.errors import EnvironmentError_
from bisect_convert.worker.request import Events

__all__ = ["write"]

v1 = tf.compat.v1
#: What a file begins with whose records are of this form.
_VERSION = "brain.Event:2"


def write(request: Events) -> dict[str, Any]:
    """Write the graphs and texts of the request to `out`, one graph with the others as its functions."""
    try:
        with tf.io.TFRecordWriter(request.out) as file:
            for event in _events(request):
                event.wall_time = time.time()
                file.write(event.SerializeToString())
    except tf.errors.OpError as error:  # of TensorFlow's file system
        raise EnvironmentError_(f"the events cannot be written: {error.message}") from error
    return {"out": request.out}


def _events(request: Events) -> Iterator[Any]:
    yield v1.Event(file_version=_VERSION)
    yield v1.Event(graph_def=_graph_def(request.graphs).SerializeToString())
    for tag, text in request.texts:
        value = v1.Summary.Value(tag=tag, tensor=tf.make_tensor_proto(text.encode("utf-8", "backslashreplace")))
        value.metadata.plugin_data.plugin_name = "text"
        yield v1.Event(summary=v1.Summary(value=[value]))


def _graph_def(graphs: tuple[Mapping[str, Any], ...]) -> Any:
    made = v1.GraphDef()
    for graph in graphs:
        nodes = made.node
        if graph["name"]:
            function = made.library.function.add()
            function.signature.name = graph["name"]
            nodes = function.node_def
        for fact in graph["nodes"]:
            _fill(nodes.add(), fact)
    return made


def _fill(node: Any, fact: Mapping[str, Any]) -> None:
    node.name, node.op, node.device = fact["name"], fact["op"], fact["device"]
    node.input.extend(fact["inputs"])
    for name, text in fact["facts"].items():
        node.attr[name].s = text.encode("utf-8", "backslashreplace")
    for role, body in fact["calls"]:
        node.attr[role].func.name = body
    for shape in fact["shapes"]:
        added = node.attr["_output_shapes"].list.shape.add()
        added.unknown_rank = shape is None
        for size in shape or ():
            added.dim.add(size=size)
