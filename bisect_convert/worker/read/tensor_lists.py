"""What is in the tensor lists of a graph (TensorFlow's TensorArray), so that a cut may take one apart. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.model.graph import Items
from bisect_convert.model.names import LOOPS

__all__ = ["list_items"]

#: Which input of an op is the list that it hands on as its first result.
_HANDED_ON = ("TensorListSetItem", "Identity")


def list_items(graph: Any, given: Mapping[str, Items], body: Callable[[Any], Any | None]) -> dict[str, Items]:
    """Return what is known of the lists by tensor: `given` for parameters, and what follows from where lists are made.

    `body` returns the graph of a loop's body: where a list is made without saying what it holds, what is written tells.
    """
    found = dict(given)
    for op in graph.get_operations():
        if op.type == "TensorListReserve":
            made = _reserved(op, body)
        elif op.type == "TensorListFromTensor":
            made = _items(op.inputs[0].dtype, op.inputs[0].shape[1:], op.inputs[0].shape[:1])
        elif op.type in _HANDED_ON and op.inputs:
            made = found.get(op.inputs[0].name)
        elif op.type in LOOPS:
            found.update({o.name: found[i.name] for i, o in zip(op.inputs, op.outputs, strict=True) if i.name in found})
            continue
        else:
            continue
        if made is not None:
            found[op.outputs[0].name] = made
    return found


def _reserved(op: Any, body: Callable[[Any], Any | None]) -> Items | None:
    count = tf.get_static_value(op.inputs[1])
    shape = tf.TensorShape(None)
    if (value := tf.get_static_value(op.inputs[0])) is not None and value.ndim == 1:
        shape = tf.TensorShape([None if size < 0 else int(size) for size in value])
    if not shape.is_fully_defined():
        shape = _written(op.outputs[0], body)
    dtype = tf.as_dtype(op.get_attr("element_dtype"))
    return _items(dtype, shape, tf.TensorShape([None if count is None else int(count)]))


def _written(handle: Any, body: Callable[[Any], Any | None]) -> Any:
    """The shape of what is written into the list or read from it, in the graph or in the loops that it goes through."""
    for reader in handle.consumers():
        index = [t.name for t in reader.inputs].index(handle.name)
        shape, onward = tf.TensorShape(None), None
        if reader.type == "TensorListSetItem":
            shape, onward = reader.inputs[2].shape, reader.outputs[0]
        elif reader.type == "TensorListStack":
            shape = reader.outputs[0].shape[1:]
        elif reader.type == "TensorListGetItem":
            shape = reader.outputs[0].shape
        elif reader.type in LOOPS:
            inner = body(reader)
            shape, onward = (_written(inner.inputs[index], body) if inner else shape), reader.outputs[index]
        if not shape.is_fully_defined() and onward is not None:
            shape = _written(onward, body)
        if shape.is_fully_defined():
            return shape
    return tf.TensorShape(None)


def _items(dtype: Any, shape: Any, count: Any) -> Items | None:
    if not shape.is_fully_defined() or not count.is_fully_defined():
        return None
    return Items(dtype.name, tuple(shape.as_list()), int(count[0]) or 1)  # a list that is to grow starts with none
