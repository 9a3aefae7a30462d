"""Put a recipe in the place of an op in a section's GraphDef; for workers only: it imports tensorflow."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.recipes import MODULES
from bisect_convert.worker.nodes import data, read_instead
from bisect_convert.worker.rewrite.constants import folded, unevaluated
from bisect_convert.worker.rewrite.editing import imported

__all__ = ["BRIDGE", "CHANNELS_FIRST", "FOLDED", "rewritten"]

v1 = tf.compat.v1
BRIDGE = "bridge"
"""The recipe that is none for an op: it puts a bridge between a loop or conditional and all that reads its results."""
FOLDED = "folded"
"""The recipe that puts values in the place of all constants that the converter cannot evaluate."""

CHANNELS_FIRST = "channels_first"
"""The recipe that puts the channels of an output first, under the name that it has."""


def rewritten(graph_def: Any, op: str, recipe: str) -> Any:
    """Return the GraphDef whose outputs are what the recipe makes of the op's inputs; raises what the recipe raises."""
    if recipe == BRIDGE:
        return _bridged(graph_def, op)
    if recipe == FOLDED:
        return _folded(graph_def)
    if recipe == CHANNELS_FIRST:
        return _channels_first(graph_def, op)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        node = graph.get_operation_by_name(op)
        function = _function(recipe)
        wanted = [n for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY]
        results = function(*node.inputs, **{name: _attribute(node, name) for name in wanted})
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        outputs = [o for number, result in enumerate(results) for o in _outputs(result, f"rewritten_{number}")]
        inputs = {o.name for o in graph.get_operations() if o.type == "Placeholder"}
        made = v1.graph_util.extract_sub_graph(graph.as_graph_def(), [o.op.name for o in outputs])
    _keep(made, graph_def, inputs)
    return made


def _folded(graph_def: Any) -> Any:
    """The GraphDef without constants that the converter cannot evaluate."""
    for name in unevaluated(imported(graph_def)):
        graph_def = folded(graph_def, name)
    read = {op_of(i) for node in graph_def.node for i in data(node)}
    made = v1.GraphDef()
    made.CopyFrom(graph_def)
    del made.node[:]
    made.node.extend(n for n in graph_def.node if n.op != "Const" or n.name in read)
    return made


def _channels_first(graph_def: Any, output: str) -> Any:
    """The GraphDef whose output of that name is the transpose of what it was."""
    made = v1.GraphDef()
    made.CopyFrom(graph_def)
    before = f"{output}/channels_last"
    next(n for n in made.node if n.name == output).name = before
    read_instead(made.node, {output: before, f"{output}:0": before, f"^{output}": f"^{before}"})
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(made, name="")
        tf.transpose(graph.get_tensor_by_name(f"{before}:0"), (0, 3, 1, 2), name=output)
    return graph.as_graph_def(add_shapes=True)


def _bridged(graph_def: Any, call: str) -> Any:
    """The GraphDef with each float result of the call read once only: by an ExpandDims and Squeeze for all readers."""
    made = v1.GraphDef()
    made.CopyFrom(graph_def)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        results = [t for t in graph.get_operation_by_name(call).outputs if t.consumers() and t.dtype.is_floating]
        kept = len(graph.as_graph_def().node)
        for number, tensor in enumerate(results):
            tf.squeeze(tf.expand_dims(tensor, 0, name=f"bridge_{number}_up"), [0], name=f"bridge_{number}")
        fresh = graph.as_graph_def().node[kept:]
    moved = {t.name.removesuffix(":0"): f"bridge_{n}" for n, t in enumerate(results)}
    read_instead(made.node, moved)
    made.node.extend(fresh)
    return made


def _function(recipe: str) -> Any:
    for module in MODULES:
        found = getattr(importlib.import_module(f"bisect_convert.recipes.{module}"), recipe, None)
        if found is not None and not recipe.startswith("_"):
            return found
    raise KeyError(recipe)


def _attribute(node: Any, name: str) -> Any:
    value = node.get_attr(name)
    if isinstance(value, bytes):
        return value.decode()
    return tf.TensorShape(value) if name == "shape" else value


def _outputs(result: Any, name: str) -> Iterable[Any]:
    """Core ML has no complex output: both parts leave on their own."""
    if result.dtype.is_complex:
        return [tf.identity(tf.math.real(result), f"{name}_re"), tf.identity(tf.math.imag(result), f"{name}_im")]
    return [tf.identity(result, name)]


def _keep(made: Any, graph_def: Any, inputs: set[str]) -> None:
    """An input that nothing needs any more stays, so that the arguments of the call still fit."""
    there = {n.name for n in made.node}
    for node in graph_def.node:
        if node.name in inputs - there:
            made.node.add().CopyFrom(node)
