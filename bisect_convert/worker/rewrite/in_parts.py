"""Complex numbers carried as two floats, in loops and in bodies. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import RESULT, calls, fresh_nodes, imported, opened

__all__ = ["in_parts", "parts_taken"]


def in_parts(graph_def: Any, name: str) -> Any:
    """The complex variables of the loop are carried as their real and their imaginary parts."""
    graph = imported(graph_def)
    call = graph.get_operation_by_name(name)
    whole = {n for n, t in enumerate(call.inputs) if t.dtype == tf.complex64}
    if not whole:
        raise ValueError("none of its variables is complex")
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    node = next(n for n in made.node if n.name == name)
    for role in ("cond", "body"):
        calls(made, node, role, _parted(opened(graph_def, call, role), whole, results=role == "body"))
    given, kinds, shapes, moved, at = [], [], [], {}, 0
    with graph.as_default():
        for n, tensor in enumerate(call.inputs):
            parts = [part(tensor, name=f"{name}/{word}_{n}") for part, word in _PARTS] if n in whole else [tensor]
            given += [t.name.removesuffix(":0") for t in parts]
            kinds += [t.dtype.as_datatype_enum for t in parts]
            shapes += [call.outputs[n].shape.as_proto() for _ in parts]
            moved[n] = at
            at += len(parts)
    node.input[:] = [*given, *(i for i in node.input if i.startswith("^"))]
    node.attr["T"].list.type[:] = kinds
    del node.attr["output_shapes"].list.shape[:]
    node.attr["output_shapes"].list.shape.extend(shapes)
    node.attr.pop("_output_shapes", None)
    made.node.extend(fresh_nodes(graph_def, graph))
    readers = [n for n in made.node if n.name != name]
    for n in whole:
        parts = [
            f"{name}/{word}_after_{n}" for _, word in _PARTS
        ]  # coremltools takes one result of a loop for each reader
        for more, part in enumerate(parts):
            alone = made.node.add(name=part, op="Identity", input=[f"{name}:{moved[n] + more}"])
            alone.attr["T"].type = tf.float32.as_datatype_enum
        joined = made.node.add(name=f"{name}/joined_{n}", op="Complex", input=parts)
        joined.attr["T"].type, joined.attr["Tout"].type = tf.float32.as_datatype_enum, tf.complex64.as_datatype_enum
    for reader in readers:
        reader.input[:] = [_read(i, name, whole, moved) for i in reader.input]
    return made


_PARTS = ((tf.math.real, "real"), (tf.math.imag, "imag"))


def _read(tensor: str, name: str, whole: set[int], moved: dict[int, int]) -> str:
    """What is read where the tensor was, if that was a result of the loop."""
    op, _, number = tensor.partition(":")
    if op != name:
        return tensor
    n = int(number or 0)
    return f"{name}/joined_{n}" if n in whole else f"{name}:{moved[n]}"


def _parted(level: Any, whole: set[int], *, results: bool) -> Any:
    """The level with two parameters for each complex one, and two results where it hands such a one on."""
    made, joined = tf.compat.v1.GraphDef(), tf.Graph()
    made.versions.CopyFrom(level.versions)
    made.library.CopyFrom(level.library)
    parameters = [n.name for n in level.node if n.op == "Placeholder"]
    place, apart = 0, {}
    for n in range(len(parameters)):
        apart[n] = place
        place += 2 if n in whole else 1
    for node in level.node:
        if node.op == "Placeholder" and (n := parameters.index(node.name)) in whole:
            with joined.as_default():
                shape = tf.TensorShape(node.attr["shape"].shape)
                parts = [tf.compat.v1.placeholder(tf.float32, shape, f"{node.name}/{word}") for _, word in _PARTS]
                tf.complex(*parts, name=node.name)
            made.node.extend(joined.as_graph_def().node[-3:])
        elif results and node.name.startswith(RESULT):
            n = int(node.name[len(RESULT) :])
            for more, (_, word) in enumerate(_PARTS if n in whole else _PARTS[:1]):
                copy = made.node.add()
                copy.CopyFrom(node)
                copy.name = f"{RESULT}{apart[n] + more}"
                if n in whole:
                    copy.attr.pop("_output_shapes", None)
                    copy.attr["T"].type = tf.float32.as_datatype_enum
                    part = made.node.add(name=f"{word}_of_result_{n}", op=word.capitalize(), input=[node.input[0]])
                    part.attr["T"].type, part.attr["Tout"].type = (
                        tf.complex64.as_datatype_enum,
                        tf.float32.as_datatype_enum,
                    )
                    copy.input[:] = [part.name]
        else:
            made.node.add().CopyFrom(node)
    return made


def parts_taken(graph_def: Any, name: str) -> Any:
    """The parts of complex numbers are read where they were put together: no body of a loop or conditional may hold such."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    nodes = {n.name: n for n in made.node}
    for node in made.node:
        if node.op not in ("Real", "Imag"):
            continue
        source = nodes[node.input[0].partition(":")[0]]
        while source.op == "Identity":
            source = nodes[source.input[0].partition(":")[0]]
        if source.op == "Complex":
            node.input[:] = [source.input[node.op == "Imag"], *node.input[1:]]
            node.op = "Identity"
            node.attr["T"].CopyFrom(source.attr["T"])
            node.attr.pop("Tout", None)
    if made == graph_def:
        raise ValueError(f"no part is taken of what {name} puts together")
    return made
