"""Which value of an ML program is which tensor of the original: coremltools names one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from bisect_convert.evaluator.program import all_ops, dtype_of
from bisect_convert.model.names import in_core_ml

__all__ = ["correspondence", "fitted", "plain"]

_TURNS: dict[int, list[tuple[int, ...]]] = {
    3: [(0, 2, 1)],
    4: [(0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 3, 2)],
    5: [(0, 4, 1, 2, 3), (0, 2, 3, 4, 1)],
}


def plain(name: str) -> str:
    """Return the name as a program has it: all but letters and digits is "_", and float16 leaves no trace.

    >>> plain("act/exp_cast_fp16"), plain("stats/var")
    ('act_exp', 'stats_var')
    """
    return in_core_ml(re.sub(r"_cast_fp16$", "", name))


def correspondence(block: Any, values: Mapping[str, Any], inner: Mapping[str, str]) -> dict[Any, str]:
    """Return the original's tensor for each var that bears the name of one, and of one only, the blocks within included.

    inner: the tensors of the original's bodies by their names in a program.
    """
    named: dict[str, str] = {}
    names = list(values)
    count = Counter(plain(t.rpartition(":")[0]) for t in names if t.endswith(":0"))
    for tensor in names:
        op, _, index = tensor.rpartition(":")
        if count[plain(op)] == 1:
            named[f"{plain(op)}_{index}"] = tensor
            if index == "0":
                named[plain(op)] = tensor
    found: dict[Any, str] = {}
    for op in block.operations:
        if op.op_type == "const":
            continue
        if op.blocks:
            found.update(_results(op, values))
            continue
        for var in op.outputs:
            if type(var).__name__ != "ListVar" and (known := named.get(plain(var.name))) is not None:
                found[var] = known
    return found | _within(block, inner)


def _results(op: Any, values: Mapping[str, Any]) -> dict[Any, str]:
    """What a loop or branch makes: it has fewer results in a program, so that not places tell which is which but kinds."""
    found: dict[Any, str] = {}
    for var in op.outputs:
        name = re.sub(r"_\d+$", "", plain(var.name))
        whose = {plain(var.name), name}
        alike = [t for t, v in values.items() if plain(t.rpartition(":")[0]) in whose and _alike(var, v)]
        if len(alike) == 1:
            found[var] = alike[0]
    return {var: tensor for var, tensor in found.items() if list(found.values()).count(tensor) == 1}


def _alike(var: Any, value: Any) -> bool:
    if type(var).__name__ == "ListVar" or var.shape is None or len(var.shape) != np.ndim(value):
        return False
    sizes = zip(var.shape, np.shape(value), strict=True)
    floats = dtype_of(var).startswith("fp") == (np.asarray(value).dtype.kind == "f")
    return floats and all(not isinstance(s, int | np.integer) or int(s) == n for s, n in sizes)


def _within(block: Any, inner: Mapping[str, str]) -> dict[Any, str]:
    named = [
        (var, inner[plain(var.name)])
        for op in block.operations for deeper in op.blocks for one in all_ops(deeper) if one.op_type != "const"
        for var in one.outputs if type(var).__name__ != "ListVar" and plain(var.name) in inner
    ]  # fmt: skip
    count = Counter(tensor for _, tensor in named)
    return {var: tensor for var, tensor in named if count[tensor] == 1}


def fitted(want: Any, got: Any) -> Any:
    """Return the original's value in the layout of the program's: as it is, turned, or reshaped; None where none fits."""
    shape = np.shape(got)
    choices = [want] if np.shape(want) == shape else []
    if np.ndim(want) == len(shape):
        choices += [t for p in _TURNS.get(len(shape), []) if (t := np.transpose(want, p)).shape == shape]
    if not choices and np.size(want) == np.size(got):
        choices = [np.reshape(want, shape)]
    if not choices:
        return None
    if len(choices) == 1:
        return choices[0]
    with np.errstate(all="ignore"):
        apart = [np.nanmean(np.abs(np.asarray(c, np.float64) - got)) if np.size(got) else 0.0 for c in choices]
    return choices[int(np.argmin(np.where(np.isnan(apart), np.inf, apart)))]
