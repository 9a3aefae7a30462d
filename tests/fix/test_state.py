"""Models that assign their variables: the state goes in and out, or is left out where no output hangs on it."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import evaluate
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.model.files import STATELESS
from bisect_convert.probe.client import Workers
from bisect_convert.report.fix import Fix, State
from bisect_convert.worker.read.opening import read_model
from bisect_convert.worker.read.state_check import agrees
from bisect_convert.worker.read.stateful import stateless
from bisect_convert.worker.read.threaded import Held, threaded
from bisect_convert.worker.request import Load

RNG = np.random.default_rng(3)
X = tf.TensorSpec([1, 4], name="x")


class Cell(tf.Module):
    """Its state is assigned by a function that its call calls; beside it, the mean of what it was given is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.state = tf.Variable(tf.zeros([1, 4]), name="memory")
        self.mean = tf.Variable(tf.zeros([4]), name="mean")
        self.weights = tf.Variable(RNG.normal(0, 0.5, (4, 4)).astype("f"))

    @tf.function
    def step(self, x: Any) -> Any:
        old = self.state.read_value()
        new = tf.tanh(tf.matmul(old, self.weights) + x)
        self.state.assign(new)
        return old + new

    @tf.function(input_signature=[X])
    def call(self, x: Any) -> Any:
        self.mean.assign_add(0.1 * tf.reduce_mean(x, 0))
        return {"y": tf.math.erfc(self.step(x))}


def _fix_of(module: tf.Module, call: Any, tmp_path: Path, workers: Workers) -> Fix:
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=call)
    place = destination(str(tmp_path / "out.mlpackage"), {})
    fix = find_packed(tmp_path / "model", {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None
    return fix


def test_state_is_given_in_and_out_and_what_no_output_needs_is_left_out(tmp_path: Path, workers: Workers) -> None:
    cell = Cell()
    fix = _fix_of(cell, cell.call, tmp_path, workers)
    assert fix.converted and fix.verified and [e.recipe for e in fix.edits] == ["stateless", "Erfc"]
    assert [e.recipe for e in fix.moved] == ["stateless"] and "as memory_in," in fix.edits[0].summary
    assert fix.state == (State("memory_in", "memory_out", "memory", "float32", (1, 4), 0.0),)
    assert "memory_out is given in as memory_in the next time; at first float32[1, 4], all 0" in str(fix)
    written = ct.models.MLModel(str(tmp_path / "out.mlpackage"), skip_model_load=True).user_defined_metadata["state"]
    assert json.loads(written) == [{**asdict(fix.state[0]), "shape": [1, 4]}]
    state = np.zeros((1, 4), "f")
    for _ in range(3):
        x = RNG.normal(size=(1, 4)).astype("f")
        made = evaluate(tmp_path / "out.mlpackage", {"x": x, "memory_in": state}, precision="float32")
        (y,) = [v for n, v in made.items() if n != "memory_out"]
        np.testing.assert_allclose(y, cell.call(tf.constant(x))["y"], atol=2e-3)
        state = made["memory_out"]
        np.testing.assert_allclose(state, cell.state.numpy(), atol=2e-3)


def test_statistics_that_training_keeps_are_left_out(tmp_path: Path, workers: Workers) -> None:
    norm = tf.keras.layers.BatchNormalization()
    norm.build((None, 4))
    module = tf.Module()
    module.norm = norm
    call = tf.function(lambda x: {"y": norm(tf.nn.relu(x), training=True)}).get_concrete_function(X)
    fix = _fix_of(module, call, tmp_path, workers)
    assert fix.converted and fix.verified and not fix.moved
    assert fix.edits[0].summary == (
        "Assignments that no output hangs on, or seeds of random numbers only, are left out; "
        "what loops gather from is a constant"
    )


@pytest.mark.parametrize("no_run", [True, False])
def test_a_model_that_is_not_to_be_run_is_not_run_for_its_state(tmp_path: Path, no_run: bool) -> None:
    cell = Cell()
    tf.saved_model.save(cell, str(tmp_path / "model"), signatures=cell.call)
    (tmp_path / "facts").mkdir()
    read_model(Load(str(tmp_path / "model"), str(tmp_path / "facts"), no_run=no_run))
    assert (tmp_path / "facts" / STATELESS).is_dir() is not no_run


def test_what_a_loop_gathers_from_without_assigning_it_is_a_constant(tmp_path: Path, workers: Workers) -> None:
    module = tf.Module()
    module.table = tf.Variable(RNG.normal(size=(6, 4)).astype("f"))

    def call(x: Any) -> Any:
        place = tf.constant(0)
        for _ in tf.range(3):
            x = x + tf.gather(module.table, [place])
            place = tf.argmax(x[0], output_type=tf.int32)
        return {"y": x}

    fix = _fix_of(module, tf.function(call).get_concrete_function(X), tmp_path, workers)
    assert fix.converted and fix.verified and not fix.state and not fix.moved
    assert fix.agreement is not None and fix.agreement.max_rel == 0.0


# --- the graph -------------------------------------------------------------------------------------------------------


def test_the_graph_computes_what_the_function_does_and_the_variables_stay_as_they_were() -> None:
    cell = Cell()
    function = cell.call.get_concrete_function()
    graph_def, state = stateless(function)
    cell.state.assign(tf.ones([1, 4]))
    assert agrees(function, graph_def, state)
    assert cell.state.numpy().tolist() == [[1.0] * 4] and cell.mean.numpy().tolist() == [0.0] * 4
    other = tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString().replace(b"Tanh", b"Relu"))
    assert not agrees(function, other, state)


def _after(v: Any, x: Any) -> Any:
    old = v.read_value()
    v.assign(x)
    return v - 2.0 * old


def _twice(v: Any, x: Any) -> Any:
    y = v * x
    v.assign_add(x)
    v.assign_sub(y)
    return y


def _in_a_loop(v: Any, x: Any) -> Any:
    i = tf.constant(0)
    while i < 3:
        if tf.reduce_sum(v) > 0.0:
            v.assign(v - x)
        else:
            v.assign_add(x * x + 0.1)
        i += 1
    return v + 0.0


def _read_in_a_loop(v: Any, x: Any) -> Any:
    for _ in tf.range(3):
        x = x + v
    v.assign(x)
    return x


def _of_rows(v: Any, x: Any) -> Any:
    v.scatter_update(tf.IndexedSlices(x, tf.constant([0])))
    v[:, 1:3].assign(x[:, :2])
    return tf.gather(v, [0])


@pytest.mark.parametrize("call", [_after, _twice, _in_a_loop, _read_in_a_loop, _of_rows])
def test_what_is_read_after_it_was_assigned_is_what_was_assigned(call: Any) -> None:
    v = tf.Variable(tf.zeros([1, 4]), name="v")
    function = tf.function(lambda x: call(v, x)).get_concrete_function(X)
    graph_def, state = stateless(function)
    assert list(state) == ["v_in"] and state["v_in"][0] == "v_out"
    assert agrees(function, graph_def, state)


def test_scalars_and_truth_values_enter_and_leave_as_rows_of_numbers() -> None:
    count, started = tf.Variable(0, name="count"), tf.Variable(False, name="started")

    def call(x: Any) -> Any:
        y = tf.where(started, x, x * tf.cast(count + 2, tf.float32))
        count.assign_add(1)
        started.assign(count > 1)
        return y

    function = tf.function(call).get_concrete_function(X)
    graph_def, state = stateless(function)
    shapes = {n.name: n.attr["shape"].shape.dim[0].size for n in graph_def.node if n.name in state}
    assert shapes == {"count_in": 1, "started_in": 1} and agrees(function, graph_def, state)


def _learned(v: Any, x: Any) -> Any:
    tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=0.1, delta=x)
    return x + v


def test_what_more_is_done_with_a_variable_is_refused() -> None:
    v = tf.Variable(tf.zeros([1, 4]))
    function = tf.function(lambda x: _learned(v, x)).get_concrete_function(X)
    with pytest.raises(ValueError, match="only read and assigned"):
        stateless(function)


def test_what_hangs_on_an_order_that_the_graph_does_not_say_is_refused() -> None:
    v = tf.Variable(tf.zeros([1, 4]))

    def call(x: Any) -> Any:
        old = v.read_value()
        v.assign(x)
        return old + 1.0

    function = tf.function(call).get_concrete_function(X)
    loose = function.graph.as_graph_def()
    for node in loose.node:
        node.input[:] = [i for i in node.input if not i.startswith("^")]
    handle = next(n.name for n in loose.node if n.op == "Placeholder" and n.attr["dtype"].type == tf.resource)
    with pytest.raises(ValueError, match="in no certain order"):
        threaded(loose, {handle: Held(tf.float32.as_datatype_enum, tf.TensorShape([1, 4]).as_proto())})


def test_variables_of_a_frozen_graph_are_given_in_and_out(tmp_path: Path, workers: Workers) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        memory = v1.raw_ops.VariableV2(shape=[1, 4], dtype=tf.float32, name="memory")
        new = tf.tanh(tf.matmul(memory, np.eye(4, dtype="f") * 0.5) + x)
        with tf.control_dependencies([v1.raw_ops.Assign(ref=memory, value=new, name="kept")]):
            tf.identity(new, name="y")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    place = destination(str(tmp_path / "out.mlpackage"), {})
    report = find_packed(tmp_path / "net.pb", {}, Wishes(), workers, fixing=partial(fixed, destination=place))
    fix = report.fix
    assert report.complete and len(report.findings) == 1
    assert fix is not None and fix.converted and fix.verified and [e.recipe for e in fix.moved] == ["stateless"]
    assert [(s.input, s.output, s.first) for s in fix.state] == [("memory", "kept", None)]
    given = {"x": np.ones((1, 4), "f"), "memory": np.full((1, 4), 0.5, "f")}
    made = evaluate(tmp_path / "out.mlpackage", given, precision="float32")
    assert set(made) == {"kept", "y"} and all(np.allclose(v, np.tanh(1.25), atol=2e-3) for v in made.values())
