"""How a recipe's code is called in the place of an op: with the constants and attributes that the op has. Runs in a worker."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.recipes import recipes_of
from bisect_convert.recipes.replaced import REPLACED
from bisect_convert.worker.rewrite.edits import literal, recipe_function

__all__ = ["call_of"]

#: Constants of more numbers stand as names.
_MOST = 16


def call_of(op: Any, recipe: str, attributes: Mapping[str, Any]) -> str | None:
    """Return the call of the recipe's function that computes what the op does; None where its arguments are not the op's."""
    replaced = REPLACED[recipe]
    own = inspect.signature(recipe_function(recipe)).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in own.values()):
        return None
    known: dict[str, str | None] = dict(
        zip(own, (_said(t, name) for t, name in zip(op.inputs, own, strict=False)), strict=False)
    )
    known |= {name: _literal(value) for name, value in attributes.items()}
    for line in replaced.lines:  # `keep_dims = keepdims`: the function has another word for it
        if match := re.fullmatch(r"(\w+) = (\w+)", line):
            known[match[2]] = known.pop(match[1], None)
    if recipe.startswith("Cast__"):
        known["dtype"] = f"tf.{op.outputs[0].dtype.name}"
    parameters = set(re.findall(r"\w+", replaced.parameters))
    if set(known) - parameters - {"DstT"}:  # an attribute that the function has in other words
        return None
    return _call(next(r.function for r in recipes_of(op.type) if r.name == recipe), replaced.parameters, known)


def _literal(value: Any) -> str:
    """The attribute as a person writes it: a shape as a tuple, a float with the digits of a float32."""
    if isinstance(value, tf.TensorShape):
        return repr(tuple(value.as_list()))
    return repr(float(f"{value:.7g}")) if isinstance(value, float) else literal(value)


def _call(name: str, parameters: str, known: Mapping[str, str | None]) -> str | None:
    arguments = ast.parse(f"def f({parameters}): ...").body[0].args  # type: ignore[attr-defined]
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    parts: list[str] = []
    named = False
    for argument, default in [
        *zip(arguments.args, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]:  # fmt: skip
        value = known.get(argument.arg)
        if value is None and default is None:
            return None
        if value is None or (default is not None and _same(value, ast.unparse(default))):
            named = True
            continue
        parts.append(
            f"{argument.arg}={value}" if named or argument in arguments.kwonlyargs or default is not None else value
        )
    return f"{name}({', '.join(parts)})"


def _same(value: str, default: str) -> bool:
    try:
        return bool(ast.literal_eval(value) == ast.literal_eval(default))
    except ValueError:
        return value == default


def _said(tensor: Any, name: str) -> str:
    """The constant as Python has it, a tensor by the parameter's name."""
    value = tf.get_static_value(tensor)
    if value is None or value.size > _MOST or value.dtype.kind not in "iufb":
        return name
    numbers = np.asarray(value).tolist()
    return (
        repr(_tuples(numbers)) if value.dtype.kind != "f" else repr(_tuples(np.round(value.astype(float), 7).tolist()))
    )


def _tuples(numbers: Any) -> Any:
    return tuple(_tuples(n) for n in numbers) if isinstance(numbers, list) else numbers
