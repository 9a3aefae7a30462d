"""Take ops out of function bodies: what they made comes in from outside, threaded through every call on the way.

Runs in a worker, on FunctionDefs. No op is renamed; parameters are only ever added at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from bisect_convert.model.cuts import CutTensor, End, Plan
from bisect_convert.model.names import LOOPS, op_of
from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import callees, data, put_nodes, read_instead, rewire, set_data

__all__ = ["EditedBodies", "append_input", "same"]

v1 = tf.compat.v1
_CASTABLE = (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64)


def same(x: Any, name: str) -> Any:
    """The tensor once more, made by an op: an Identity of an input is a multiplication by 1.0 to coremltools."""
    if x.dtype == tf.bool:
        return tf.logical_and(x, x, name=name)
    return tf.identity(x, name=name) if x.dtype.is_floating else tf.maximum(x, x, name=name)


class EditedBodies:
    """The functions below a section, with the ops taken out that its plan names.

    What a removed op made comes in from the main graph instead: as a new parameter ("thread") of its function, of every
    function that shares the call, and of those that enclose it.
    """

    def __init__(self, functions: dict[str, Any], plan: Plan) -> None:
        self.functions = dict(functions)
        self._plan = plan
        self._own: dict[str, list[tuple[str, CutTensor]]] = {}
        self._groups: dict[tuple[str, ...], list[CutTensor]] = {}

    def threads(self, node: Any) -> list[CutTensor]:
        """What a call must be given besides its inputs, in order; edits its callees on the way."""
        group = tuple(n for n in callees(node) if n in self.functions)
        if not group or not self._plan.removed:
            return []
        if group not in self._groups:
            if any(name in self._own for name in group):
                raise NotImplementedError(f"function {group[0]} is called from several places")
            for name in group:
                self._edit(name)
            self._groups[group] = [t for name in group for _, t in self._own[name]]
            for number, name in enumerate(group):
                self._complete(name, group, returns=node.op in LOOPS and number == 1)
        return self._groups[group]

    def _edit(self, name: str) -> None:
        function = type(self.functions[name])()
        function.CopyFrom(self.functions[name])
        self.functions[name] = function
        facts, ends = self._plan.threads.get(name, {}), self._plan.ends.get(name, ())
        own = _take_out(function, set(self._plan.removed.get(name, ())), facts, ends)
        for node in function.node_def:
            for number, thread in enumerate(self.threads(node)):
                parameter = f"{node.name.replace('/', '_')}__thread{number}"
                own.append((parameter, thread))
                append_input(node, parameter, thread)
        self._own[name] = own

    def _complete(self, name: str, group: tuple[str, ...], *, returns: bool) -> None:
        """Append the parameters of all functions of the group, in one order; a loop body hands each of them back."""
        function = self.functions[name]
        for sibling in group:
            for parameter, thread in self._own[sibling]:
                parameter = parameter if sibling == name else f"{parameter}__unused"
                kind = tf.as_dtype(thread.dtype).as_datatype_enum
                function.signature.input_arg.add(name=parameter, type=kind)
                if returns:
                    function.signature.output_arg.add(name=f"{parameter}__out", type=kind)
                    function.ret[f"{parameter}__out"] = parameter


def _take_out(
    function: Any, ops: set[str], facts: Mapping[str, CutTensor], ends: Iterable[End]
) -> list[tuple[str, CutTensor]]:
    """Remove the ops from the function; return the parameters that now stand for their results, not yet declared."""
    if not ops:
        return []
    flat = private_api.flat_names(function)
    parameters: dict[str, str] = {}
    threads: list[tuple[str, CutTensor]] = []
    lists: list[Any] = []

    def moved(tensor: str) -> str:
        if op_of(tensor) not in ops or ":" not in tensor:
            return tensor
        if tensor not in parameters:
            name, fact = f"{op_of(tensor).replace('/', '_')}__cut{len(parameters)}", facts[flat[tensor]]
            threads.append((name, _stacked(fact)))
            lists.extend(made := _list_of(name, fact))
            parameters[tensor] = f"{made[-1].name}:output_handle:0" if made else name
        return parameters[tensor]

    alone = _read_by(ops, function)
    kept = [n for n in function.node_def if n.name not in ops | alone]
    for node in kept:
        rewire(node, moved, waits=lambda op: op not in ops)
    for key in list(function.ret):
        if (parameter := moved(function.ret[key])) != function.ret[key]:
            if facts[flat[function.ret[key]]].items:
                function.ret[key] = parameter
                continue
            made = _handed_on(f"{parameter}__result{len(kept)}", parameter, facts[flat[function.ret[key]]])
            kept.append(made)
            function.ret[key] = f"{made.name}:{'output' if made.op == 'Identity' else 'z'}:0"
    kept += lists
    names = {flat[t]: name for t, (name, _) in zip(parameters, threads, strict=True)}
    full = {short: tensor for tensor, short in flat.items()}
    for number, end in enumerate(ends):
        thread = replace(_stacked(facts[end.into]), tensor=names[end.into])
        names[end.into] = _tie(kept, replace(end, tensor=full[end.tensor]), thread, f"cut_end_{number}")
    _keep_only(function, kept, ops)
    return threads


def _read_by(ops: set[str], function: Any) -> set[str]:
    """The constants that nothing but these ops reads: coremltools refuses some for their dtype, read or not."""
    read = {op_of(i) for node in function.node_def if node.name not in ops for i in data(node)}
    read |= {op_of(tensor) for tensor in function.ret.values()}
    theirs = {op_of(i) for node in function.node_def if node.name in ops for i in data(node)}
    return {node.name for node in function.node_def if node.op == "Const" and node.name in theirs - read}


def _stacked(fact: CutTensor) -> CutTensor:
    """What stands for the tensor in a call: for a list the tensor of all that is in it."""
    items = fact.items
    return CutTensor(fact.tensor, items.dtype, (items.count, *items.shape)) if items else fact


def _list_of(parameter: str, fact: CutTensor) -> list[Any]:
    """Nodes that make a list of the parameter: as a loop's own variable a list that is only handed on does not convert."""
    if not (items := fact.items):
        return []
    stacked = _stacked(fact)
    with tf.Graph().as_default() as graph:
        held = v1.placeholder(stacked.dtype, stacked.shape, name="held")
        shape = tf.constant(list(items.shape), tf.int32, name=f"{parameter}__shape")
        tf.raw_ops.TensorListFromTensor(tensor=held, element_shape=shape, name=f"{parameter}__list")
    nodes = [n for n in graph.as_graph_def().node if n.name != "held"]
    read_instead(nodes[-1:], {"held": parameter, f"{parameter}__shape": f"{parameter}__shape:output:0"})
    return nodes


def _keep_only(function: Any, kept: list[Any], ops: set[str]) -> None:
    """Make these nodes the function's own, and forget its control outputs that were among the removed ops."""
    _drop_control_results(function, ops)
    put_nodes(function.node_def, kept)


def _drop_control_results(function: Any, ops: set[str]) -> None:
    gone = [k for k, v in function.control_ret.items() if v in ops]
    for key in gone:
        del function.control_ret[key]
    outputs = [o for o in function.signature.control_output if o not in gone]
    del function.signature.control_output[:]
    function.signature.control_output.extend(outputs)


def _handed_on(name: str, tensor: str, thread: CutTensor) -> Any:
    """A node that hands a parameter on: coremltools takes no bare parameter as the result of a condition."""
    with tf.Graph().as_default() as graph:
        made = same(v1.placeholder(tf.as_dtype(thread.dtype), thread.shape, name="stand_in"), name)
    node = graph.as_graph_def().node[-1]
    set_data(node, [tensor] * len(made.op.inputs))
    return node


def _tie(kept: list[Any], end: End, thread: CutTensor, name: str) -> str:
    """Let what reads the thread read the loose end too, which changes no value; returns the tensor to read instead."""
    with tf.Graph().as_default() as graph:
        loose = v1.placeholder(end.dtype, end.shape, name="loose")
        value = v1.placeholder(thread.dtype, thread.shape, name="value")
        with tf.name_scope(name):
            loose = _number(loose)
            one = tf.reduce_sum(loose, list(range(len(end.shape)))) if end.shape else loose
            never = tf.greater(one, one)
            if value.dtype in _CASTABLE:
                tied = value + tf.cast(never, value.dtype)
            else:
                tied = tf.logical_or(value, never) if value.dtype == tf.bool else tf.where(never, value, value)
    made = [n for n in graph.as_graph_def().node if n.op != "Placeholder"]
    written = {
        flat.removesuffix(":0"): full for full, flat in private_api.flat_names(SimpleNamespace(node_def=made)).items()
    }
    own = [node for node in kept if not node.name.startswith("cut_end_")]
    read_instead(own, {thread.tensor: written[tied.op.name]})
    read_instead(made, {**written, "loose": end.tensor, "value": thread.tensor})
    kept += made
    return written[tied.op.name]


def _number(x: Any) -> Any:
    if x.dtype.is_complex:
        return tf.math.real(x, name="loose_real")
    return tf.cast(x, tf.float32, name="loose_number") if x.dtype == tf.bool else x


def append_input(node: Any, tensor: str, thread: CutTensor) -> None:
    """Give the call one more input, declared in its attributes as the thread's facts say."""
    set_data(node, [*data(node), tensor])
    kind = tf.as_dtype(thread.dtype).as_datatype_enum
    node.attr["T" if node.op in LOOPS else "Tin"].list.type.append(kind)
    if node.op in LOOPS and len(node.attr["output_shapes"].list.shape):
        node.attr["output_shapes"].list.shape.add().CopyFrom(tf.TensorShape(thread.shape).as_proto())
    if "_output_shapes" in node.attr:
        del node.attr["_output_shapes"]
