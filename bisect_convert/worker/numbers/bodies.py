"""The original inside of its loops, branches and calls: every value of their bodies, each time that they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import callees
from bisect_convert.worker.numbers.names import plain

__all__ = ["Bodies", "Inside", "label", "parted"]

v1 = tf.compat.v1
#: What is kept at most of all runs of all bodies; what comes after is not compared.
_BYTES, _RUNS = 1 << 28, 20_000
_TOLD = frozenset("biuf")


def label(function: str, name: str) -> str:
    """Return how an op or a tensor of a body is called where those of all graphs stand beside each other.

    >>> label("body_6", "acc:0"), label("", "acc:0")
    ('body_6 acc:0', 'acc:0')
    """
    return f"{function} {name}" if function else name


def parted(name: str) -> tuple[str, str]:
    """Return the function ("" for the main graph) and the op or tensor that a label stands for.

    >>> parted("body_6 acc:0")
    ('body_6', 'acc:0')
    """
    function, _, own = name.rpartition(" ")
    return function, own


@dataclass
class Inside:
    """The values of each tensor of a body by its label, one for each run; `names`: the label for a name in the program."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    runs: int = 0

    def keep(self, tensor: str, value: Any) -> None:
        """Remember the value of one run, as long as there is room; what a loop hands on unchanged is there once."""
        kept = self.values.setdefault(tensor, [])
        if kept and _place(kept[-1]) == _place(value):
            kept.append(kept[-1])
            return
        self.bytes += value.nbytes
        if self.bytes <= _BYTES:
            kept.append(value)


def _place(value: Any) -> tuple[int, Any]:
    """Where in memory an array is."""
    return value.__array_interface__["data"][0], value.shape


class Bodies:
    """The functions of a frozen graph, run one by one as the ops that call them would."""

    def __init__(self, graph_def: Any) -> None:
        self._graph_def = graph_def
        self._functions = {f.signature.name: f for f in graph_def.library.function}
        self._levels: dict[str, _Level] = {}

    def __bool__(self) -> bool:
        return any(_is_call(node) for node in self._graph_def.node)

    def op(self, function: str, name: str) -> Any:
        """Return the op of a body, as TensorFlow has it."""
        return self._level(function).graph.get_operation_by_name(name)

    def inside(self, feeds: Mapping[str, Any]) -> Inside:
        """Return what the bodies have inside for these feeds, given by the names of the placeholders."""
        found, level = Inside(), self._level("")
        self._run(found, "", "", [tf.constant(feeds[name]) for name in level.inputs])
        return found

    def _level(self, function: str) -> _Level:
        if function not in self._levels:
            self._levels[function] = _level(function, self._graph_def, self._functions)
        return self._levels[function]

    def _run(self, found: Inside, function: str, path: str, args: Sequence[Any]) -> list[Any]:
        level = self._level(function)
        values = level.run(args)
        found.runs += 1
        for tensor, value in values.items() if function else ():
            if value.dtype not in (tf.variant, tf.resource, tf.string) and value.dtype.as_numpy_dtype is not None:
                array = value.numpy()
                if np.asarray(array).dtype.kind in _TOLD:
                    found.keep(label(function, tensor), np.asarray(array))
                    found.names.update(_names(path, tensor, label(function, tensor)))
        for op in level.calls:
            self._call(found, op, path, [values[t.name] for t in op.inputs])
        return [values[t] for t in level.outputs]

    def _call(self, found: Inside, op: Any, path: str, args: list[Any]) -> None:
        node = op.node_def

        def run(role: str, given: list[Any]) -> list[Any]:
            name = node.attr[role].func.name
            return self._run(found, name, f"{path}{op.name}/{name}/", given)

        if "body" in node.attr:
            while found.runs < _RUNS and bool(run("cond", args)[0]):
                args = run("body", args)
        elif "then_branch" in node.attr:
            run("then_branch" if bool(args[0]) else "else_branch", args[1:])
        elif "f" in node.attr:
            run("f", args)


@dataclass(frozen=True)
class _Level:
    """One graph level, ready to be run: all of its tensors are what it gives."""

    graph: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    calls: tuple[Any, ...]
    fetched: tuple[str, ...]
    function: Any

    def run(self, args: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.fetched, private_api.called_flat(self.function, args), strict=True))


def _level(function: str, graph_def: Any, functions: Mapping[str, Any]) -> _Level:
    if function:
        own, flat = function_def_to_graph_def(functions[function])
        signature = functions[function].signature
        inputs = tuple(arg.name for arg in signature.input_arg)
        outputs = tuple(flat[functions[function].ret[arg.name]] for arg in signature.output_arg)
        part = v1.GraphDef()
        part.CopyFrom(own)
        part.library.CopyFrom(graph_def.library)
    else:
        part, outputs = graph_def, ()
        inputs = tuple(node.name for node in graph_def.node if node.op == "Placeholder")
    wrapped = v1.wrap_function(lambda: tf.import_graph_def(part, name=""), [])
    graph = wrapped.graph
    calls = tuple(op for op in graph.get_operations() if _is_call(op.node_def))
    read = {t.name for op in calls for t in op.inputs}
    fetched = tuple(dict.fromkeys([*(_all(graph) if function else ()), *sorted(read), *outputs]))
    pruned = wrapped.prune(
        [graph.get_tensor_by_name(f"{name}:0") for name in inputs],
        [graph.get_tensor_by_name(name) for name in fetched],
    )
    return _Level(graph, inputs, outputs, calls, fetched, pruned)


def _all(graph: Any) -> Iterator[str]:
    for op in graph.get_operations():
        if op.type != "Const":
            yield from (t.name for t in op.outputs)


def _is_call(node: Any) -> bool:
    return bool(callees(node)) and bool({"body", "then_branch", "f"} & set(node.attr))


def _names(path: str, tensor: str, known: str) -> dict[str, str]:
    """What the tensor may be called in the program, which names it after all that it is in."""
    op, _, index = tensor.rpartition(":")
    return {plain(f"{path}{op}_{index}"): known} | ({plain(f"{path}{op}"): known} if index == "0" else {})
