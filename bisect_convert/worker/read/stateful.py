"""A model that assigns its variables, with these as inputs and what is assigned as outputs. Scripts hold this as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import in_core_ml, op_of
from bisect_convert.worker.private_api import freeze
from bisect_convert.worker.read.handles import readers
from bisect_convert.worker.read.threaded import Held, threaded
from bisect_convert.worker.rewrite.editing import pruned

__all__ = ["stateless"]

_DRAWN = re.compile(r"Stateless(Random|Truncated|Shuffle|Multinomial|ParameterizedTruncated)")
_KEPT = re.compile(r"ReadVariableOp|VarIsInitializedOp|ResourceGather(Nd)?|VariableShape")


def stateless(function: Any) -> tuple[Any, dict[str, tuple[str, Any]]]:
    """Return the concrete function frozen, with the variables that it assigns as inputs, and what is assigned as outputs.

    Beside it, by the names of the inputs that variables became, the output with what is assigned, and the variable. What is
    assigned and read again within a call is handed on there. Scalars enter and leave as one number in a row, truth values as
    0 and 1. Assignments that no output of the function hangs on are left out. Raises ValueError where the order of reading
    and assigning does not follow from the graph, or more is done with a variable than that. What the body of a loop gathers
    from without assigning it, which freezing leaves half done, is a constant, and so is what only seeds draws.
    """
    whole = function.graph.as_graph_def(add_shapes=True)
    kinds = {(f, n.name): n.op for f, nodes in _levels(whole) for n in nodes}
    found = readers(function, whole, function.graph.variables)
    assigned = {id(v): v for place, v in found.items() if not _KEPT.fullmatch(kinds[place])}
    # freezing gives the body of a loop the variable's value, and leaves the op there that takes its handle
    assigned |= {id(v): v for place, v in found.items() if place[0] and kinds[place].startswith("ResourceGather")}
    if not assigned:
        raise ValueError("no variable is assigned")
    variables = function.graph.variables
    function.graph.variables = [v for v in variables if id(v) not in assigned]
    try:
        frozen = freeze(function)  # the handle of a variable that it does not know of stays as it is
    finally:
        function.graph.variables = variables
    handles = {id(v.handle): v for v in assigned.values()}
    state = {i.op.name: handles[id(o)] for o, i in function.graph.captures if id(o) in handles}
    return _as_inputs(frozen, state, [op_of(t.name) for t in function.outputs])


def _levels(graph_def: Any) -> list[tuple[str, Any]]:
    return [("", graph_def.node), *((f.signature.name, f.node_def) for f in graph_def.library.function)]


def _as_inputs(graph_def: Any, state: dict[str, Any], results: list[str]) -> tuple[Any, dict[str, tuple[str, Any]]]:
    """The variables, by their handles, as inputs of their own names; and the outputs that the results hang on."""
    there = {n.name for n in graph_def.node} & set(state)
    held = {h: Held(v.dtype.as_datatype_enum, v.shape.as_proto()) for h, v in state.items() if h in there}
    made, last = threaded(graph_def, held)
    for handle in _seeds(made, last, results):
        del last[handle]
    names = _names([state[h] for h in last])
    for (handle, tensor), name in zip(last.items(), names, strict=True):
        _edges(made, handle, tensor, name)
    for node in [n for n in made.node if n.name in there - set(last)]:  # nothing assigns it
        node.CopyFrom(_held(state[node.name], node.name))
    wanted = list(results)
    while True:  # what is assigned may hang on further state
        kept = pruned(made, wanted)
        needed = {op_of(i) for n in kept.node for i in n.input}
        needed |= set(wanted)
        further = [f"{n}_out" for h, n in zip(last, names, strict=True) if h in needed and f"{n}_out" not in wanted]
        if not further:
            unread = {f"{n}_in" for n in names}
            nodes = [n for n in kept.node if n.op != "Placeholder" or n.name in needed or n.name not in unread]
            del kept.node[:]
            kept.node.extend(nodes)
            return kept, {f"{n}_in": (f"{n}_out", state[h]) for h, n in zip(last, names, strict=True) if h in needed}
        wanted += further


def _seeds(graph_def: Any, last: dict[str, str], results: list[str]) -> list[str]:
    """The handles of variables that do nothing but tell draws of random numbers apart, which Core ML makes on its own."""
    after: dict[str, list[Any]] = {}
    for node in graph_def.node:
        for name in node.input:
            after.setdefault(op_of(name.lstrip("^")), []).append(node)
    found = []
    for handle in last:
        reached, draws, todo = {handle}, False, [handle]
        while todo:
            readers = after.get(todo.pop(), ())
            draws = draws or any(_DRAWN.match(n.op) for n in readers)
            fresh = {n.name for n in readers if not _DRAWN.match(n.op)} - reached
            reached |= fresh
            todo += fresh
        others = {op_of(tensor) for h, tensor in last.items() if h != handle}
        if draws and not reached & {*results, *others}:
            found.append(handle)
    return found


def _held(variable: Any, name: str) -> Any:
    """The variable's value as a constant of that name."""
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = variable.dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(variable.numpy()))
    return node


def _edges(graph_def: Any, handle: str, tensor: str, name: str) -> None:
    """Let the value at the handle's name come from an input, and the tensor leave by an output, as Core ML has features."""
    value = next(n for n in graph_def.node if n.name == handle)
    kind, shape = value.attr["dtype"].type, tf.TensorShape(value.attr["shape"].shape)
    truth = kind == tf.bool.as_datatype_enum
    number = tf.int32.as_datatype_enum if truth else kind
    _node(graph_def, f"{name}_in", "Placeholder", [], dtype=number).attr["shape"].shape.CopyFrom(
        tf.TensorShape(shape.as_list() or [1]).as_proto()
    )
    came, leaves = f"{name}_in", tensor
    if truth:
        zero = _node(graph_def, f"{name}_none", "Const", [], dtype=number)
        zero.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        came = _node(graph_def, f"{name}_truth", "NotEqual", [came, f"{name}_none"], T=number).name
        leaves = _node(graph_def, f"{name}_number", "Cast", [leaves], SrcT=kind, DstT=number).name
    if shape.rank == 0:
        came = _node(graph_def, f"{name}_scalar", "Squeeze", [came], T=kind).name
        leaves = _node(graph_def, f"{name}_row", "Pack", [leaves], T=number).name
        graph_def.node[-1].attr["N"].i = 1
    value.Clear()
    value.name, value.op = handle, "Identity"
    value.input[:] = [came]
    value.attr["T"].type = kind
    _node(graph_def, f"{name}_out", "Identity", [leaves], T=number)


def _node(graph_def: Any, name: str, op: str, inputs: Iterable[str], **kinds: int) -> Any:
    node = graph_def.node.add(name=name, op=op, input=inputs)
    for attribute, kind in kinds.items():
        node.attr[attribute].type = kind
    return node


def _names(variables: list[Any]) -> list[str]:
    """A name for each variable: its own, with a number where several bear it."""
    plain = [in_core_ml(op_of(v.name)) or "state" for v in variables]
    return [n if plain.count(n) == 1 else f"{n}_{plain[:number].count(n)}" for number, n in enumerate(plain)]
