"""Nodes of GraphDefs and FunctionDefs: what they read, which functions they call, and how they are rewired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = [
    "ROLES", "called_by_role", "callees", "controls", "data", "functions_of", "put_nodes", "read_instead", "rewire",
    "set_data",
]  # fmt: skip

#: Which attributes of an op type hold the functions that it calls.
ROLES = {
    "While": ("cond", "body"), "StatelessWhile": ("cond", "body"),
    "If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch"),
    "PartitionedCall": ("f",), "StatefulPartitionedCall": ("f",),
    "Case": ("branches",), "StatelessCase": ("branches",),
}  # fmt: skip
_ROLE_WORDS = {"then_branch": "then", "else_branch": "else", "f": "call", "branches": "branch"}


def called_by_role(node: Any) -> list[tuple[str, str]]:
    """Return (role, function) for each function that the node calls."""
    found = []
    for role in ROLES.get(node.op, ()):
        if role not in node.attr:
            continue
        attr = node.attr[role]
        names = [f.name for f in attr.list.func] if role == "branches" else [attr.func.name]
        found += [(_ROLE_WORDS.get(role, role), name) for name in names]
    return found


def callees(node: Any) -> list[str]:
    """Return the names of the functions that the node calls."""
    return [name for _, name in called_by_role(node)]


def functions_of(node: Any) -> list[str]:
    """Return the names of all functions that the node's attributes hold, whether it calls them or not."""
    return [f.name for a in node.attr.values() for f in [a.func, *a.list.func] if f.name]


def data(node: Any) -> list[str]:
    """Return the tensors that the node reads, as it writes them."""
    return [i for i in node.input if not i.startswith("^")]


def controls(node: Any) -> list[str]:
    """Return the names of the ops that it waits for."""
    return [i[1:] for i in node.input if i.startswith("^")]


def set_data(node: Any, tensors: Iterable[str]) -> None:
    """Let the node read these tensors instead of those it reads; what it waits for stays."""
    rewire(node, tensors=tensors)


def rewire(
    node: Any,
    written: Callable[[str], str] = lambda tensor: tensor,
    *,
    waits: Callable[[str], bool] = lambda op: True,
    tensors: Iterable[str] | None = None,
) -> None:
    """Let the node read `written(tensor)` for each tensor (of `tensors`, if given), and wait only for what `waits` lets."""
    read = [written(t) for t in (data(node) if tensors is None else tensors)]
    kept = [f"^{op}" for op in controls(node) if waits(op)]
    del node.input[:]
    node.input.extend(read + kept)


def read_instead(nodes: Iterable[Any], written: Mapping[str, str]) -> None:
    """Let the nodes read and wait for what the mapping names in place of its keys."""
    for node in nodes:
        inputs = [written.get(i, i) for i in node.input]
        del node.input[:]
        node.input.extend(inputs)


def put_nodes(field: Any, nodes: Iterable[Any]) -> None:
    """Make these nodes, some of which may be in it already, the content of a GraphDef's or FunctionDef's field."""
    copies = [node.SerializeToString() for node in nodes]
    del field[:]
    for copy in copies:
        field.add().ParseFromString(copy)
