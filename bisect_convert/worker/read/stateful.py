"""A model that assigns its variables, with these as inputs and what is assigned as outputs. Scripts hold this as text."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.nodes import data, rewire
from bisect_convert.worker.private_api import freeze
from bisect_convert.worker.read.handles import readers
from bisect_convert.worker.read.variants import with_state

__all__ = ["stateless"]

_ASSIGN = re.compile(r"Assign(Add|Sub)?VariableOp")
_PLAIN = re.compile(r"Assign(Add|Sub)?VariableOp|ReadVariableOp|VarIsInitializedOp")


def stateless(function: Any) -> tuple[Any, dict[str, tuple[str, Any]]]:
    """Return the concrete function frozen, with the variables that it assigns as inputs, and what is assigned as outputs.

    Beside it, by the names of the inputs that variables became, the output with what is assigned, and the variable.
    Assignments that no output of the function hangs on are left out. Raises ValueError where the order of reading and
    assigning matters, or more is done with a variable than that.
    """
    whole = function.graph.as_graph_def(add_shapes=True)
    kinds = {(f, n.name): n.op for f, nodes in _levels(whole) for n in nodes}
    found = readers(function, whole, function.graph.variables)
    assigned = {id(v): v for place, v in found.items() if _ASSIGN.fullmatch(kinds[place])}
    if not assigned or any(not _PLAIN.fullmatch(kinds[p]) for p, v in found.items() if id(v) in assigned):
        raise ValueError("variables are not only read and assigned")
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
    names = {handle: _named(variable, n) for n, (handle, variable) in enumerate(state.items())}
    _ordered(graph_def, set(names))
    for node in graph_def.node:
        rewire(node, lambda tensor: names.get(op_of(tensor), tensor), waits=lambda op: False)
        if (handle := node.name) in names:
            variable = state[handle]
            node.Clear()
            node.name, node.op = names[handle], "VarHandleOp"
            node.attr["dtype"].type = variable.dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(variable.shape.as_proto())
    assigns = {n.name: op_of(data(n)[0]) for n in graph_def.node if _ASSIGN.fullmatch(n.op)}
    if len(set(assigns.values())) < len(assigns):
        raise ValueError("a variable is assigned more than once")
    made = with_state(graph_def, names.values())
    wanted = list(results)
    while True:  # what is assigned may hang on further state
        part = tf.compat.v1.graph_util.extract_sub_graph(made, wanted)
        needed = {n.name for n in part.node}
        further = [a for a, name in assigns.items() if name in needed and a not in wanted]
        if not further:
            outputs = {name: assign for assign, name in assigns.items()}
            return part, {n: (outputs[n], state[h]) for h, n in names.items() if n in needed and n in outputs}
        wanted += further


def _named(variable: Any, number: int) -> str:
    plain = re.sub(r"\W", "_", op_of(variable.name)) or "state"
    return f"{plain}_{number}_in"


def _ordered(graph_def: Any, handles: set[str]) -> None:
    """Raise ValueError where a variable is read after it was assigned, or its handle goes elsewhere."""
    nodes = {n.name: n for n in graph_def.node}
    before: dict[str, set[str]] = {}
    for node in graph_def.node:  # freezing leaves them in a topological order
        above = [i.lstrip("^").partition(":")[0] for i in node.input]
        before[node.name] = {a for name in above for a in (before.get(name) or set())}
        if node.op == "ReadVariableOp" and any(
            _handle(nodes, node, handles) == _handle(nodes, nodes[a], handles) for a in before[node.name]
        ):
            raise ValueError(f"{node.name} reads what was assigned before")
        if _ASSIGN.fullmatch(node.op):
            before[node.name] = before[node.name] | {node.name}


def _handle(nodes: dict[str, Any], node: Any, handles: set[str]) -> str:
    """The placeholder of the handle that the node works on."""
    name = op_of(data(node)[0])
    while name not in handles and nodes[name].op == "Identity":
        name = op_of(data(nodes[name])[0])
    return name
