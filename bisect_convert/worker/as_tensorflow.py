"""A small graph as TensorFlow code: each op one call of `tf.raw_ops`, so that a section can be rebuilt from text alone."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.names import LOOPS
from bisect_convert.worker import private_api
from bisect_convert.worker.rewrite.editing import imported

__all__ = ["as_tensorflow"]

#: More ops make no text that one reads; more elements of a constant neither: it is one value then, and said to be.
_MOST_OPS, _MOST_ELEMENTS = 120, 64
#: Attributes that bear another name in tf.raw_ops.
_RENAMED = {"Squeeze": {"axis": "squeeze_dims"}}
#: What says how a function is run, not what it computes.
_MANNER = frozenset({"config", "config_proto", "executor_type"})
_CHOICES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})


def as_tensorflow(graph_def: Any) -> str | None:
    """Return a function `section` of tensorflow alone that makes the graph, with inputs and outputs as it has them.

    What the graph calls, the bodies of its loops and conditionals among it, is a function of its own before it, and must be
    known to TensorFlow. None where that cannot be said in text: an op is not in tf.raw_ops, or there are too many.
    """
    graph = imported(graph_def)
    ops = _said(graph)
    inputs = [op.outputs[0] for op in ops if op.type == "Placeholder"]
    if not inputs:
        return None
    text = _Text({f.signature.name: f for f in graph_def.library.function})
    try:
        names = text.written("section", ops, inputs, [op.name.rpartition("/")[2] for op in ops])
    except (ValueError, KeyError, AttributeError):
        return None
    # What else an op makes that is read is no result: to coremltools a result of a loop more is another failure.
    ends = [t for op in ops if not any(t.consumers() for t in op.outputs) for t in op.outputs]
    shown = "{" + ", ".join(f"'y{n}': {_read(t.op, t.value_index, names)}" for n, t in enumerate(ends)) + "}"
    return "\n".join(["import tensorflow as tf", *text.lines, f"    return {shown}", ""])


def _said(graph: Any) -> list[Any]:
    return [op for op in graph.get_operations() if op.type != "NoOp"]


class _Text:
    """The functions that are written so far, and what they are called.

    library: the FunctionDefs that may be called, by name.
    """

    def __init__(self, library: Mapping[str, Any]) -> None:
        self.lines: list[str] = []
        self._library = library
        self._ops = 0
        self._called: dict[tuple[str, str], str] = {}

    def written(self, name: str, ops: Sequence[Any], inputs: Sequence[Any], like: Sequence[str]) -> dict[str, str]:
        """Write a function but for what it returns, after those that it calls; returns the variable of each op.

        like: what the variables are to be called, if that may be. Raises ValueError, KeyError or AttributeError for what
        cannot be said.
        """
        self._ops += len(ops)
        if self._ops > _MOST_OPS:
            raise ValueError("too many ops")
        calls = {op.name: self._functions(op) for op in ops}
        names = _variables([op.name for op in ops], like, {"tf", name, *self._called.values()})
        specs = ", ".join(_spec(tensor, names[tensor.op.name]) for tensor in inputs)
        head = [
            f"@tf.function(input_signature=[{specs}])",
            f"def {name}({', '.join(names[t.op.name] for t in inputs)}):",
        ]
        given = {tensor.op.name for tensor in inputs}
        body = [
            f"    {names[op.name]} = {_constant(op) if op.type == 'Const' else _call(op, names, calls[op.name])}"
            for op in ops if op.name not in given
        ]  # fmt: skip
        self.lines += ["", "", *head, *body]
        return names

    def _functions(self, op: Any) -> dict[str, str]:
        """The words for those attributes of an op that are functions."""
        found = {}
        for attr in op.op_def.attr:
            if attr.type == "func":
                found[attr.name] = self._function(op.get_attr(attr.name).name, op, attr.name)
            elif attr.type == "list(func)":
                each = [self._function(function.name, op, "branch") for function in op.get_attr(attr.name)]
                found[attr.name] = f"[{', '.join(each)}]"
        return found

    def _function(self, function: str, op: Any, role: str) -> str:
        """The words for a function that an op calls, which is written first; it is called as what it is to the op."""
        tensors = op.outputs if op.type in LOOPS else op.inputs[1:] if op.type in _CHOICES else op.inputs
        key = (function, str([t.shape for t in tensors]))
        if key not in self._called:
            graph = private_api.body_graph(self._library[function], [t.shape for t in tensors])
            read = {tensor.ref() for tensor in graph.outputs}
            ops = [
                op
                for op in _said(graph)
                if op.type != "Const" or op.outputs[0].consumers() or op.outputs[0].ref() in read
            ]
            name = _fresh(role, self._called.values())
            self._called[key] = name
            names = self.written(name, ops, graph.inputs, [op.type for op in ops])
            shown = ", ".join(_read(t.op, t.value_index, names) for t in graph.outputs)
            self.lines.append(f"    return [{shown}]")
        return f"{self._called[key]}.get_concrete_function()"


def _variables(names: Sequence[str], like: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """A name that Python takes for each op, as much like another as may be, no two the same."""
    made: dict[str, str] = {}
    for name, wish in zip(names, like, strict=True):
        plain = re.sub(r"\W+", "_", wish, flags=re.ASCII).strip("_").lower() or "t"
        plain = f"t_{plain}" if not plain.isidentifier() or keyword.iskeyword(plain) or plain in taken else plain
        made[name] = _fresh(plain, {*taken, *made.values()})
    return made


def _fresh(plain: str, taken: Collection[str]) -> str:
    number = 1
    while (fresh := plain if number == 1 else f"{plain}_{number}") in taken:
        number += 1
    return fresh


def _spec(tensor: Any, name: str) -> str:
    shape = None if tensor.shape.rank is None else tensor.shape.as_list()
    return f"tf.TensorSpec({shape}, tf.{tensor.dtype.name}, name={ascii(name)})"


def _constant(op: Any) -> str:
    value = tf.make_ndarray(op.get_attr("value"))
    kind = op.outputs[0].dtype.name
    if value.dtype.kind not in "biuf":
        raise ValueError(f"a constant of {kind}")
    if value.size <= _MOST_ELEMENTS:
        return (
            f"tf.constant({value.tolist()!r}, tf.{kind}{'' if value.size else f', shape={list(value.shape)}'})".replace(
                "nan", "float('nan')"
            ).replace("inf", "float('inf')")
        )
    first = np.ravel(value)[0].item()
    return (
        f"tf.fill({list(value.shape)}, tf.constant({first!r}, tf.{kind}))  # values left out: the first stands for all"
    )


def _call(op: Any, names: Mapping[str, str], functions: Mapping[str, str]) -> str:
    """The call of tf.raw_ops, which may have other names for inputs than the op has, in the same order."""
    attributes = {attr.name for attr in op.op_def.attr}
    renamed = _RENAMED.get(op.type, {})
    parameters = [p for p in inspect.signature(getattr(tf.raw_ops, op.type)).parameters if p != "name"]
    taken = [p for p in parameters if renamed.get(p, p) not in attributes]
    given = [_read(t.op, t.value_index, names) for t in op.inputs]
    words = []
    for parameter, arg in zip(taken, op.op_def.input_arg, strict=True):
        if arg.number_attr or arg.type_list_attr:
            count = op.get_attr(arg.number_attr) if arg.number_attr else len(op.get_attr(arg.type_list_attr))
            words.append(f"{parameter}=[{', '.join(given[:count])}]")
            del given[:count]
        else:
            words.append(f"{parameter}={given.pop(0)}")
    asked = {p: renamed.get(p, p) for p in parameters if p not in taken and p not in _MANNER}
    words += [f"{p}={functions.get(a) or _attribute(op, a)}" for p, a in asked.items()]
    if op.type == "Identity":  # coremltools knows a body's results by the names of the ones that tf.function adds
        words.append("name='copy'")
    return f"tf.raw_ops.{op.type}({', '.join(words)})"


def _read(op: Any, index: int, names: Mapping[str, str]) -> str:
    """The variable of an op's result; of an op that may have several, the one of that number."""
    arguments = op.op_def.output_arg
    listed = len(arguments) > 1 or any(arg.number_attr or arg.type_list_attr for arg in arguments)
    return f"{names[op.name]}[{index}]" if listed else names[op.name]


def _attribute(op: Any, name: str) -> str:
    value = op.get_attr(name)
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("ascii"))
    if isinstance(value, tf.DType):
        return f"tf.{value.name}"
    if isinstance(value, (bool, int, float)):
        return repr(value)
    if hasattr(value, "dim"):
        shape = tf.TensorShape(value)
        return repr(None if shape.rank is None else shape.as_list())
    raise ValueError(f"an attribute that is a {type(value).__name__}")
