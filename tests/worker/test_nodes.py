"""Nodes rewired: what they read and wait for, before and after."""

from __future__ import annotations

import tensorflow as tf

from bisect_convert.worker import nodes


def node(*inputs: str) -> tf.compat.v1.NodeDef:
    return tf.compat.v1.NodeDef(name="n", op="AddN", input=inputs)


def test_what_a_node_reads_and_what_it_waits_for_are_told_apart() -> None:
    made = node("a", "b:1", "^c")
    assert (nodes.data(made), nodes.controls(made)) == (["a", "b:1"], ["c"])


def test_rewiring_renames_what_is_read_and_drops_what_is_not_waited_for() -> None:
    made = node("a", "b:1", "^c", "^d")
    nodes.rewire(made, lambda tensor: f"{tensor}_", waits=lambda op: op != "c")
    assert list(made.input) == ["a_", "b:1_", "^d"]
    nodes.set_data(made, ["x"])
    assert list(made.input) == ["x", "^d"]


def test_reading_instead_covers_control_inputs_too() -> None:
    made = node("a", "^a", "b")
    nodes.read_instead([made], {"a": "z", "^a": "^z"})
    assert list(made.input) == ["z", "^z", "b"]


def test_nodes_may_be_put_back_into_the_field_that_they_come_from() -> None:
    graph = tf.compat.v1.GraphDef(node=[node("a"), node("b")])
    nodes.put_nodes(graph.node, [graph.node[1]])
    assert [list(n.input) for n in graph.node] == [["b"]]


def test_calls_say_their_functions_by_role() -> None:
    @tf.function
    def loop(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0), [0, x])[1]

    graph = loop.get_concrete_function(tf.TensorSpec((2,))).graph.as_graph_def()
    (call,) = [n for n in graph.node if n.op.endswith("While")]
    assert [role for role, _ in nodes.called_by_role(call)] == ["cond", "body"]
    assert set(nodes.callees(call)) == set(nodes.functions_of(call))
