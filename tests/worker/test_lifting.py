"""A graph that is lifted in one import is the one that TensorFlow makes op by op, down to the order of its nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.worker import private_api
from bisect_convert.worker.private_api import lifting

#: What a model does to its input -> whether it can be lifted at once.
MODELS: dict[Callable[[tf.Tensor], tf.Tensor], bool] = {}


def model(at_once: bool) -> Callable[[Callable[[tf.Tensor], tf.Tensor]], Callable[[tf.Tensor], tf.Tensor]]:
    def put(call: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        MODELS[call] = at_once
        return call

    return put


@model(at_once=True)
def layers(x: tf.Tensor) -> tf.Tensor:
    y = tf.nn.conv2d(x, np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype("f"), 1, "SAME", name="scope/kept")
    unread = tf.exp(y)
    del unread
    first, second = tf.split(tf.nn.relu(y), 2, axis=-1)
    return tf.concat([second, first, tf.reshape(x[..., :1], tf.shape(second[..., :1]))], -1)


@model(at_once=True)
def what_waits_for_others(x: tf.Tensor) -> tf.Tensor:
    y = tf.exp(x)
    with tf.control_dependencies([tf.debugging.check_numerics(y, "y")]):
        with tf.control_dependencies([tf.tanh(y, name="b"), tf.tanh(y, name="a")]):
            return tf.identity(y) * 2.0


def imported(x: tf.Tensor, result: str, **nodes: tuple[str, list[str]]) -> tf.Tensor:
    """What the nodes, each an op and what it reads, make of x; they get no attribute that Python would give them."""
    graph_def = tf.compat.v1.GraphDef()
    for name, (op, reads) in {"x": ("Placeholder", []), **nodes}.items():
        node = graph_def.node.add(name=name, op=op, input=reads)
        node.attr["dtype" if op in ("Placeholder", "Const") else "T"].type = tf.float32.as_datatype_enum
        if op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(2.5))
    return tf.graph_util.import_graph_def(graph_def, {"x": x}, [f"{result}:0"], name="")[0]


@model(at_once=True)
def what_waits_though_python_did_not_say_so(x: tf.Tensor) -> tf.Tensor:
    held, sum_ = ("Const", ["^first"]), ("AddV2", ["first", "held", "^first"])
    return imported(x, "sum", first=("Tanh", ["x"]), held=held, sum=sum_)


@model(at_once=False)
def names_that_differ_in_case(x: tf.Tensor) -> tf.Tensor:
    return imported(x, "relu", Relu=("Relu", ["x"]), relu=("Relu", ["Relu"]))


@model(at_once=False)
def what_calls_functions(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (y + tf.nn.relu(x),), (x,))[0]


@model(at_once=False)
def what_waits_for_an_input(x: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([x]):
        return tf.constant(2.0) * tf.ones((1, 4))


@pytest.mark.parametrize("call", MODELS, ids=lambda call: call.__name__)
def test_it_is_the_same_graph(call: Callable[[tf.Tensor], tf.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    module = tf.Module()
    module.weight = tf.Variable(np.linspace(0.0, 1.0, 4), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4), name="image"), tf.TensorSpec((), name="more")])
    def both(image: tf.Tensor, more: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": call(image) * tf.reduce_sum(module.weight), "z": more + 1.0, "as it is": image}

    at_once, ordinary = [], lifting._import
    monkeypatch.setattr(lifting, "_import", lambda *given: at_once.append(ordinary(*given)))
    function, made = both.get_concrete_function(), []
    for manner in (contextlib.nullcontext(), lifting.lifted_at_once()):
        with manner:
            graph_def = private_api.freeze(function)
        # TensorFlow puts what it has in a set, the inputs, in another order each time.
        made.append(
            sorted(graph_def.node, key=lambda n: (n.op != "Placeholder", n.name if n.op == "Placeholder" else ""))
        )
    assert made[0] == made[1] and bool(at_once) is MODELS[call]
