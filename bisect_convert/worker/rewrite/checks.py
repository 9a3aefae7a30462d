"""Checks of a level left out. Scripts that apply edits hold the text of these."""

from __future__ import annotations

from typing import Any

from bisect_convert.worker.rewrite.editing import RESULT, imported, replaced, without

__all__ = ["handed_on", "left_out", "reading"]


def left_out(graph_def: Any, name: str) -> Any:
    """The check, which no output needs, is left out with all that reads nothing else."""
    gone = {name}
    graph = imported(graph_def)
    for op in _after(graph.get_operation_by_name(name)):
        if op.type not in ("Identity", "NoOp") or op.name.startswith(RESULT):
            raise ValueError(f"{'a result' if op.name.startswith(RESULT) else f'{op.type} {op.name}'} hangs on it")
        gone.add(op.name)
    for each in gone:
        graph_def = without(graph_def, each)
    return graph_def


def _after(op: Any) -> list[Any]:
    """The ops that read what the op makes, directly or not."""
    found: dict[str, Any] = {}
    todo = [op]
    while todo:
        for tensor in todo.pop().outputs:
            fresh = [reader for reader in tensor.consumers() if reader.name not in found]
            found.update({reader.name: reader for reader in fresh})
            todo += fresh
    return list(found.values())


def handed_on(graph_def: Any, name: str) -> Any:
    """The op hands its input on as it is: it only checks or prints it."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    return replaced(graph_def, graph, name, [op.inputs[0]])


def reading(graph: Any, constant: str) -> list[Any]:
    """Return the ops of the graph that read the constant; the converter may put the names of calls before its own."""
    known = [op for op in graph.get_operations() if op.type == "Const" and f"/{constant}".endswith(f"/{op.name}")]
    return [reader for op in known for reader in op.outputs[0].consumers()]
