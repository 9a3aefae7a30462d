"""Loops of a level edited in place. Scripts that apply edits hold the text of these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import RESULT, calls, fresh_nodes, imported, inside, opened, replaced

__all__ = ["bridge", "bridged", "grown", "own_count", "renamed", "sized_item", "unrolled", "without_limit"]

#: How many turns of a loop are written out at most.
MOST_TURNS = 64
#: How the name of a loop or conditional ends that no other op's name begins with.
ALONE = "__alone"


def own_count(graph_def: Any, name: str) -> Any:
    """Two more variables stand in front of the loop's: coremltools takes the first two for a count that nothing reads."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    call = imported(graph_def).get_operation_by_name(name)
    node = next(n for n in made.node if n.name == name)
    if any(n.name == "unread_0" for n in opened(graph_def, call, "cond").node):
        raise ValueError("two variables that nothing reads stand in front already")
    for role in ("cond", "body"):
        calls(made, node, role, _with_unread(opened(graph_def, call, role), results=role == "body"))
    with tf.Graph().as_default() as graph:
        for number in range(2):
            tf.constant(0, tf.int32, name=f"{name}/unread_{number}")
    made.node.extend(graph.as_graph_def().node)
    node = next(n for n in made.node if n.name == name)
    node.input[:] = [f"{name}/unread_0", f"{name}/unread_1", *node.input]
    node.attr["T"].list.type[:] = [tf.int32.as_datatype_enum] * 2 + list(node.attr["T"].list.type)
    if shapes := [tf.TensorShape(s) for s in node.attr["output_shapes"].list.shape]:
        del node.attr["output_shapes"].list.shape[:]
        node.attr["output_shapes"].list.shape.extend(s.as_proto() for s in [tf.TensorShape([])] * 2 + shapes)
    node.attr.pop("_output_shapes", None)
    moved = {name if not i else f"{name}:{i}": f"{name}:{i + 2}" for i in range(len(call.outputs))}
    for other in made.node:
        if other.name != name:
            other.input[:] = [moved.get(i, i) for i in other.input]
    return made


def _with_unread(level: Any, *, results: bool) -> Any:
    """The level with two parameters in front that it does not read, and hands on where `results`."""
    with tf.Graph().as_default() as graph:
        for number in range(2):
            unread = tf.compat.v1.placeholder(tf.int32, [], name=f"unread_{number}")
            if results:
                tf.identity(unread, name=f"{RESULT}{number}")
    made = graph.as_graph_def()
    for node in level.node:
        copy = made.node.add()
        copy.CopyFrom(node)
        if results and node.name.startswith(RESULT):
            copy.name = f"{RESULT}{int(node.name[len(RESULT) :]) + 2}"
    made.library.CopyFrom(level.library)
    made.versions.CopyFrom(level.versions)
    return made


def bridged(graph_def: Any, name: str) -> Any:
    """All that reads a result of the loop or conditional reads it through one ExpandDims and Squeeze, or two Nots."""
    graph = imported(graph_def)
    results = [
        t for t in graph.get_operation_by_name(name).outputs if t.consumers() and (t.dtype == tf.bool or not _opaque(t))
    ]
    if not results:
        raise ValueError("nothing reads a result that could be bridged")
    moved = {}
    with graph.as_default():
        for number, tensor in enumerate(results):
            over = bridge(tensor, f"{name}/bridge_{number}")
            moved[tensor.name] = over.op.name
            moved[tensor.name.removesuffix(":0")] = over.op.name
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    for node in made.node:
        node.input[:] = [moved.get(i, i) for i in node.input]
    made.node.extend(fresh_nodes(graph_def, graph))
    return made


def bridge(tensor: Any, name: str) -> Any:
    """Return the tensor once more, behind two ops that the converter does not take out before it lowers them."""
    if tensor.dtype == tf.bool:
        return tf.logical_not(tf.logical_not(tensor), name=name)
    return tf.squeeze(tf.expand_dims(tensor, 0), [0], name=name)


def renamed(graph_def: Any, name: str) -> Any:
    """The loop or conditional, and the results of its functions, get names that coremltools takes for no others."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    call = imported(graph_def).get_operation_by_name(name)
    own = next(n for n in made.node if n.name == name)
    for role in ("cond", "body", "then_branch", "else_branch"):
        if role in own.attr:
            calls(made, own, role, opened(graph_def, call, role))
    for node in made.node:
        node.name = f"{name}{ALONE}" if node.name == name else node.name
        node.input[:] = [re.sub(rf"^(\^?){re.escape(name)}(?=:|$)", rf"\g<1>{name}{ALONE}", i) for i in node.input]
    return made


def sized_item(graph_def: Any, name: str, sizes: Sequence[int]) -> Any:
    """What is put into the list is given the sizes of all that is in there, which the converter must see."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    with graph.as_default():
        item = tf.reshape(op.inputs[2], list(sizes), name=f"{name}/sized")
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    next(n for n in made.node if n.name == name).input[2] = item.op.name
    made.node.extend(fresh_nodes(graph_def, graph))
    return made


def grown(graph_def: Any, name: str) -> Any:
    """The list of none starts with a length that is computed: a known one stays for the converter, whatever is added."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(name)
    if tf.get_static_value(op.inputs[1]) != 0:
        raise ValueError("the list has elements from the start, or as many as are computed")
    given = [o.outputs[0] for o in graph.get_operations() if o.type == "Placeholder"]
    given = [t for t in given if t.dtype in (tf.float32, tf.int32)]
    if not given:
        raise ValueError("there is no number that a length could be computed of")
    with graph.as_default(), tf.name_scope(f"{name}/length/"):
        first = tf.reshape(given[0], [-1])[0] if given[0].shape.rank != 0 else given[0]
        none = tf.cast(first > first, tf.int32)
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    next(n for n in made.node if n.name == name).input[1] = none.op.name
    made.node.extend(fresh_nodes(graph_def, graph))
    return made


def _opaque(tensor: Any) -> bool:
    return tensor.dtype in (tf.variant, tf.resource, tf.string, tf.bool, tf.complex64)


def unrolled(graph_def: Any, name: str) -> Any:
    """The loop, whose turns are known and few, is written out turn by turn."""
    graph = imported(graph_def)
    call = graph.get_operation_by_name(name)
    given = list(call.inputs)
    with graph.as_default():
        for turn in range(MOST_TURNS + 1):
            more = _known(graph, inside(graph_def, call, "cond", given, f"{name}/turn_{turn}/test")[0])
            if not more:
                break
            if turn == MOST_TURNS:
                raise ValueError(f"it takes more than {MOST_TURNS} turns")
            given = inside(graph_def, call, "body", given, f"{name}/turn_{turn}/body")
        made = [tf.identity(t) if t.op.type == "Const" else t for t in given]
    return replaced(graph_def, graph, name, made)


def _known(graph: Any, tensor: Any) -> bool:
    """The value of a tensor that follows from constants alone."""
    todo, seen = [tensor.op], set()
    while todo:
        op = todo.pop()
        seen.add(op.name)
        if op.type.startswith(("Placeholder", "Random", "While", "Stateless", "TensorList")):
            raise ValueError("how often it turns does not follow from constants alone")
        todo += [t.op for t in op.inputs if t.op.name not in seen]
    with tf.compat.v1.Session(graph=graph) as session:
        return bool(session.run(tensor))


def without_limit(graph_def: Any, name: str) -> Any:
    """The test against `maximum_iterations` is left out of the loop: its other test ends it no later."""
    call = imported(graph_def).get_operation_by_name(name)
    cond, body = opened(graph_def, call, "cond"), opened(graph_def, call, "body")
    inputs = [n.name for n in cond.node if n.op == "Placeholder"]
    nodes = {n.name: n for n in cond.node}
    both = nodes[_source(nodes, f"{RESULT}0")]
    if both.op != "LogicalAnd":
        raise ValueError("it does not end by two tests")
    tests = [nodes[_source(nodes, i)] for i in both.input]
    read = [[inputs.index(i) if i in inputs else -1 for i in (_source(nodes, i) for i in t.input)] for t in tests]
    limits = [n for n, (t, r) in enumerate(zip(tests, read, strict=True)) if t.op == "Less" and r == [0, 1]]
    if len(limits) != 1 or tests[1 - limits[0]].op != "Less":
        raise ValueError("none of its tests is that of a limit")
    at, bound = read[1 - limits[0]]
    if at < 2 or not _counts(body, at) or tf.get_static_value(call.inputs[at]) != tf.get_static_value(call.inputs[0]):
        raise ValueError("its other test does not count the turns")
    constant = tf.get_static_value(imported(cond).get_operation_by_name(tests[1 - limits[0]].name).inputs[1])
    own = call.inputs[bound] if bound >= 2 and _kept(body, bound) else None
    if not _no_more(constant, own, call.inputs[1]):
        raise ValueError("its other test may let it go on for longer")
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    both.op = "Identity"
    both.attr["T"].type = tf.bool.as_datatype_enum
    both.input[:] = [tests[1 - limits[0]].name]
    calls(made, next(n for n in made.node if n.name == name), "cond", cond)
    return made


def _no_more(constant: Any, own: Any, limit: Any) -> bool:
    """True where the bound, a constant or a tensor, is at most the limit for certain."""
    if own is not None and own.name == limit.name:
        return True
    most = tf.get_static_value(limit)
    value = constant if constant is not None else None if own is None else tf.get_static_value(own)
    return most is not None and value is not None and int(value) <= int(most)


def _source(nodes: Any, name: str) -> str:
    """What a node hands on, through Identities."""
    name = name.partition(":")[0]
    while nodes[name].op == "Identity":
        name = nodes[name].input[0].partition(":")[0]
    return name


def _counts(body: Any, at: int) -> bool:
    """True where the variable at that place grows by 1 a turn."""
    nodes = {n.name: n for n in body.node}
    parameter = [n.name for n in body.node if n.op == "Placeholder"][at]
    add = nodes[_source(nodes, f"{RESULT}{at}")]
    if add.op not in ("AddV2", "Add"):
        return False
    terms = [nodes[_source(nodes, i)] for i in add.input]
    step = [tf.make_ndarray(t.attr["value"].tensor) for t in terms if t.op == "Const"]
    return any(t.name == parameter for t in terms) and [int(s) for s in step] == [1]


def _kept(body: Any, at: int) -> bool:
    """True where the variable at that place stays as it is."""
    nodes = {n.name: n for n in body.node}
    parameter = [n.name for n in body.node if n.op == "Placeholder"][at]
    return bool(_source(nodes, f"{RESULT}{at}") == parameter)
