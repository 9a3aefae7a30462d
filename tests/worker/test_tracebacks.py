"""Where the converter fails over a body that it reads, or a graph that it cannot sort, its frames tell which op it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools as ct
import pytest
import tensorflow as tf

from bisect_convert.model.outcome import Failure, Stage
from bisect_convert.worker import private_api
from bisect_convert.worker.tracebacks import classify


def failure_of(call: Callable[[tf.Tensor], Any], *, lost: str = "") -> Failure:
    """What the converter says of the function, of whose library the function of that name may be lost."""
    function = tf.function(call, input_signature=[tf.TensorSpec((4,), name="x")], autograph=False)
    graph_def = private_api.freeze(function.get_concrete_function())
    kept = [f for f in graph_def.library.function if not lost or lost not in f.signature.name]
    del graph_def.library.function[:]
    graph_def.library.function.extend(kept)
    private_api.reset()
    private_api.define_functions(graph_def.library.function)
    with private_api.installed(), pytest.raises(Exception) as error:
        ct.convert(private_api.FrozenGraph(graph_def), source="tensorflow", skip_model_load=True)
    return classify(error.value, [n.name for n in graph_def.node])


def chosen(x: tf.Tensor, name: str) -> Any:
    return tf.cond(x[0] > 0.0, lambda: (x * 2.0, tf.sin(x)), lambda: (x, x + 1.0), name=name)


def test_a_body_that_is_not_there_leads_to_the_op_that_calls_it() -> None:
    failure = failure_of(lambda x: tf.exp(chosen(x, "first")[0]) + chosen(x, "second")[1], lost="second_true")
    assert failure.signature.stage is Stage.LOAD
    assert [frame.name for frame in failure.hint] == ["second"]


def test_a_graph_that_cannot_be_sorted_leads_to_the_op_whose_result_is_read_twice() -> None:
    def twice(x: tf.Tensor) -> tf.Tensor:
        before, _ = chosen(x, "before")
        first, _ = chosen(tf.tanh(before), "gate")
        return tf.exp(first) + first

    failure = failure_of(twice)
    assert failure.message == "Graph is not a DAG!" and failure.signature.raising == ()
    assert [frame.name for frame in failure.hint] == ["gate"]
