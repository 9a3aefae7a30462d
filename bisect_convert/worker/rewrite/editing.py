"""Edits of a frozen GraphDef in place, in the main graph and in the functions below it: plain TensorFlow.

A level is the main graph or one function as a GraphDef: its parameters are Placeholders, its results are read by nodes
`result__0`, `result__1`, ... A path leads down from the main graph: ((op, role), ...), the role being the attribute of the
op that names the function. Scripts that apply edits hold what they need of this folder as text, so it stands alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from bisect_convert.worker.private_api import body_graph

__all__ = [
    "RESULT", "Path", "apply", "calls", "fresh_nodes", "heavy", "light", "imported", "inside", "level_at", "opened",
    "pruned", "read_still", "replaced", "shaped", "without",
]  # fmt: skip

RESULT = "result__"
#: How many elements a constant has at most that edits may look at.
LARGE = 65_536
Path = Sequence[tuple[str, str]]


def apply(graph_def: Any, path: Path, edits: Sequence[Callable[[Any], Any]]) -> Any:
    """Return the GraphDef with the edits, each a function from GraphDef to GraphDef, done to the level at the path."""
    if not path:
        graph_def = _unshaped(graph_def)
        for edit in edits:
            graph_def = edit(graph_def)
        return shaped(graph_def)
    (name, role), *below = path
    call = imported(graph_def).get_operation_by_name(name)
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    node = next(n for n in made.node if n.name == name)
    calls(made, node, role, apply(opened(graph_def, call, role), below, edits))
    return shaped(made)


_NUMBERS = itertools.count()


def calls(graph_def: Any, node: Any, role: str, level: Any) -> None:
    """Let the node of the GraphDef call the level under the role."""
    old = node.attr[role].func.name
    made = _closed(level, f"{old.partition('__edited')[0]}__edited")
    names = {f.signature.name for f in graph_def.library.function}
    # no number twice, at whatever level: two bodies that came of one would be one again
    made.signature.name = f"{made.signature.name}_{next(_NUMBERS)}"
    node.attr[role].func.name = made.signature.name
    functions = [made, *(f for f in level.library.function if f.signature.name not in names)]
    graph_def.library.function.extend(functions)


def level_at(graph_def: Any, path: Path) -> Any:
    """Return the level at the path."""
    for name, role in path:
        graph_def = opened(graph_def, imported(graph_def).get_operation_by_name(name), role)
    return graph_def


def imported(graph_def: Any) -> Any:
    """Return the GraphDef as a tf.Graph, shapes inferred."""
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


def shaped(graph_def: Any) -> Any:
    """Return the GraphDef with the shapes that follow for it, and of the functions those that are reached."""
    made = imported(_unshaped(graph_def)).as_graph_def(add_shapes=True)
    functions = {f.signature.name: f for f in made.library.function}
    reached: dict[str, Any] = {}
    todo = list(made.node)
    while todo:
        for value in todo.pop().attr.values():
            for name in [value.func.name, *(f.name for f in value.list.func)]:
                if name in functions and name not in reached:
                    reached[name] = functions[name]
                    todo += functions[name].node_def
    del made.library.function[:]
    made.library.function.extend(reached[name] for name in sorted(reached))
    return made


def _unshaped(graph_def: Any) -> Any:
    plain = tf.compat.v1.GraphDef()
    plain.CopyFrom(graph_def)
    for node in plain.node:
        node.attr.pop("_output_shapes", None)
    return plain


def light(graph_def: Any) -> tuple[Any, dict[str, Any]]:
    """Return the GraphDef with a Placeholder for each large constant, and these constants: edits need not carry them."""
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    weights: dict[str, Any] = {}
    for node in graph_def.node:
        shape = tf.TensorShape(node.attr["value"].tensor.tensor_shape) if node.op == "Const" else None
        if shape is None or (shape.num_elements() or 0) <= LARGE or tf.as_dtype(node.attr["dtype"].type).is_quantized:
            made.node.add().CopyFrom(node)
            continue
        weights[node.name] = tf.compat.v1.NodeDef(
            name=node.name, op="Const", attr=dict(node.attr)
        )  # it waits for nothing
        hollow = made.node.add(name=node.name, op="Placeholder")
        hollow.attr["dtype"].CopyFrom(node.attr["dtype"])
        hollow.attr["shape"].shape.CopyFrom(shape.as_proto())
    return made, weights


def heavy(graph_def: Any, weights: Mapping[str, Any]) -> Any:
    """Return the GraphDef with these constants in the place of their Placeholders."""
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    read = {i.lstrip("^").partition(":")[0] for n in graph_def.node for i in n.input}
    for node in graph_def.node:
        if node.name in weights and node.name not in read:
            continue
        made.node.add().CopyFrom(weights.get(node.name, node))
    return made


def opened(graph_def: Any, call: Any, role: str) -> Any:
    """Return the function that the call names under the role as a level, with the shapes of what it is given."""
    name = call.get_attr(role).name
    functions = {f.signature.name: f for f in graph_def.library.function}
    count = len(functions[name].signature.input_arg)
    given = list(call.inputs)[len(call.inputs) - count :]
    held = list(call.outputs) if role in ("cond", "body") else given  # what a loop's variables are in every turn
    shapes = [t.shape if t.shape.rank is not None else g.shape for t, g in zip(held, given, strict=False)]
    return _level(functions, name, shapes)


def _level(functions: Mapping[str, Any], name: str, shapes: Sequence[Any]) -> Any:
    """Return the function, given tensors of these shapes, as a level."""
    reached = {name: functions[name]}
    todo = [functions[name]]
    while todo:
        for value in [v for n in todo.pop().node_def for v in n.attr.values()]:
            for inner in [value.func.name, *(f.name for f in value.list.func)]:
                if inner in functions and inner not in reached:
                    reached[inner] = functions[inner]
                    todo.append(functions[inner])
    function = type(functions[name])()
    function.CopyFrom(functions[name])
    for attributes in function.arg_attr.values():
        attributes.attr.pop("_output_shapes", None)
    for node in function.node_def:
        node.attr.pop("_output_shapes", None)
    library = tf.compat.v1.GraphDef()
    library.library.function.extend(reached[n] for n in sorted(reached))
    with tf.Graph().as_default():
        tf.graph_util.import_graph_def(library, name="")
        body = body_graph(function, list(shapes))
    with body.as_default():
        for number, tensor in enumerate(body.outputs):
            tf.identity(tensor, name=f"{RESULT}{number}")
    level = body.as_graph_def(add_shapes=True)
    level.library.CopyFrom(library.library)
    return level


def _closed(level: Any, name: str) -> Any:
    """Return the level as a FunctionDef of that name."""
    specs = [
        tf.TensorSpec(tf.TensorShape(n.attr["shape"].shape), tf.as_dtype(n.attr["dtype"].type), name=n.name)
        for n in level.node
        if n.op == "Placeholder"
    ]
    body = tf.function(lambda *given: _built(level, given, ""), autograph=False)
    made = body.get_concrete_function(*specs).function_def
    made.signature.name = name
    returned = [made.ret[argument.name] for argument in made.signature.output_arg]
    made.ret.clear()
    for number, argument in enumerate(made.signature.output_arg):  # coremltools finds results by these names
        argument.name = f"identity_{number}" if number else "identity"
        made.ret[argument.name] = returned[number]
    return made


def _built(level: Any, given: Sequence[Any], scope: str) -> list[Any]:
    """Put the ops of the level into the current tf.Graph, given its parameters; returns its results."""
    names = [n.name for n in level.node if n.op == "Placeholder"]
    parameters = dict(zip(names, given, strict=True))
    results = [n for n in level.node if n.name.startswith(RESULT)]
    results.sort(key=lambda n: int(n.name[len(RESULT) :]))
    kept = pruned(level, [n.name for n in results])
    nodes = [n for n in kept.node if n.op != "Placeholder" and not n.name.startswith(RESULT)]
    del kept.node[:]
    kept.node.extend(nodes)
    read = {i.partition(":")[0] for n in kept.node for i in n.input}
    named = {f"{n}:0": tensor for n, tensor in parameters.items() if n in read}
    made = [r.input[0] for r in results if r.input[0] not in parameters]
    found = iter(
        tf.graph_util.import_graph_def(kept, named, [t if ":" in t else f"{t}:0" for t in made], name=scope) or []
    )
    return [parameters[r.input[0]] if r.input[0] in parameters else next(found) for r in results]


def inside(graph_def: Any, call: Any, role: str, given: Sequence[Any], scope: str) -> list[Any]:
    """Put the ops of the function that the call names into the current tf.Graph, given these tensors; returns its results."""
    return _built(opened(graph_def, call, role), given, scope)


def fresh_nodes(graph_def: Any, graph: Any) -> list[Any]:
    """Return the nodes of the tf.Graph that the GraphDef, out of which it was made, does not have."""
    known = {n.name for n in graph_def.node}
    return [n for n in graph.as_graph_def().node if n.name not in known]


def replaced(graph_def: Any, graph: Any, name: str, tensors: Sequence[Any]) -> Any:
    """Return the GraphDef with what is new in the tf.Graph, and these tensors of it in the place of the op's results.

    The first result is handed on under the op's name, so that outputs keep their names.
    """
    renamed = {f"{name}:{number}": t.name for number, t in enumerate(tensors) if number}
    made = without(graph_def, name)
    for node in made.node:
        node.input[:] = [renamed.get(i, i) for i in node.input]
    made.node.extend(fresh_nodes(graph_def, graph))
    made.library.CopyFrom(graph.as_graph_def().library)
    if tensors:
        node = made.node.add(name=name, op="Identity", input=[tensors[0].name.removesuffix(":0")])
        node.attr["T"].type = tensors[0].dtype.as_datatype_enum
    return made


def pruned(graph_def: Any, results: Sequence[str]) -> Any:
    """Return the GraphDef without the nodes that none of these results needs; what is fed stays."""
    nodes = {n.name: n for n in graph_def.node}
    kept: set[str] = set()
    todo = [name for name in results if name in nodes] + [n for n in nodes if nodes[n].op.startswith("Placeholder")]
    while todo:
        kept.add(name := todo.pop())
        sources = (i.lstrip("^").partition(":")[0] for i in nodes[name].input)
        todo += [s for s in dict.fromkeys(sources) if s not in kept and s in nodes]
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    last = set(results)
    made.node.extend(n for n in graph_def.node if n.name in kept - last)
    made.node.extend(nodes[name] for name in results if name in nodes)  # coremltools takes outputs in this order
    for node in made.node:
        node.attr.pop("_class", None)  # colocated with what may be gone
    return made


def read_still(graph_def: Any, before: Any) -> Any:
    """Return the GraphDef without the inputs that were read before and are no more: each would be an output."""
    once, still = ({i.lstrip("^").partition(":")[0] for n in g.node for i in n.input} for g in (before, graph_def))
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    del made.node[:]
    made.node.extend(n for n in graph_def.node if not n.op.startswith("Placeholder") or n.name not in once - still)
    return made


def without(graph_def: Any, name: str) -> Any:
    """Return the GraphDef without that node, which nothing waits for any more."""
    made = tf.compat.v1.GraphDef()
    made.versions.CopyFrom(graph_def.versions)
    made.library.CopyFrom(graph_def.library)
    made.node.extend(n for n in graph_def.node if n.name != name)
    for node in made.node:
        if f"^{name}" in node.input:
            node.input[:] = [i for i in node.input if i != f"^{name}"]
    return made
