"""Which value of an ML program is which tensor of the original: coremltools names one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

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
    return re.sub(r"\W", "_", re.sub(r"_cast_fp16$", "", name))


def correspondence(block: Any, tensors: Iterable[str]) -> dict[Any, str]:
    """Return the original's tensor for each var of the block that bears the name of one, and of one only."""
    named: dict[str, str] = {}
    names = list(tensors)
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
        for var in op.outputs:
            if type(var).__name__ != "ListVar" and (known := named.get(plain(var.name))) is not None:
                found[var] = known
    return found


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
