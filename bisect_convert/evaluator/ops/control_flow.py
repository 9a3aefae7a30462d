"""control_flow of the MIL reference, but for what has blocks of its own, which the program runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


@kernel("select")
def _select(i: Inputs) -> Any:
    """control_flow.select"""
    return np.where(i.cond, i.a, i.b)


@kernel("make_list")
def _make_list(i: Inputs) -> Any:
    """control_flow.make_list"""
    length = int(i.init_length)
    shape = (
        [] if i.elem_shape is None else [int(n) if str(n).lstrip("-").isdigit() else 0 for n in i.values["elem_shape"]]
    )
    return [np.zeros(shape, np.int32 if i.word("dtype") == "int32" else np.float32)] * length


@kernel("list_length")
def _list_length(i: Inputs) -> Any:
    """control_flow.list_length"""
    return np.int32(len(i.ls))


@kernel("list_write")
def _list_write(i: Inputs) -> Any:
    """control_flow.list_write"""
    index, items = int(i.index), list(i.ls)
    items += [np.zeros_like(i.value)] * (index + 1 - len(items))
    items[index] = i.value
    return items


@kernel("list_read")
def _list_read(i: Inputs) -> Any:
    """control_flow.list_read"""
    return i.ls[int(i.index)]


@kernel("list_gather")
def _list_gather(i: Inputs) -> Any:
    """control_flow.list_gather; of nothing, what is declared: the converter folds the stack of a list that grows to that"""
    chosen = [i.ls[int(n)] for n in np.atleast_1d(i.indices)]
    if chosen:
        return np.stack(chosen)
    shape = i.op.outputs[0].shape or ()
    return np.zeros([0, *(n if isinstance(n, int) else 0 for n in shape[1:])], np.float32)


@kernel("list_scatter")
def _list_scatter(i: Inputs) -> Any:
    """control_flow.list_scatter"""
    items = list(i.ls)
    for place, value in zip(np.atleast_1d(i.indices), i.value, strict=True):
        items += [np.zeros_like(value)] * (int(place) + 1 - len(items))
        items[int(place)] = value
    return items


@kernel("classify")
def _classify(i: Inputs) -> Any:
    """classify.classify"""
    classes = [c for c in np.ravel(i.values["classes"])]
    return classes[int(np.argmax(i.probabilities))], dict(zip(classes, np.ravel(i.probabilities), strict=True))
