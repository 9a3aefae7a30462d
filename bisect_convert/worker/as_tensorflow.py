"""A small graph as TensorFlow code: each op one call of `tf.raw_ops`, so that a section can be rebuilt from text alone."""

from __future__ import annotations

import inspect
import keyword
import re
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker.rewrite.editing import imported

__all__ = ["as_tensorflow"]

#: More ops make no text that one reads; more elements of a constant neither: it is one value then, and said to be.
_MOST_OPS, _MOST_ELEMENTS = 40, 64


def as_tensorflow(graph_def: Any) -> str | None:
    """Return a function `section` of tensorflow alone that makes the graph, with inputs and outputs as it has them.

    None where that cannot be said in text: functions are called, an op is not in tf.raw_ops, or there are too many.
    """
    graph = imported(graph_def)
    ops = [op for op in graph.get_operations() if op.type != "NoOp"]
    inputs = [op for op in ops if op.type == "Placeholder"]
    if len(ops) > _MOST_OPS or graph_def.library.function or not inputs:
        return None
    names = _variables([op.name for op in ops])
    lines: list[str] = []
    try:
        for op in ops:
            if op.type != "Placeholder":
                lines.append(f"    {names[op.name]} = {_constant(op) if op.type == 'Const' else _call(op, names)}")
    except (ValueError, KeyError, AttributeError):
        return None
    specs = ", ".join(_spec(op, names[op.name]) for op in inputs)
    ends = [t for op in ops for t in op.outputs if not t.consumers()]
    taken = ", ".join(names[op.name] for op in inputs)
    shown = "{" + ", ".join(f"'y{n}': {_read(t.op, t.value_index, names)}" for n, t in enumerate(ends)) + "}"
    return "\n".join([
        "import tensorflow as tf", "", "",
        f"@tf.function(input_signature=[{specs}])", f"def section({taken}):", *lines, f"    return {shown}", "",
    ])  # fmt: skip


def _variables(names: list[str]) -> dict[str, str]:
    """A name that Python takes for each op, as like its own as may be, no two the same."""
    made: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W+", "_", name.rpartition("/")[2], flags=re.ASCII).strip("_").lower() or "t"
        plain = (
            f"t_{plain}"
            if not plain.isidentifier() or keyword.iskeyword(plain) or plain in ("tf", "section")
            else plain
        )
        number, taken = 1, set(made.values())
        while (fresh := plain if number == 1 else f"{plain}_{number}") in taken:
            number += 1
        made[name] = fresh
    return made


def _spec(op: Any, name: str) -> str:
    tensor = op.outputs[0]
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


def _call(op: Any, names: dict[str, str]) -> str:
    """The call of tf.raw_ops, which may have other names for inputs than the op has, in the same order."""
    attributes = {attr.name for attr in op.op_def.attr}
    parameters = [p for p in inspect.signature(getattr(tf.raw_ops, op.type)).parameters if p != "name"]
    taken = [p for p in parameters if p not in attributes]
    given = [_read(t.op, t.value_index, names) for t in op.inputs]
    words = []
    for parameter, arg in zip(taken, op.op_def.input_arg, strict=True):
        if arg.number_attr or arg.type_list_attr:
            count = op.get_attr(arg.number_attr) if arg.number_attr else len(op.get_attr(arg.type_list_attr))
            words.append(f"{parameter}=[{', '.join(given[:count])}]")
            del given[:count]
        else:
            words.append(f"{parameter}={given.pop(0)}")
    words += [f"{p}={_attribute(op, p)}" for p in parameters if p in attributes]
    return f"tf.raw_ops.{op.type}({', '.join(words)})"


def _read(op: Any, index: int, names: dict[str, str]) -> str:
    """The variable of an op's result; of an op that may have several, the one of that number."""
    arguments = op.op_def.output_arg
    listed = len(arguments) > 1 or any(arg.number_attr or arg.type_list_attr for arg in arguments)
    return f"{names[op.name]}[{index}]" if listed else names[op.name]


def _attribute(op: Any, name: str) -> str:
    value = op.get_attr(name)
    if isinstance(value, bytes):
        return repr(value.decode("ascii"))
    if isinstance(value, tf.DType):
        return f"tf.{value.name}"
    if isinstance(value, list):
        return repr([v.decode("ascii") if isinstance(v, bytes) else v for v in value])
    if isinstance(value, (bool, int, float)):
        return repr(value)
    if hasattr(value, "dim"):
        return repr(tf.TensorShape(value).as_list())
    raise ValueError(f"{name} of {op.type}")
