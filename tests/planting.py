"""Culprits planted in frozen graphs: after any tensor, in the main graph or in the body of a loop or cond."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert import Report, find
from bisect_convert.model.graph import Model, Tensor
from bisect_convert.probe.client import Workers
from bisect_convert.worker import private_api

__all__ = ["KINDS", "REWRITTEN", "Place", "blamed", "places", "plant", "report_on"]

#: What is planted: how it is made of a tensor, and which of its ops are to blame (by the ends of their names).
KINDS: dict[str, tuple[Callable[[tf.Tensor, str], tf.Tensor], tuple[str, ...]]] = {
    "roll": (lambda x, name: tf.roll(x, 1, 0, name=f"{name}/Roll"), ("Roll",)),
    "erfc": (lambda x, name: tf.math.erfc(x, name=f"{name}/Erfc"), ("Erfc",)),
    "cast": (lambda x, name: _through(x, name, "Bool", tf.bool), ("Bool",)),
    "int8": (lambda x, name: _through(x, name, "Int8", tf.int8), ("Int8",)),
    "rank6": (lambda x, name: _rank6(x, name), ("Six", "Work")),
    "benign": (lambda x, name: tf.math.atan(x, name=f"{name}/Atan"), ()),
}


raw = tf.raw_ops
#: Ops that recipes stand in for, as made of a tensor, which keeps its shape: what edits are swept with. More of the ends of
#: a type's values lie in it than in what a model makes.
REWRITTEN: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "roll": lambda x: tf.roll(x, [1, -1], [0, -1]),
    "erfc": tf.math.erfc,
    "erfinv": lambda x: tf.math.erfinv(0.9 * tf.tanh(x)),
    "ndtri": lambda x: tf.math.ndtri(tf.clip_by_value(tf.sigmoid(x), 0.01, 0.99)),
    "expm1": lambda x: tf.math.expm1(tf.minimum(x, 9.0)),
    "asinh": tf.asinh,
    "acosh": lambda x: tf.acosh(1.0 + tf.abs(x)),
    "lgamma": lambda x: tf.math.lgamma(0.5 + tf.abs(x)),
    "digamma": lambda x: tf.math.digamma(0.5 + tf.abs(x)),
    "rint": lambda x: raw.Rint(x=3.0 * x),
    "finite": lambda x: tf.where(tf.math.is_finite(x), x, tf.zeros([], x.dtype)),
    "nan": lambda x: tf.where(tf.math.is_nan(x), 1.0, x),
    "atan2": lambda x: tf.atan2(x, x - 0.5),
    "xlogy": lambda x: tf.math.xlogy(x, tf.abs(x)),
    "xlog1py": lambda x: tf.math.xlog1py(x, tf.abs(x)),
    "xdivy": lambda x: tf.math.xdivy(x, 1.0 + tf.abs(x)),
    "truncatemod": lambda x: _whole(x, lambda i: raw.TruncateMod(x=i, y=3)),
    "truncatediv": lambda x: _whole(x, lambda i: raw.TruncateDiv(x=i, y=3)),
    "bits": lambda x: _whole(x, lambda i: tf.bitwise.bitwise_and(i, 5)),
    "xor": lambda x: _whole(x, lambda i: tf.bitwise.bitwise_xor(i, 12)),
    "shift": lambda x: _whole(x, lambda i: tf.bitwise.left_shift(tf.abs(i), 2)),
    "uint8": lambda x: _whole(x, lambda i: tf.cast(tf.abs(i) % 256, tf.uint8)),
    "int8": lambda x: _whole(x, lambda i: tf.cast(i % 128, tf.int8)),
    "bool": lambda x: tf.cast(tf.cast(x, tf.bool), tf.float32),
    "cumprod": lambda x: tf.math.cumprod(tf.tanh(x), -1),
    "logsumexp": lambda x: tf.math.cumulative_logsumexp(x, -1),
    "scatter": lambda x: tf.tensor_scatter_nd_update(x, [[0]], 2.0 * x[:1]),
    "scatter max": lambda x: tf.tensor_scatter_nd_max(x, [[0]], -x[:1]),
    "fourier": lambda x: tf.abs(tf.signal.ifft(tf.signal.fft(tf.complex(x, tf.zeros_like(x))))),
    "spectrum": lambda x: x + tf.reduce_sum(tf.abs(tf.signal.rfft(x)), -1, keepdims=True),
    "band": lambda x: tf.linalg.band_part(x, tf.minimum(tf.shape(x)[-1], 1), 0),
    "segments": lambda x: tf.gather(
        tf.math.unsorted_segment_sum(x, tf.range(tf.shape(x)[0]) // 2, 64), tf.range(tf.shape(x)[0]) // 2),
    "maxima": lambda x: tf.gather(
        tf.math.unsorted_segment_max(x, tf.range(tf.shape(x)[0]) // 2, 64), tf.range(tf.shape(x)[0]) // 2),
    "checked": lambda x: tf.debugging.check_numerics(x, "odd"),
    "ensured": lambda x: tf.ensure_shape(x, x.shape),
    "broadcast": lambda x: x + raw.BroadcastTo(input=tf.constant([1.0]), shape=tf.shape(x)),
    "float64": lambda x: tf.cast(tf.tanh(tf.cast(x, tf.float64)), tf.float32),
    "bfloat16": lambda x: tf.cast(tf.cast(x, tf.bfloat16) * 2.0, tf.float32),
    "rank6": lambda x: tf.reshape(tf.tanh(tf.reshape(x, [1] * (6 - len(x.shape)) + x.shape.as_list())), x.shape),
    "quantized": lambda x: tf.quantization.fake_quant_with_min_max_args(x, -3.0, 3.0),
    "kept": lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.cond(x[(0,) * len(x.shape)] > 0.0, lambda: x, lambda: -x),
                              lambda: tf.tanh(x)),
    "turned": lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.math.erfc(y)), (0, x),
                                      maximum_iterations=9)[1],
}  # fmt: skip


def _whole(x: tf.Tensor, make: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """What is made of the tensor in whole numbers, as floats again."""
    return tf.cast(make(tf.cast(tf.clip_by_value(100.0 * x, -9e4, 9e4), tf.int32)), tf.float32)


def _rewritten(kind: str) -> Callable[[tf.Tensor, str], tf.Tensor]:
    def make(x: tf.Tensor, name: str) -> tf.Tensor:
        with tf.name_scope(f"{name}/"):
            return tf.identity(REWRITTEN[kind](x), name="Last")

    return make


def _through(x: tf.Tensor, name: str, op: str, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.cast(x, dtype, name=f"{name}/{op}"), x.dtype, name=f"{name}/Back")


def _rank6(x: tf.Tensor, name: str) -> tf.Tensor:
    sizes = x.shape.as_list()
    wide = tf.reshape(x, [1] * (6 - len(sizes)) + sizes, name=f"{name}/Six")
    return tf.reshape(tf.tanh(wide, name=f"{name}/Work"), sizes, name=f"{name}/Back")


@dataclass(frozen=True)
class Place:
    """A float tensor after which something can be planted; `graph` is "" or the name of a body."""

    graph: str
    tensor: Tensor

    def takes(self, kind: str) -> bool:
        """True where that kind can be planted here."""
        shape = self.tensor.shape
        if kind in ("kept", "turned") and self.graph or kind == "band" and len(shape or ()) < 2:
            return False
        return kind != "rank6" or (shape is not None and None not in shape)


def places(model: Model) -> list[Place]:
    """Every place of a model, in order, but for what nothing reads in a body: coremltools may leave that out."""
    return [
        Place(graph.name, tensor)
        for graph in model.graphs.values()
        for name in graph.sorted(graph.order)
        for tensor in graph.ops[name].outputs
        if tensor.dtype == "float32" and tensor.shape and name not in graph.shape_arithmetic
        if not graph.name or tensor.name in {*graph.results, *(t for op in graph.ops.values() for t in op.inputs)}
    ]


def plant(graph_def: Any, place: Place, kind: str, name: str) -> set[tuple[str, str]]:
    """Plant in place; return (name, function) of the ops to blame. What read the tensor now reads what is planted."""
    make, guilty = KINDS[kind] if kind in KINDS else (_rewritten(kind), ())
    with tf.Graph().as_default() as graph:
        stand_in = tf.compat.v1.placeholder(place.tensor.dtype, place.tensor.shape, name="stand_in")
        last = make(stand_in, name)
    fresh = [n for n in graph.as_graph_def().node if n.name != "stand_in"]
    graph_def.library.MergeFrom(graph.as_graph_def().library)
    if place.graph:
        _into_function(graph_def, place, fresh, last)
    else:
        _into_graph(graph_def.node, place.tensor.name.removesuffix(":0"), fresh, last.op.name)
    return {(f"{name}/{end}", place.graph) for end in guilty}


def _into_graph(nodes: Any, tensor: str, fresh: list[Any], last: str) -> None:
    for node in nodes:
        _rename(node, {tensor: last, f"{tensor}:0": last})
    at = 1 + [n.name for n in nodes].index(tensor.partition(":")[0])
    for node in reversed(fresh):
        _rename(node, {"stand_in": tensor})
        nodes.insert(at, node)


def _into_function(graph_def: Any, place: Place, fresh: list[Any], last: tf.Tensor) -> None:
    (function,) = (f for f in graph_def.library.function if f.signature.name == place.graph)
    full = {flat: name for name, flat in private_api.flat_names(function).items()}
    tensor = full.get(place.tensor.name, place.tensor.name.removesuffix(":0"))
    with_arguments = {n.name: f"{n.name}:{_output(n)}:0" for n in fresh}
    for node in function.node_def:
        _rename(node, {tensor: with_arguments[last.op.name]})
    for key, value in function.ret.items():
        if value == tensor:
            function.ret[key] = with_arguments[last.op.name]
    for node in fresh:
        _rename(node, {**with_arguments, "stand_in": tensor})
        function.node_def.add().CopyFrom(node)


def _output(node: Any) -> str:
    from tensorflow.python.framework import op_def_registry

    return str(op_def_registry.get(node.op).output_arg[0].name)


def _rename(node: Any, names: dict[str, str]) -> None:
    inputs = [names.get(i, i) for i in node.input]
    del node.input[:]
    node.input.extend(inputs)


def report_on(graph_def: Any, workers: Workers) -> Report:
    """Search the frozen graph as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.pb"
        path.write_bytes(graph_def.SerializeToString())
        return find(path, workers=workers)


def blamed(report: Report) -> set[tuple[str, str]]:
    """(name, function) of every culprit of every finding."""
    return {(c.name, c.function or "") for f in report.findings for c in f.culprits}
