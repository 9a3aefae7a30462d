"""Which unknown dimensions of a graph are equal to each other, found by running it on inputs of several sizes."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["RUN_MILLISECONDS", "equal_sizes", "sample_feed"]

#: How long one run of a graph may take: a loop need not end on made-up inputs.
RUN_MILLISECONDS = 5_000
#: Sizes given to the unknown dimensions of the inputs in each of the runs, in turn.
_RUNS = ((32, 48, 40, 56), (48, 40, 64, 32), (64, 80, 48, 96))


def equal_sizes(graph_def: Any, graph: Any, *, run: bool = True) -> dict[str, list[str]]:
    """Return a symbol's name per dimension for tensors with unknown ones: equal names where all runs agree in size.

    A dimension that stays the same size in every run is known after all: it gets "=SIZE". Where the graph cannot be
    run (an op without a kernel, sizes that do not fit), or is not to be, every unknown dimension gets a name of its own.
    """
    looping = _between(graph, {"Enter"}, {"Exit"}) | _between(graph, {"Switch"}, {"Merge", "Exit"})
    open_tensors = [
        t for op in graph.get_operations() if op.name not in looping for t in op.outputs
        if (t.shape.rank is None or None in t.shape.as_list()) and t.dtype.name not in ("variant", "resource")
    ]  # fmt: skip
    if not open_tensors:
        return {}
    runs = _run(graph_def, graph, open_tensors) if run else []
    if len(runs) < 2:
        return _by_input(open_tensors)
    names: dict[tuple[int, ...], str] = {}
    found = {}
    for tensor in open_tensors:
        shapes = [run[tensor.name] for run in runs]
        if len({len(s) for s in shapes}) != 1:
            continue
        known = tensor.shape.as_list() if tensor.shape.rank is not None else [None] * len(shapes[0])
        found[tensor.name] = [
            "" if size is not None else _name(names, tuple(int(s[axis]) for s in shapes))
            for axis, size in enumerate(known)
        ]
    return found


def _between(graph: Any, starts: set[str], ends: set[str]) -> set[str]:
    """The ops inside loops and conditionals of TensorFlow 1: their tensors may be dead, or of one turn, for a fetch."""
    inside: set[str] = set()
    todo = [op for op in graph.get_operations() if op.type in starts]
    while todo:
        op = todo.pop()
        if op.name not in inside and op.type not in ends:
            inside.add(op.name)
            todo += [reader for tensor in op.outputs for reader in tensor.consumers()]
    return inside


def _name(names: dict[tuple[int, ...], str], sizes: tuple[int, ...]) -> str:
    if len(set(sizes)) == 1:
        return f"={sizes[0]}"
    return names.setdefault(sizes, f"d{len(names)}")


def _by_input(tensors: list[Any]) -> dict[str, list[str]]:
    """Without a run: unknown sizes on axis 0 are taken as one batch size, all others as unlike."""
    return {
        t.name: [
            "" if s is not None else "batch" if i == 0 else f"{t.name}/{i}" for i, s in enumerate(t.shape.as_list())
        ]
        for t in tensors
        if t.shape.rank is not None
    }


def _run(graph_def: Any, graph: Any, tensors: list[Any]) -> list[dict[str, Any]]:
    """The tensors' shapes in each of the runs that come to an end.

    As it stands: for so few values optimizing the graph and its functions takes longer than to run it.
    """
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    limit = tf.compat.v1.RunOptions(timeout_in_ms=RUN_MILLISECONDS)
    found = []
    with tf.Graph().as_default() as copy, contextlib.suppress(Exception):  # no kernel: the runs have nothing to say
        tf.import_graph_def(graph_def, name="")
        shapes = {t.name: tf.shape(copy.get_tensor_by_name(t.name)) for t in tensors}
        with tf.compat.v1.Session(graph=copy, config=config) as session:
            for number, sizes in enumerate(_RUNS):
                with contextlib.suppress(Exception):  # sizes that do not fit, no memory, a loop without end
                    feed = sample_feed(graph, sizes, np.random.default_rng(number))
                    found.append(dict(session.run(shapes, feed, options=limit)))
    return found


def sample_feed(graph: Any, sizes: tuple[int, ...], rng: Any) -> dict[str, Any]:
    """Return a value for each input of the graph; unknown dimensions take `sizes` in turn, the batch one of its own."""
    given: dict[tuple[int, int], int] = {}
    return {
        f"{op.name}:0": _sample(op.outputs[0], sizes, given, rng)
        for op in graph.get_operations()
        if op.type == "Placeholder"
    }


def _sample(tensor: Any, sizes: tuple[int, ...], given: dict[tuple[int, int], int], rng: Any) -> Any:
    """A value for one input: unknown first axes share one size (the batch), others take the run's sizes in turn."""
    shape = []
    for axis, size in enumerate(tensor.shape.as_list() if tensor.shape.rank is not None else [None] * 4):
        if size is None:
            size = (
                2 + sizes[0] % 5
                if axis == 0 and tensor.shape.rank != 1
                else given.setdefault((axis, 0), sizes[axis % 4])
            )
        shape.append(size)
    dtype = tensor.dtype.as_numpy_dtype
    if tensor.dtype.is_floating:
        return rng.normal(size=shape).astype(dtype)
    if tensor.dtype.is_integer:
        return np.ones(shape, dtype)
    return np.zeros(shape, dtype)
