"""What works on the handles of variables, through all calls; and variables too large for a constant. Runs in a worker.

The limit is protobuf's, 2 GiB for one message, and TensorFlow's for one tensor in a graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.nodes import data, functions_of

__all__ = ["fewer_rows", "in_words", "oversized", "readers"]

#: Bytes that one constant may have.
_LIMIT = 2**31 - 1
#: Rows of what stands for an oversized variable.
_ROWS = 64

Place = tuple[str, str]


def oversized(function: Any, graph_def: Any) -> dict[Place, Any]:
    """Return the ops that read a variable too large to freeze, as (function, op), and that variable.

    graph_def: that of the concrete function, with its library.
    """
    return readers(function, graph_def, [v for v in function.graph.variables if _bytes(v) > _LIMIT])


def readers(function: Any, graph_def: Any, variables: Iterable[Any]) -> dict[Place, Any]:
    """Return the ops that work on the handle of one of these variables, as (function, op), and that variable."""
    wanted = {id(v.handle): v for v in variables}
    handles = {inner.op.name: wanted[id(outer)] for outer, inner in function.graph.captures if id(outer) in wanted}
    if not handles:
        return {}
    library = {f.signature.name: f for f in graph_def.library.function}
    found: dict[Place, Any] = {}
    todo: list[tuple[str, Any, dict[str, Any]]] = [("", graph_def.node, handles)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        graph, nodes, known = todo.pop()
        for node in nodes:
            read = [known.get(op_of(tensor)) for tensor in data(node)]
            if node.op == "Identity" and read[0] is not None:
                known[node.name] = read[0]
            called = [library[name] for name in functions_of(node) if name in library]
            for callee in called:
                inside = _given(callee, read)
                key = (callee.signature.name, frozenset(inside))
                if inside and key not in seen:
                    seen.add(key)
                    todo.append((callee.signature.name, callee.node_def, inside))
            if not called and node.op != "Identity":
                found |= {(graph, n): v for n, v in zip([node.name] * len(read), read, strict=True) if v is not None}
    return found


def in_words(variable: Any) -> str:
    """Return the variable's name, dtype, shape and size."""
    shape = ", ".join(str(size) for size in variable.shape)
    return f"{op_of(variable.name)} ({variable.dtype.name}[{shape}], {_bytes(variable) / 1e9:.1f} GB)"


def fewer_rows(variable: Any) -> Any:
    """Return what stands for the variable in a search: itself, or zeros of fewer rows where it is too large to freeze."""
    if _bytes(variable) <= _LIMIT:
        return variable
    return tf.Variable(tf.zeros([min(variable.shape[0], _ROWS), *variable.shape[1:]], variable.dtype))


def _bytes(variable: Any) -> int:
    return int(variable.shape.num_elements() or 0) * int(variable.dtype.size)


def _given(callee: Any, read: list[Any]) -> dict[str, Any]:
    """The variables by the names of the function's arguments."""
    return dict(_pairs(callee, read))


def _pairs(callee: Any, read: list[Any]) -> Iterator[tuple[str, Any]]:
    arguments = [a.name for a in callee.signature.input_arg]
    for name, variable in zip(arguments, read[-len(arguments) :] if arguments else [], strict=False):
        if variable is not None:
            yield name, variable
