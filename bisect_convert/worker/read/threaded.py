"""State threaded through the ops that read and assign it: each hands its value to the next. Scripts hold this as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.nodes import ROLES, data, rewire
from bisect_convert.worker.rewrite.editing import RESULT, calls, imported, opened

__all__ = ["Held", "threaded"]

#: Ops on a variable's handle, by what does the same to its value.
_ON_VALUES = {
    "ReadVariableOp": "Identity", "AssignVariableOp": "Identity", "AssignAddVariableOp": "AddV2",
    "AssignSubVariableOp": "Sub", "ResourceScatterNdUpdate": "TensorScatterUpdate", "ResourceScatterNdAdd": "TensorScatterAdd",
    "ResourceScatterNdSub": "TensorScatterSub", "ResourceScatterNdMax": "TensorScatterMax",
    "ResourceScatterNdMin": "TensorScatterMin", "ResourceScatterUpdate": "TensorScatterUpdate",
    "ResourceScatterAdd": "TensorScatterAdd", "ResourceScatterSub": "TensorScatterSub",
    "ResourceScatterMax": "TensorScatterMax", "ResourceScatterMin": "TensorScatterMin",
    "ResourceStridedSliceAssign": "TensorStridedSliceUpdate", "ResourceGather": "GatherV2", "ResourceGatherNd": "GatherNd",
    "VariableShape": "Shape", "VarIsInitializedOp": "Const",
}  # fmt: skip
_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"})
_KEPT = (
    "Tindices",
    "Index",
    "out_type",
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
)
_ROWS = re.compile(r"ResourceScatter(Update|Add|Sub|Max|Min)")


@dataclass(frozen=True)
class Held:
    """What a variable holds: values of this dtype (as its number in protobufs) and shape."""

    dtype: int
    shape: Any


@dataclass
class _Thread:
    """A level whose handles turn into values.

    now: by handle the tensor with what its variable holds; alias: the handle that an op hands on; before: the ops on
    variables that an op stands behind; seen: (op, handle, whether it assigns) so far.
    """

    made: Any
    handles: Mapping[str, Held]
    now: dict[str, str]
    alias: dict[str, str]
    assigned: set[str] = field(default_factory=set)
    before: dict[str, set[str]] = field(default_factory=dict)
    seen: list[tuple[str, str, bool]] = field(default_factory=list)

    def touched(self, node: Any) -> list[str | None]:
        """For each tensor that the node reads, the handle that it is."""
        return [self.alias.get(op_of(tensor)) for tensor in data(node)]

    def worked(self, node: Any, changed: set[str]) -> None:
        """Note what the node did to variables; raises ValueError where something else may do so before or after."""
        for handle in {h for h in self.touched(node) if h is not None}:
            writes = handle in changed
            for name, other, wrote in self.seen:
                if other == handle and (wrote or writes) and name not in self.before[node.name]:
                    raise ValueError(f"{node.name} and {name} work on a variable, in no certain order")
            self.seen.append((node.name, handle, writes))
        self.before[node.name].add(node.name)
        self.assigned |= changed


def threaded(level: Any, handles: Mapping[str, Held]) -> tuple[Any, dict[str, str]]:
    """Return the level whose Placeholders of handles hold values, and by these the tensor with what was assigned last.

    Nothing waits for anything any more. Raises ValueError where the order of reading and assigning does not follow from
    the graph, or more is done with a variable.
    """
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(level.versions)
    made.library.CopyFrom(level.library)
    thread, graph = _Thread(made, handles, {h: h for h in handles}, {h: h for h in handles}), None
    for node in _in_order(level.node):
        above = [op_of(i.lstrip("^")) for i in node.input]
        thread.before[node.name] = {a for name in above for a in thread.before.get(name, ())}
        handle = next((h for h in thread.touched(node) if h is not None), None)
        if handle is None:
            _copied(thread, node)
        elif node.op == "Identity":
            thread.alias[node.name] = handle
        elif node.op in ROLES:
            graph = graph or imported(level)
            thread.worked(node, _through(thread, node, level, graph.get_operation_by_name(node.name)))
        else:
            thread.worked(node, _on_value(thread, node, handle))
    return made, {h: thread.now[h] for h in handles if h in thread.assigned}


def _in_order(nodes: Iterable[Any]) -> Iterator[Any]:
    """The nodes, each behind what it reads and waits for."""
    left = {n.name: n for n in nodes}
    waits = {n.name: {op_of(i.lstrip("^")) for i in n.input} & set(left) for n in left.values()}
    readers: dict[str, list[str]] = {}
    for name, sources in waits.items():
        for source in sources:
            readers.setdefault(source, []).append(name)
    ready = [name for name, sources in waits.items() if not sources]
    for name in ready:  # it grows
        yield left[name]
        for reader in readers.get(name, []):
            waits[reader].discard(name)
            if not waits[reader]:
                ready.append(reader)
    if len(ready) < len(left):
        raise ValueError("the graph has cycles")


def _copied(thread: _Thread, node: Any) -> None:
    copy = thread.made.node.add()
    copy.CopyFrom(node)
    rewire(copy, lambda tensor: thread.now.get(thread.alias.get(op_of(tensor), ""), tensor), waits=lambda op: False)
    copy.attr.pop("_class", None)
    copy.attr.pop("_output_shapes", None)
    if node.name in thread.handles:
        held = thread.handles[node.name]
        copy.Clear()
        copy.name, copy.op = node.name, "Placeholder"
        copy.attr["dtype"].type = held.dtype
        copy.attr["shape"].shape.CopyFrom(held.shape)


def _on_value(thread: _Thread, node: Any, handle: str) -> set[str]:
    """Let an op do to the value what it does to the variable; returns the handles whose variable it changed."""
    if node.op not in _ON_VALUES or len(set(thread.touched(node)) - {None}) > 1:
        raise ValueError(f"variables are not only read and assigned: {node.op}")
    copy = thread.made.node.add(name=node.name, op=_ON_VALUES[node.op])
    given = data(node)
    value, kind = thread.now[handle], thread.handles[handle].dtype
    copy.input[:] = [value, *given[1:]]
    for name in _KEPT:
        if name in node.attr:
            copy.attr[name].CopyFrom(node.attr[name])
    copy.attr["Tparams" if copy.op.startswith("Gather") else "T"].type = kind
    if node.op == "AssignVariableOp":
        copy.input[:] = given[1:]
    elif node.op == "ResourceGather":
        _constant(thread, f"{node.name}/axis", node.attr["batch_dims"].i)
        copy.input.append(f"{node.name}/axis")
        copy.attr["Taxis"].type = tf.int32.as_datatype_enum
        copy.attr["batch_dims"].i = node.attr["batch_dims"].i
    elif _ROWS.fullmatch(node.op):
        _constant(thread, f"{node.name}/last", -1)
        rows = thread.made.node.add(name=f"{node.name}/rows", op="ExpandDims", input=[given[1], f"{node.name}/last"])
        rows.attr["T"].CopyFrom(node.attr["Tindices"])
        rows.attr["Tdim"].type = tf.int32.as_datatype_enum
        copy.input[1] = rows.name
    elif node.op == "VarIsInitializedOp":
        copy.Clear()
        copy.name, copy.op = node.name, "Const"
        copy.attr["dtype"].type = tf.bool.as_datatype_enum
        copy.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(True))
    if node.op in _READS:
        return set()
    thread.now[handle] = node.name
    return {handle}


def _constant(thread: _Thread, name: str, value: int) -> None:
    node = thread.made.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.int32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))


def _through(thread: _Thread, node: Any, level: Any, call: Any) -> set[str]:
    """Thread the state through the functions of a loop, conditional or call; returns the handles whose variable changed."""
    loop, roles = node.op in ("While", "StatelessWhile"), ROLES[node.op]
    given = thread.touched(node)[1 if node.op in ("If", "StatelessIf") else 0 :]
    own = [h for h in given if h is not None]
    if len(own) > len(set(own)) or "branches" in roles:
        raise ValueError(f"{node.name} is given a variable twice, or has branches")
    _copied(thread, node)
    copy = thread.made.node[-1]
    bodies: dict[str, Any] = {}
    last: dict[str, dict[str, str]] = {}
    changed: set[str] = set()
    for role in roles:
        body = opened(level, call, role)
        places = [n.name for n in body.node if n.op == "Placeholder"]
        inside = {p: h for p, h in zip(places, given, strict=True) if h is not None}
        bodies[role], finals = threaded(body, {p: thread.handles[h] for p, h in inside.items()})
        last[role] = {h: finals.get(p, p) for p, h in inside.items()}
        changed |= {inside[p] for p in finals}
    for place, handle in enumerate(given):
        if handle is not None:
            copy.attr["T" if loop else "Tin"].list.type[place] = thread.handles[handle].dtype
    shapes = [t.shape.as_proto() for t in call.outputs]
    for handle in own if loop else [h for h in own if h in changed]:
        place, held = given.index(handle) if loop else len(shapes), thread.handles[handle]
        for role in roles:
            if role != "cond":
                _result(bodies[role], place, last[role][handle], held.dtype)
        shapes[place : place + 1] = [held.shape]
        if not loop:
            copy.attr["Tout"].list.type.append(held.dtype)
        if handle in changed:
            thread.now[handle] = f"{node.name}:{place}" if place else node.name
    copy.attr["output_shapes"].ClearField("list")
    copy.attr["output_shapes"].list.shape.extend(shapes)
    for role in roles:
        calls(thread.made, copy, role, bodies[role])
    return changed


def _result(body: Any, place: int, tensor: str, kind: int) -> None:
    """Let the body return the tensor at that place."""
    node = next((n for n in body.node if n.name == f"{RESULT}{place}"), None)
    node = body.node.add(name=f"{RESULT}{place}", op="Identity") if node is None else node
    node.input[:] = [tensor]
    node.attr["T"].type = kind
