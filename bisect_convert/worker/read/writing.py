"""Write a frozen graph down as facts: graph.pb, weights.pb, a GraphDef for each body, model.json. Runs in a worker."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.model import facts
from bisect_convert.model.graph import Graph, Items, Op, Tensor
from bisect_convert.model.names import op_of
from bisect_convert.model.scopes import as_the_model_has_them, renamed
from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import ROLES, called_by_role, rewire
from bisect_convert.worker.read import source_lines
from bisect_convert.worker.read.functions import Bodies
from bisect_convert.worker.read.input_shapes import shape_of, with_shapes
from bisect_convert.worker.read.reading import Left, Reading
from bisect_convert.worker.read.shared_sizes import equal_sizes
from bisect_convert.worker.read.tensor_lists import list_items
from bisect_convert.worker.rewrite.constants import kept_from_converter

__all__ = ["COMPLETE", "KNOWN", "layer_of", "shaped", "slim", "slimmed", "write_facts"]

#: The large weights: all of them, or those that are known where others were left in the model's files.
COMPLETE, KNOWN = "weights.pb", "known.pb"

#: Float constants with more elements than this are written as one repeated value in the slim graph.
SLIM_ABOVE = 65_536


def shaped(graph_def: Any) -> Any:
    """Return the GraphDef with the shapes that TensorFlow infers written beside each op."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    return graph.as_graph_def(add_shapes=True)


def write_facts(graph_def: Any, folder: Path, reading: Reading) -> dict[str, Any]:
    """Write graph.pb (slim), its weights, bodies and model.json into `folder`; returns a summary."""
    if reading.define:
        private_api.define_functions(graph_def.library.function)
    functions = _functions(graph_def)
    del graph_def.library.function[:]
    graph_def.library.function.extend(functions.values())
    digest = hashlib.sha256(graph_def.SerializeToString(deterministic=True)).hexdigest()
    weights = slim(graph_def)
    count, mib = len(weights.node), sum(map(_size, weights.node)) / 2**20
    unread = None
    if (left := reading.left) is not None:
        digest = hashlib.sha256(f"{digest} {left.digest}".encode()).hexdigest()
        unread, weights = _unread(reading, left, weights)
    graph, placeholders, refused = with_shapes(graph_def, reading.inputs)
    symbols = equal_sizes(graph_def, graph, run=not reading.no_run) if reading.failure is None else {}
    results = _outputs(graph, reading.outputs) or _sinks(graph)
    source = source_lines.finder(reading.sources)
    bodies = Bodies(functions)
    items = list_items(graph, {}, bodies.of_loop)
    graphs = {"": Graph("", _ops(graph, symbols, source, items), tuple(results))}
    files = {"": "graph.pb"}
    _Written(graphs, files, folder, bodies, source).below(graph, "", items)
    scopes = {op.layer for graph in graphs.values() for op in graph.ops.values() if op.layer}
    plain = as_the_model_has_them(scopes, {*reading.layers, *reading.named})
    graphs = renamed(graphs, plain) if plain else graphs
    (folder / "graph.pb").write_bytes(graph_def.SerializeToString())
    (folder / (COMPLETE if unread is None else KNOWN)).write_bytes(weights.SerializeToString())
    facts.write(
        facts.Facts(
            reading.path, reading.signature, reading.signatures, digest, graphs, files, tuple(placeholders),
            reading.failure, reading.blamed or (), private_api.convertible_types(), count, reading.keys,
            refused, reading.handed, reading.variants, reading.large, reading.layers, bool(plain), mib, unread,
            reading.state,
        ),
        folder,
    )  # fmt: skip
    return {"ops": len(graph_def.node), "slim": count}


def _unread(reading: Reading, left: Left, weights: Any) -> tuple[facts.Unread, Any]:
    """Which of the large weights were left in the model's files, and a GraphDef of the others."""
    known = tf.compat.v1.GraphDef()
    variables, derived = {}, []
    for node in weights.node:
        key = left.variables.get(node.name)
        if key is not None and left.value is None:
            variables[node.name] = key
        elif key is not None or node.name in left.true:
            known.node.add().CopyFrom(node)
            if key is not None and left.value is not None:
                known.node[-1].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(left.value(key)))
        else:
            derived.append(node.name)
    return facts.Unread(variables, tuple(derived), left.files, reading.allow_code), known


def _functions(graph_def: Any) -> dict[str, Any]:
    """The functions that the graph reaches, as TensorFlow's eager context has them: coremltools reads them there."""
    library = {f.signature.name: f for f in graph_def.library.function}
    found: dict[str, Any] = {}
    todo = [n for node in graph_def.node for _, n in called_by_role(node)]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        function = private_api.function_def(name) or library.get(name)
        if function is not None:
            found[name] = function
            todo += [n for node in function.node_def for _, n in called_by_role(node)]
    return dict(sorted(found.items()))


def slim(graph_def: Any, *, distinct: bool = False) -> Any:
    """Write each large float constant as one repeated value; return a GraphDef of those nodes as they were.

    distinct: as values of their own, which float16 tells apart, so that nothing is taken for the same as something else.
    """
    weights = tf.compat.v1.GraphDef()
    for node in graph_def.node:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        if not slimmed(tf.as_dtype(tensor.dtype), [d.size for d in tensor.tensor_shape.dim]):
            continue
        weights.node.add().CopyFrom(node)
        value = 0.137 + (0.0005 * (len(weights.node) % 700) if distinct else 0.0)
        del tensor.float_val[:], tensor.double_val[:]
        tensor.tensor_content = b""
        (tensor.float_val if tensor.dtype == tf.float32.as_datatype_enum else tensor.double_val).append(value)
    return weights


def slimmed(dtype: Any, shape: Iterable[int]) -> bool:
    """Return whether a constant of this type and shape is written as one repeated value."""
    return dtype in (tf.float32, tf.float64) and math.prod(shape) > SLIM_ABOVE


def _size(node: Any) -> int:
    """The bytes of a constant, however it is written."""
    tensor = node.attr["value"].tensor
    return int(tf.as_dtype(tensor.dtype).size * math.prod(d.size for d in tensor.tensor_shape.dim))


def _outputs(graph: Any, names: Iterable[str]) -> list[str]:
    """The tensors that the caller wants as outputs, as far as the graph has them."""
    known = {op.name for op in graph.get_operations() if op.outputs}
    return [f"{op_of(name)}:0" for name in names if op_of(name) in known]


def _sinks(graph: Any) -> list[str]:
    """The tensors that nothing reads: coremltools takes their ops as outputs."""
    return [t.name for op in graph.get_operations() for t in op.outputs if not any(o.consumers() for o in op.outputs)]


def _ops(
    graph: Any, symbols: Mapping[str, list[str]], source: Callable[[str], str | None], items: Mapping[str, Items]
) -> dict[str, Op]:
    constant: dict[str, bool] = {}
    foldable: dict[str, bool] = {}
    made = {}
    for op in _in_order(graph):
        constant[op.name] = _follows_from_constants(op, constant)
        foldable[op.name] = (
            constant[op.name]
            and op.type != "Const"
            and (kept_from_converter(op) or any(foldable.get(t.op.name, False) for t in op.inputs))
        )
        made[op.name] = Op(
            op.name, op.type, tuple(t.name for t in op.inputs),
            tuple(_output(t, symbols.get(t.name, []), items.get(t.name)) for t in op.outputs),
            tuple(called_by_role(op.node_def)), constant[op.name] and not foldable[op.name], foldable[op.name],
            layer_of(op.name), source(op.name), _attributes(op),
        )  # fmt: skip
    return made


def _in_order(graph: Any) -> list[Any]:
    """The ops in graph order, moved behind their inputs where that is possible (loops of TensorFlow 1 have none)."""
    done: set[str] = set()
    ordered: list[Any] = []
    todo = list(graph.get_operations())
    while todo:
        rest = []
        for op in todo:
            if all(t.op.name in done for t in op.inputs):
                done.add(op.name)
                ordered.append(op)
            else:
                rest.append(op)
        if len(rest) == len(todo):
            return ordered + rest
        todo = rest
    return ordered


def _follows_from_constants(op: Any, constant: dict[str, bool]) -> bool:
    """As `const_determined_nodes` in coremltools' basic_graph_ops.py, but for ops that take no input."""
    if op.type == "Const":
        return True
    if any(w in op.type for w in ("Variable", "Placeholder", "TensorArray", "TensorList", "FakeQuant")):
        return False
    if op.type in ROLES:  # the session that evaluates constants there has no function library
        return False
    return bool(op.inputs) and all(constant.get(t.op.name, False) for t in op.inputs)


def _attributes(op: Any) -> str:
    """A digest of what makes two ops of one type convert alike: attributes, and the values of constant inputs."""
    parts = [
        f"{k}={op.node_def.attr[k].SerializeToString(deterministic=True)!r}"
        for k in sorted(op.node_def.attr) if not k.startswith("_")
    ]  # fmt: skip
    parts += [
        t.op.node_def.attr["value"].tensor.SerializeToString(deterministic=True).hex() if t.op.type == "Const" else "-"
        for t in op.inputs
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _output(tensor: Any, symbols: list[str], items: Items | None) -> Tensor:
    shape = shape_of(tensor)
    if shape is None and symbols:
        shape = [None] * len(symbols)
    dtype = tensor.dtype.base_dtype.name
    return Tensor(tensor.name, dtype, None if shape is None else tuple(shape), tuple(symbols), items)


def layer_of(name: str) -> str | None:
    """Return the scope that the op is in, without the calls around the model."""
    scopes = name.split("/")[:-1]
    while scopes and scopes[0].split("_")[0] in {"StatefulPartitionedCall", "PartitionedCall"}:
        scopes = scopes[1:]
    return "/".join(scopes) or None


@dataclass(frozen=True)
class _Written:
    """The graphs written down so far; adds the bodies below one of them, each as a GraphDef of its own."""

    graphs: dict[str, Graph]
    files: dict[str, str]
    folder: Path
    bodies: Bodies
    source: Callable[[str], str | None]

    def below(self, graph: Any, name: str, items: Mapping[str, Items]) -> None:
        for op in graph.get_operations():
            for role, callee in called_by_role(op.node_def):
                if callee not in self.graphs and (body := self.bodies.of(op, role, callee)) is not None:
                    self._add(body, (name, op.name, role), callee, op, items)

    def _add(self, body: Any, caller: tuple[str, str, str], name: str, op: Any, items: Mapping[str, Items]) -> None:
        tensors = list(op.inputs)[-len(body.inputs) :] if body.inputs else []
        graph_def = body.as_graph_def(add_shapes=True)
        del graph_def.library.function[:]
        if caller[2] in {"then", "else", "branch", "call"}:
            _give_constants(graph_def, body, tensors)
        self.files[name] = f"body{len(self.graphs)}.pb"
        (self.folder / self.files[name]).write_bytes(graph_def.SerializeToString())
        graph_def.library.function.extend(self.bodies.reached(graph_def.node))
        try:
            with tf.Graph().as_default() as shown:
                tf.import_graph_def(graph_def, name="")
        except ValueError:  # a branch that these sizes never take may hold what does not fit them
            shown = body
        given = {p.name: items[t.name] for p, t in zip(body.inputs, tensors, strict=False) if t.name in items}
        inside = list_items(body, given, self.bodies.of_loop)
        self.graphs[name] = Graph(
            name, _ops(shown, {}, self.source, inside), tuple(t.name for t in body.outputs), caller
        )  # fmt: skip
        self.below(body, name, inside)


def _give_constants(graph_def: Any, body: Any, tensors: list[Any]) -> None:
    """Put constants that a branch captures into it: the converter knows their values there."""
    values = {
        p.op.name: t.op.node_def for p, t in zip(body.inputs, tensors, strict=False) if t.op.type == "Const"
    }  # fmt: skip
    for node in graph_def.node:
        if node.name in values and node.op == "Placeholder":
            name = node.name
            node.CopyFrom(values[name])
            node.name = name
            rewire(node, waits=lambda op: False)  # what it waits for outside is not here
