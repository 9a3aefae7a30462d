"""Put a recipe in the place of an op in a section's GraphDef; for workers only: it imports tensorflow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.report.values import Compared
from bisect_convert.worker.nodes import data, read_instead
from bisect_convert.worker.rewrite.called import call_of
from bisect_convert.worker.rewrite.candidates import foldings
from bisect_convert.worker.rewrite.compared import compared
from bisect_convert.worker.rewrite.edits import Edit, attributes, edited, recipe_function
from bisect_convert.worker.rewrite.loops import bridge
from bisect_convert.worker.rewrite.structures_applied import STRUCTURES, restructured

__all__ = ["BRIDGE", "CHANNELS_FIRST", "FOLDED", "Rewritten", "one_batch", "rewritten"]

v1 = tf.compat.v1
_BRIDGED = (tf.float32, tf.float16, tf.int32, tf.bool)
BRIDGE = "bridge"
"""The recipe that is none for an op: it puts a bridge between a loop or conditional and all that reads its results."""
FOLDED = "folded"
"""The recipe that puts values in the place of all constants that the converter cannot evaluate."""

CHANNELS_FIRST = "channels_first"
"""The recipe that puts the channels of an output first, under the name that it has."""


@dataclass(frozen=True)
class Rewritten:
    """A GraphDef with a recipe in the place of an op; where that is a function, how it is called, and its values compared."""

    graph_def: Any
    call: str | None = None
    compared: Compared | None = None
    """None where that changes no value; what is empty says that nothing was compared."""


def rewritten(graph_def: Any, op: str, recipe: str, *, run: bool = True) -> Rewritten:
    """Return the GraphDef whose outputs are what the recipe makes of the op's inputs; raises what the recipe raises.

    run: execute the op, and what is in its place, on made-up values.
    """
    if recipe in STRUCTURES:
        made, seen = restructured(graph_def, recipe, run=run)
        return Rewritten(made, None, seen or Compared())
    if recipe == BRIDGE:
        return Rewritten(_bridged(graph_def, op))
    if recipe == FOLDED:
        return Rewritten(_folded(graph_def))
    if recipe == CHANNELS_FIRST:
        return Rewritten(_channels_first(graph_def, op))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        node = graph.get_operation_by_name(op)
        given = attributes(node, recipe)
        results = recipe_function(recipe)(*node.inputs, **given)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        outputs = [o for number, result in enumerate(results) for o in _outputs(result, f"rewritten_{number}")]
        inputs = {o.name for o in graph.get_operations() if o.type == "Placeholder"}
        made = v1.graph_util.extract_sub_graph(graph.as_graph_def(), [o.op.name for o in outputs])
    _keep(made, graph_def, inputs)
    stated = Edit((), op, node.type, recipe).tolerance
    seen = compared(graph, node, results, stated) if run else Compared()
    return Rewritten(made, call_of(node, recipe, given), seen)


def one_batch(graph_def: Any) -> Any:
    """Return the GraphDef with a first dimension of 1 in those inputs that leave it open; raises ValueError where none does."""
    made, found = v1.GraphDef(), False
    made.CopyFrom(graph_def)
    for node in made.node:
        node.attr.pop("_output_shapes", None)
        sizes = node.attr["shape"].shape.dim if node.op == "Placeholder" else []
        if len(sizes) and sizes[0].size < 0:
            sizes[0].size, found = 1, True
    if not found:
        raise ValueError("no batch is open")
    return made


def _folded(program: Any) -> Any:
    """The GraphDef without constants that the converter cannot evaluate."""
    graph_def = edited(program, foldings(program))
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
    """The GraphDef with each result of the call read once only: by a bridge for all readers."""
    made = v1.GraphDef()
    made.CopyFrom(graph_def)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        results = [t for t in graph.get_operation_by_name(call).outputs if t.consumers() and t.dtype in _BRIDGED]
        kept = len(graph.as_graph_def().node)
        for number, tensor in enumerate(results):
            bridge(tensor, f"bridge_{number}")
        fresh = graph.as_graph_def().node[kept:]
    moved = {t.name.removesuffix(":0"): f"bridge_{n}" for n, t in enumerate(results)}
    read_instead(made.node, moved)
    made.node.extend(fresh)
    return made


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
