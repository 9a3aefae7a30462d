"""Inputs made up for a program, and the values that it has at its levels for them. Runs in a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.rewrite.editing import imported, opened

__all__ = ["Feeds", "Parts", "Values", "runs", "sample_inputs", "there"]

v1 = tf.compat.v1
Feeds = Mapping[str, Any]
#: How long one run of a graph may take: a loop need not end on made-up inputs.
_MILLISECONDS = 60_000


def sample_inputs(program: Any, shapes: Mapping[str, Sequence[int | None]], count: int = 3) -> list[dict[str, Any]]:
    """Return `count` sets of random inputs for the program, and one of zeros, as feeds by tensor name.

    shapes: those that the caller gives to inputs. Integers lie within the tables that they index.
    """
    graph = imported(program)
    inputs = [op for op in graph.get_operations() if op.type.startswith("Placeholder")]
    uses = {op.name: _used(op.outputs[0]) for op in inputs if op.outputs[0].dtype.is_integer}
    return [
        {f"{op.name}:0": _drawn(op, shapes.get(op.name), uses, np.random.default_rng(seed), seed == count) for op in inputs}
        for seed in range(count + 1)
    ]  # fmt: skip


@dataclass(frozen=True)
class _Use:
    """What whole numbers are used for: below `most`, and in order where they number segments."""

    most: int
    ordered: bool


def _drawn(op: Any, shape: Sequence[int | None] | None, uses: Mapping[str, _Use], rng: Any, zeros: bool) -> Any:
    tensor = op.outputs[0]
    known = list(shape) if shape is not None else tensor.shape.as_list() if tensor.shape.rank is not None else [2]
    sizes = [s if s is not None else 2 if axis == 0 else 32 for axis, s in enumerate(known)]
    dtype = tensor.dtype.as_numpy_dtype
    if tensor.dtype in (tf.string, tf.variant, tf.resource):
        raise ValueError(f"no {tensor.dtype.name} can be drawn")
    if zeros:
        return np.zeros(sizes, dtype)
    if tensor.dtype == tf.bool:
        return rng.integers(0, 2, sizes).astype(bool)
    if tensor.dtype.is_integer:
        drawn = rng.integers(0, uses[op.name].most, sizes).astype(dtype)
        return np.sort(drawn, 0) if uses[op.name].ordered else drawn
    return rng.standard_normal(sizes).astype(dtype)


#: Ops that hand numbers on, as they are or some of them.
_HANDS_ON = frozenset({
    "Cast", "Identity", "Reshape", "ExpandDims", "Squeeze", "Maximum", "Minimum", "SelectV2", "StridedSlice", "Unpack", "Split",
    "Transpose", "Tile", "ConcatV2",
})  # fmt: skip


def _used(tensor: Any) -> _Use:
    """How an input's whole numbers are used: its values stay within the smallest table that they look up."""
    todo, seen, most, ordered = [tensor], set(), [256] if tensor.dtype == tf.uint8 else [], False
    while todo:
        at = todo.pop()
        for reader in at.consumers():
            place = next(i for i, t in enumerate(reader.inputs) if t is at)
            if reader.type in ("GatherV2", "Gather") and place == 1 and reader.inputs[0].shape.rank:
                axis = int(tf.get_static_value(reader.inputs[2]) or 0) if len(reader.inputs) > 2 else 0
                most += [reader.inputs[0].shape[axis] or 2]
            elif reader.type.startswith("UnsortedSegment") and place == 1:
                most += [int(tf.get_static_value(reader.inputs[2]) or 2)]
            elif reader.type.startswith("Segment") and place == 1:
                ordered = True
            elif reader.name not in seen and reader.type in _HANDS_ON:
                seen.add(reader.name)
                todo += reader.outputs
    return _Use(min(most, default=2), ordered)


class Values:
    """The values that a program has at its levels, for some sets of inputs; bodies of loops have those of their first turn."""

    def __init__(self, program: Any, inputs: Sequence[Feeds]) -> None:
        self.program = program
        self.inputs = inputs
        self._levels: dict[tuple[tuple[str, str], ...], tuple[Any, list[Feeds]]] = {}

    def level(self, path: tuple[tuple[str, str], ...]) -> tuple[Any, list[Feeds]]:
        """Return the level at the path, and what is fed to it for each set of inputs."""
        if not path:
            return self.program, list(self.inputs)
        if path not in self._levels:
            above, feeds = self.level(path[:-1])
            name, role = path[-1]
            graph = imported(above)
            call = graph.get_operation_by_name(name)
            level = opened(above, call, role)
            inputs = [n.name for n in level.node if n.op == "Placeholder"]
            given = list(call.inputs)[len(call.inputs) - len(inputs) :]
            handles = {i: t for i, t in zip(inputs, given, strict=True) if t.dtype in (tf.variant, tf.resource)}
            found: list[Feeds] = []
            for values in runs(
                graph, [t.name for t in given if t.name not in {h.name for h in handles.values()}], feeds
            ):
                found.append({f"{i}:0": values[t.name] for i, t in zip(inputs, given, strict=True) if t.name in values})
            self._levels[path] = (level, found)
        return self._levels[path]


class Parts:
    """Runs a few ops of a level by themselves: TensorFlow takes long to prepare a run of a large graph, each time anew."""

    def __init__(self, level: Any) -> None:
        self._level = level
        self._nodes = {n.name: n for n in level.node}
        self._made: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Any, list[Any]]] = {}

    def run(self, fetches: Sequence[str], feed: Feeds) -> dict[str, Any]:
        """Return the values of the tensors, given others that lead to them; raises whatever TensorFlow raises."""
        key = tuple(dict.fromkeys(fetches)), tuple(feed)
        if key not in self._made:
            self._made[key] = self._part(*key, feed)
        graph, tensors = self._made[key]
        given = {graph.get_tensor_by_name(f"given{n}:0"): value for n, value in enumerate(feed.values())}
        return dict(zip(key[0], _session(graph).run(tensors, given, options=_options()), strict=True))

    def _part(self, fetches: tuple[str, ...], given: tuple[str, ...], feed: Feeds) -> tuple[Any, list[Any]]:
        """The ops between these tensors, without what they wait for, and the wanted tensors of their graph."""
        part, found = v1.GraphDef(), set()
        part.versions.CopyFrom(self._level.versions)
        part.library.CopyFrom(self._level.library)
        todo = [t for t in fetches if t not in given]
        while todo:
            if (name := op_of(todo.pop())) in found:
                continue
            found.add(name)
            node = part.node.add()
            node.CopyFrom(self._nodes[name])
            node.input[:] = [i if ":" in i else f"{i}:0" for i in node.input if not i.startswith("^")]
            todo += [i for i in node.input if i not in given]
        with tf.Graph().as_default() as graph:
            held = {
                name: v1.placeholder(
                    np.asarray(value).dtype, [None] * np.ndim(value), f"given{n}"
                )  # sizes may differ by sample
                for n, (name, value) in enumerate(feed.items())
            }
            read = {i for n in part.node for i in n.input}
            wanted = [t for t in fetches if t not in given]
            inputs = {name: tensor for name, tensor in held.items() if name in read}
            made = dict(zip(wanted, tf.graph_util.import_graph_def(part, inputs, wanted, name="") or [], strict=True))
            return graph, [made.get(t, held.get(t)) for t in fetches]


def _session(graph: Any) -> Any:
    if not hasattr(graph, "_bisect_convert_session"):
        graph._bisect_convert_session = v1.Session(graph=graph, config=_PLAIN)  # it lives as long as the graph does
    return graph._bisect_convert_session


def _as_it_stands() -> Any:
    """A session's settings by which a graph is run without being optimised, which takes longer than a few runs do."""
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
    return config


_PLAIN = _as_it_stands()


def _options() -> Any:
    return v1.RunOptions(timeout_in_ms=_MILLISECONDS)


def runs(graph: Any, fetches: Sequence[str], feeds: Sequence[Feeds]) -> list[dict[str, Any]]:
    """Return the values of the tensors for each set of feeds, of which those count that the tf.Graph has a tensor for."""
    wanted, found = list(dict.fromkeys(fetches)), []
    for feed in feeds:
        given = {n: v for n, v in feed.items() if there(graph, n)}
        got = _session(graph).run(wanted, given, options=_options())
        found.append(dict(zip(wanted, got, strict=True)))
    return found


def there(graph: Any, tensor: str) -> bool:
    """Return whether the tf.Graph has the tensor."""
    try:
        return graph.get_tensor_by_name(tensor) is not None
    except (KeyError, ValueError):
        return False
