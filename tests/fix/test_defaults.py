"""Switches of training, scalars with a default in graphs of TensorFlow 1: taken for constants, their conditionals decided."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers
from bisect_convert.worker.read.defaults import with_default_values, with_defaults

v1 = tf.compat.v1
X = np.random.default_rng(1).normal(size=(3, 8)).astype("f")


@pytest.mark.parametrize("second", [False, True])
def test_what_stands_in_a_branch_that_is_not_taken_is_gone_loops_too(second: bool) -> None:
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [3, 8], name="x")
            phase = v1.placeholder_with_default(False, [], name="phase")
            turns = lambda: v1.while_loop(lambda h: tf.reduce_sum(h) < 5.0, lambda h: [h + 1.0], [x])  # noqa: E731
            left, right = (lambda: tf.nn.relu(x), turns) if second else (turns, lambda: tf.nn.relu(x))
            tf.identity(v1.cond(phase, left, right), name="y")
            expected = v1.Session().run("y:0", {"x:0": X})
    finally:
        v1.enable_control_flow_v2()
    made = with_defaults(graph.as_graph_def(), ["phase"])
    assert bool({n.op for n in made.node} & {"Enter", "NextIteration"}) is second
    with tf.Graph().as_default(), v1.Session() as session:
        (found,) = tf.graph_util.import_graph_def(made, return_elements=["y:0"])
        np.testing.assert_array_equal(session.run(found, {"import/x:0": X}), expected)


def test_an_array_with_a_default_is_an_input_like_any_other(tmp_path: Path, workers: Workers) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 8], name="x")
        tf.add(x * v1.placeholder_with_default(tf.ones([1, 8]), [1, 8], name="mask"), 1.0, name="y")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    place = destination(str(tmp_path / "out.mlpackage"), {})
    report = find_packed(path, {}, Wishes(numbers="random"), workers, fixing=partial(fixed, destination=place))
    assert report.fix is not None and report.fix.converted and report.fix.verified
    assert report.numbers is not None and report.numbers.compared


def _switched(training: bool, *, functions: bool = False) -> tuple[Any, Any]:
    """A graph with a conditional in a branch of another, of TensorFlow 1 or of functions, and a number that is given."""
    if not functions:
        v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [None, 8], name="x")
            phase = v1.placeholder_with_default(training, [], name="phase")
            half = v1.placeholder_with_default(0.5, [], name="half")
            h = tf.matmul(x, v1.get_variable("w", [8, 4]))
            inner = partial(v1.cond, tf.logical_not(phase), lambda: h * 2.0, lambda: h * half - 1.0)
            y = v1.cond(phase, inner, lambda: h * half + v1.cond(phase, lambda: h, lambda: tf.abs(h)))
            v1.add_to_collection("y", tf.nn.softmax(y, name="y"))
    finally:
        v1.enable_control_flow_v2()
    return graph, graph.get_tensor_by_name("y:0")


@pytest.mark.parametrize("training", [False, True])
def test_conditionals_that_hang_on_defaults_are_decided_and_compute_the_same(training: bool) -> None:
    graph, y = _switched(training)
    with v1.Session(graph=graph) as session:
        with graph.as_default():
            session.run(v1.global_variables_initializer())
        expected = session.run(y, {"x:0": X})
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    assert with_default_values(frozen) == ["phase", "half"]
    made = with_defaults(frozen, ["phase", "half"])
    read = {i.partition(":")[0] for n in made.node for i in n.input if not i.startswith("^")}
    assert {n.name for n in made.node if n.op != "Const"} - read == {"y"}  # what only ordered branches is no output
    assert not {n.op for n in made.node} & {"Switch", "Merge", "PlaceholderWithDefault"}
    with tf.Graph().as_default():
        (found,) = tf.graph_util.import_graph_def(made, return_elements=["y:0"])
        with v1.Session() as session:
            np.testing.assert_array_equal(session.run(found, {"import/x:0": X}), expected)


def test_which_branch_was_taken_is_a_constant() -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [3, 8], name="x")
        phase = v1.placeholder_with_default(False, [], name="phase")
        off, on = v1.raw_ops.Switch(data=x, pred=phase)
        either, which = v1.raw_ops.Merge(inputs=[off * 2.0, on * 3.0])
        tf.identity(either + tf.cast(which + 5, tf.float32), name="y")
    made = with_defaults(graph.as_graph_def(), ["phase"])
    with tf.Graph().as_default(), v1.Session() as session:
        (found,) = tf.graph_util.import_graph_def(made, return_elements=["y:0"])
        np.testing.assert_array_equal(session.run(found, {"import/x:0": X}), X * 2 + 5)


@pytest.mark.parametrize("default, left_on", [(True, True), (False, False), ("eval", False)])
def test_a_default_that_leaves_training_on_is_told(
    default: bool | str, left_on: bool, tmp_path: Path, workers: Workers
) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [3, 8], name="x")
        training = v1.placeholder_with_default(default, [], name="training")
        training = tf.equal(training, "train") if isinstance(default, str) else training
        tf.where(training, x * 0.5, x, name="y")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    (finding,) = find_packed(path, {}, Wishes(), workers).findings
    assert ("leaves training on" in finding.cause) is left_on
    assert f"`training = {default}`" in finding.remedies[0].summary


@pytest.mark.parametrize("kind", ["pb", "saved_model", "functions"])
def test_a_switch_of_training_is_one_cause_and_its_default_the_fix(kind: str, tmp_path: Path, workers: Workers) -> None:
    graph, y = _switched(False, functions=kind == "functions")
    path = tmp_path / ("model.pb" if kind == "pb" else "model")
    with graph.as_default(), v1.Session() as session:
        session.run(v1.global_variables_initializer())
        if kind == "pb":
            frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
            path.write_bytes(frozen.SerializeToString())
        else:
            x = graph.get_tensor_by_name("x:0")
            v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    place = destination(str(tmp_path / "out.mlpackage"), {})
    report = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place))
    (finding,) = report.findings
    assert [c.name for c in finding.culprits] == ["phase", "half"] and report.complete
    assert "phase = False" in finding.remedies[0].summary and finding.remedies[0].verified
    assert report.fix is not None and report.fix.converted and report.fix.verified and report.exit_code == 0


@pytest.mark.parametrize("ranked", [True, False])
def test_switches_without_a_default_are_what_inference_takes(ranked: bool, tmp_path: Path, workers: Workers) -> None:
    shape: list[int] | None = [] if ranked else None
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [3, 8], name="x")
        phase = v1.placeholder(tf.bool, shape, name="phase_train")
        keep = v1.placeholder(tf.float32, shape, name="dropout_keep_prob")
        h = v1.cond(phase, lambda: x - tf.reduce_mean(x, 0), lambda: x - 0.25)
        tf.nn.relu(h / keep * tf.floor(keep + 0.5), name="y")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    place = destination(str(tmp_path / "out.mlpackage"), {})
    report = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place))
    (finding,) = report.findings
    assert [c.name for c in finding.culprits] == ["phase_train", "dropout_keep_prob"] and report.complete
    assert "`phase_train = False` and `dropout_keep_prob = 1.0`" in finding.remedies[0].summary
    assert finding.remedies[0].verified and "switch training on and off" in finding.cause
    assert report.fix is not None and report.fix.converted and report.fix.verified


def test_a_scalar_with_a_default_that_is_named_as_an_input_is_left_out_of_them(
    tmp_path: Path, workers: Workers
) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [3, 8], name="x")
        phase = v1.placeholder_with_default(False, [], name="phase_train")
        keep = v1.placeholder_with_default(1.0, [], name="keep_prob")
        tf.nn.relu(v1.cond(phase, lambda: x * 2.0, lambda: x + 1.0) / keep, name="y")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    named = [{"kind": "TensorType", "name": n} for n in ("x", "phase_train")]
    place = destination(str(tmp_path / "out.mlpackage"), {})
    report = find_packed(path, {"inputs": named}, Wishes(), workers, fixing=partial(fixed, destination=place))
    (finding,) = report.findings
    assert "`phase_train` cannot be named as an input" in finding.cause and report.complete
    assert "leave `phase_train` out of the inputs" in finding.remedies[0].summary and finding.remedies[0].verified
    assert report.fix is not None and report.fix.converted and report.fix.verified


def test_a_scalar_that_says_nothing_of_training_is_an_input_still(tmp_path: Path, workers: Workers) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [3, 8], name="x")
        tf.multiply(x, v1.placeholder(tf.float32, [], name="strength"), name="y")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    (finding,) = find_packed(path, {}, Wishes(), workers).findings
    assert finding.cause == "the input `strength` is a scalar; Core ML has none"
    assert finding.remedies[0].verified and "shape=(1,)" in (finding.remedies[0].code or "")
