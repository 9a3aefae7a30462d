"""Carve a section out of a GraphDef as its plan says; runs in a worker.

A plan is made by `model.cuts`: which ops to keep, which tensors enter and leave, and what is taken out of the
bodies below. Entering tensors keep the name of the op that made them, so that no op is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.cuts import Entry, Exit, Plan
from bisect_convert.model.names import HANDLES, op_of
from bisect_convert.worker.cut.function_bodies import EditedBodies, append_input, same
from bisect_convert.worker.nodes import callees, data, rewire, set_data

__all__ = ["Carved", "carve", "entry_name", "evaluated"]

v1 = tf.compat.v1


@dataclass
class Carved:
    """A section as the converter takes it; `symbols` and `shapes` are of its new inputs (see `shared_symbols`)."""

    graph_def: Any
    functions: list[Any]
    symbols: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: dict[str, list[int | None]] = field(default_factory=dict)


def carve(graph_def: Any, plan: Plan, weights: Mapping[str, Any] | None = None) -> Carved:
    """Return the section; `weights` maps a constant's name to its node with the true values."""
    if plan.whole:
        whole = v1.GraphDef()
        whole.CopyFrom(graph_def)
        _restore(whole, weights)
        return Carved(whole, list(whole.library.function))
    carved = Carved(v1.GraphDef(), [])
    carved.graph_def.versions.CopyFrom(graph_def.versions)
    functions = {f.signature.name: f for f in graph_def.library.function}
    bodies = EditedBodies(functions, plan)
    adapters, renamed = _entries(plan.entries, carved, graph_def)
    keep = set(plan.ops)
    nodes = {n.name: n for n in graph_def.node}
    keep |= _constants_of(keep, nodes, adapters)
    exits = _exits(plan.exits, keep, nodes)
    count = 0
    for node in graph_def.node:
        for made in adapters.pop(node.name, ()):
            carved.graph_def.node.add().CopyFrom(made)
        if node.name not in keep:
            continue
        copy = carved.graph_def.node.add()
        copy.CopyFrom(node)
        _rewire(copy, renamed, keep)
        for thread in bodies.threads(copy):
            count += 1
            entry = Entry(f"cut_thread_{count}:0", thread.dtype, thread.shape)
            made, _ = _entries([entry], carved, graph_def)
            for extra in made[f"cut_thread_{count}"]:
                carved.graph_def.node.add().CopyFrom(extra)
            append_input(copy, f"cut_thread_{count}", thread)
    for made in adapters.values():
        carved.graph_def.node.extend(made)
    carved.graph_def.node.extend(exits)
    _restore(carved.graph_def, weights)
    carved.functions = _reached(carved.graph_def.node, bodies.functions)
    carved.graph_def.library.function.extend(carved.functions)
    return carved


def _restore(graph_def: Any, weights: Mapping[str, Any] | None) -> None:
    for node in graph_def.node:
        if weights and node.op == "Const" and node.name in weights:
            node.CopyFrom(weights[node.name])


def _constants_of(keep: set[str], nodes: dict[str, Any], adapters: dict[str, Any]) -> set[str]:
    """The nodes that kept ones read and that no entry replaces: constants and what follows from them."""
    found: set[str] = set()
    todo = list(keep)
    while todo:
        for source in (op_of(i) for i in data(nodes[todo.pop()])):
            if source not in keep and source not in found and source not in adapters and source in nodes:
                found.add(source)
                todo.append(source)
    return found


def _rewire(node: Any, renamed: dict[str, str], keep: set[str]) -> None:
    """Point the node's inputs at the entries; drop control inputs and colocation with what is gone."""
    rewire(
        node, lambda tensor: renamed.get(tensor if ":" in tensor else f"{tensor}:0", tensor), waits=keep.__contains__
    )
    if "_class" in node.attr:
        del node.attr["_class"]


def _entries(entries: Iterable[Entry], carved: Carved, graph_def: Any) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """For each entering tensor the nodes that stand for its op, by that op's name; and tensor -> new tensor."""
    adapters: dict[str, list[Any]] = {}
    renamed: dict[str, str] = {}
    for entry in entries:
        op, name = op_of(entry.tensor), entry_name(entry)
        with tf.Graph().as_default() as graph:
            if entry.value:
                tf.constant(evaluated(graph_def, entry.tensor), name=name)
            else:
                _entry(name, entry, carved)
        adapters.setdefault(op, []).extend(graph.as_graph_def().node)
        renamed[entry.tensor] = name
    return adapters, renamed


def entry_name(entry: Entry) -> str:
    """Return what an entering tensor's op is called in the section: as its own, where it is that op's first result."""
    op, _, index = entry.tensor.rpartition(":")
    return entry.name or (op if index == "0" else f"{op}__{index}")


def evaluated(graph_def: Any, tensor: str) -> Any:
    """Return the value of a tensor that follows from constants, as a numpy array."""
    part = v1.graph_util.extract_sub_graph(graph_def, [op_of(tensor)])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(part, name="")
        with v1.Session(graph=graph) as session:
            return session.run(tensor)


def _entry(name: str, entry: Entry, carved: Carved) -> None:
    """Make the tensor `name` out of inputs that Core ML takes: rank 1 to 5, no float16, no complex number, no list."""
    if entry.items or entry.dtype in HANDLES:
        _handed(name, entry, carved)
        return
    dtype, shape = tf.as_dtype(entry.dtype), list(entry.shape or ())
    names = entry.symbols
    if any(n.startswith("=") for n in names):
        shape = [int(n[1:]) if n.startswith("=") else s for n, s in zip(names, shape, strict=True)]
        names = tuple("" if n.startswith("=") else n for n in names)
    if dtype.is_complex:
        part = replace(entry, dtype="float32")
        for suffix in ("re", "im"):
            _entry(f"{name}__{suffix}", part, carved)
        graph = tf.compat.v1.get_default_graph()
        parts = [graph.get_tensor_by_name(f"{name}__{s}:0") for s in ("re", "im")]
        tf.complex(*parts, name=name)
        return
    outer = {tf.float16: tf.float32, tf.bfloat16: tf.float32}.get(dtype, dtype)
    if dtype == tf.bool:  # an input of that type becomes one of float32, and bodies read it as it is
        outer = tf.float32
    fits = 0 < len(shape) <= 5
    worked = entry.worked and fits and not dtype.is_floating
    direct = fits and outer == dtype and not worked
    size = shape if fits else [1] if not shape else _folded([s for s in shape if s is not None])
    x = v1.placeholder(outer, size, name=name if direct else f"{name}__in")
    if any(names) and fits:
        carved.symbols[x.op.name] = names
        carved.shapes[x.op.name] = shape
    if not shape:
        # no squeeze: with an ExpandDims in the body of a loop it makes a pass of coremltools fail
        x = tf.reduce_max(x, [0], name=name if outer == dtype else f"{name}__flat")
    elif not fits:
        x = tf.reshape(x, shape, name=name if outer == dtype else f"{name}__full")
    elif worked and outer == dtype:
        same(x, name)
    if dtype == tf.bool:
        tf.not_equal(x, 0.0, name=name)
    elif outer != dtype:
        tf.cast(x, dtype, name=name)


def _handed(name: str, entry: Entry, carved: Carved) -> None:
    """Make what no input can be: a list of an input that holds all that is in it, else by an op that has no conversion,
    so that what reads it is lowered behind a failure.
    """
    if items := entry.items:
        _entry(f"{name}__items", Entry("", items.dtype, (items.count, *items.shape)), carved)
        held = v1.get_default_graph().get_tensor_by_name(f"{name}__items:0")
        tf.raw_ops.TensorListFromTensor(tensor=held, element_shape=np.array(items.shape, np.int32), name=name)
    elif entry.dtype == "string":
        x = v1.placeholder(tf.float32, entry.shape or [1], name=f"{name}__in")
        x = tf.reduce_max(x, [0], name=f"{name}__flat") if entry.shape == () else x
        tf.strings.as_string(x, name=name)
    elif entry.dtype == "resource":
        tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], name=name)
    else:
        tf.raw_ops.OptionalNone(name=name)


def _folded(shape: list[int]) -> list[int]:
    """A shape of rank 5 with as many elements: the leading dimensions in one."""
    lead = 1
    for size in shape[: len(shape) - 4]:
        lead *= size
    return [lead, *shape[len(shape) - 4 :]]


def _exits(tensors: Iterable[Exit], keep: set[str], nodes: dict[str, Any]) -> list[Any]:
    """Nodes that carry leaving tensors out where their op would not be an output by itself, or not a legal one."""
    read = {op_of(i) for name in keep for i in data(nodes[name])}
    made: list[Any] = []
    for number, tensor in enumerate(tensors):
        op, _, index = tensor.tensor.rpartition(":")
        dtype, shape = tf.as_dtype(tensor.dtype), tensor.shape
        with tf.Graph().as_default() as graph:
            name = f"cut_exit_{number}"
            stand_in = v1.placeholder(dtype, shape, name="stand_in")
            result = tensor.result
            if items := tensor.items:
                kept = {
                    "element_dtype": items.dtype,
                    "element_shape": np.array(items.shape, np.int32),
                    "num_elements": items.count,
                }
                tf.raw_ops.TensorListStack(input_handle=stand_in, **kept, name=name)
            elif dtype.is_complex and not result:
                tf.math.real(stand_in, name=name)
            elif not result and shape is not None and len(shape) > 5 and None not in shape:
                tf.reshape(stand_in, [-1], name=name)
            elif tensor.guarded and not result:
                tf.math.atan(stand_in, name=name)
            elif tensor.worked:
                same(stand_in, name)
            elif op in read or tensor.carried:
                tf.identity(stand_in, name=name)
            else:
                continue
        for node in graph.as_graph_def().node:
            if node.op == "Placeholder":
                continue
            if node.op == "Const":
                node.name = f"{name}__shape"
            else:
                inputs = [f"{op}:{index}" if i == "stand_in" else f"{name}__shape" for i in node.input]
                set_data(node, (i.removesuffix(":0") for i in inputs))
            made.append(node)
    return made


def _reached(nodes: Iterable[Any], functions: dict[str, Any]) -> list[Any]:
    found: dict[str, Any] = {}
    todo = list(nodes)
    while todo:
        node = todo.pop()
        for name in callees(node):
            if name in functions and name not in found:
                found[name] = functions[name]
                todo += functions[name].node_def
    return [found[n] for n in sorted(found)]
