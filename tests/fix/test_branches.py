"""Conditionals that freezing takes apart into switches and merges: all branches computed, and one chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.evaluator import evaluate
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers
from bisect_convert.worker.private_api import freeze
from bisect_convert.worker.rewrite.agreement import taken
from bisect_convert.worker.rewrite.editing import imported, pruned
from bisect_convert.worker.rewrite.levels import levels
from bisect_convert.worker.rewrite.merges import branches_chosen
from bisect_convert.worker.rewrite.samples import runs

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


def routed(x: Any, k: Any) -> Any:
    """Four branches: one with a layer, one with a conditional of its own, one of a constant, and one for all other numbers."""
    cases = [
        lambda: tf.math.erfc(x),
        lambda: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x + 1.0, lambda: x - 1.0),
        lambda: tf.ones([2, 4]),
    ]
    return tf.switch_case(k[0], cases, default=lambda: 3.0 * x)


def two_results(x: Any, k: Any) -> Any:
    one, other = tf.switch_case(k[0], [lambda: (x, 2.0 * x), lambda: (-x, x * x)])
    return one + other


def again(x: Any, k: Any) -> Any:
    """The same number decides twice, once with what was chosen before."""
    y = tf.switch_case(k[0], [lambda: x, lambda: 2.0 * x, lambda: x * x])
    return tf.switch_case(k[0], [lambda: y + 1.0, lambda: x, lambda: y * x])


def within(x: Any, k: Any) -> Any:
    """A conditional of three branches inside of one of two."""
    inner = lambda: tf.switch_case(k[1], [lambda: x, lambda: tf.sin(x), lambda: tf.cos(x)])  # noqa: E731
    return tf.switch_case(k[0], [inner, lambda: x * 5.0])


def frozen(make: Callable[[Any, Any], Any]) -> Any:
    specs = tf.TensorSpec([2, 4], name="x"), tf.TensorSpec([2], tf.int32, name="k")
    return freeze(tf.function(make).get_concrete_function(*specs))


@pytest.mark.parametrize("make", [routed, two_results, again, within])
def test_what_is_chosen_is_what_the_branch_gives(make: Callable[[Any, Any], Any]) -> None:
    before = frozen(make)
    results = [n.name for n in before.node if n.name.startswith("Identity")]
    merge = next(n.name for n in before.node if n.op == "Merge")
    after = pruned(branches_chosen(before, merge), results)
    assert not {n.op for n in after.node} & {"_SwitchN", "Switch", "Merge"}
    feeds = [
        {"x:0": sign * X, "k:0": np.array([i, j], np.int32)} for i in range(-1, 5) for j in range(3) for sign in (1, -1)
    ]
    wanted = runs(imported(before), [f"{r}:0" for r in results], feeds)
    made = runs(imported(after), [f"{r}:0" for r in results], feeds)
    for one, other in zip(wanted, made, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_conditional_of_tensorflow_1_is_chosen_from_too() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [4], name="x")
        no, yes = tf.raw_ops.Switch(data=x, pred=tf.reduce_sum(x) > 0.0)
        tf.identity(tf.raw_ops.Merge(inputs=[tf.exp(no), 2.0 * yes])[0], name="y")
    after = branches_chosen(graph.as_graph_def(), "Merge")
    feeds = [{"x:0": X[0]}, {"x:0": -X[0]}]
    for one, other in zip(runs(graph, ["y:0"], feeds), runs(imported(after), ["y:0"], feeds), strict=True):
        assert np.array_equal(one["y:0"], other["y:0"])


def test_a_merge_of_a_loop_is_left_as_it_is() -> None:
    with tf.Graph().as_default() as graph:
        tf.compat.v1.disable_control_flow_v2()
        try:
            tf.while_loop(lambda i: i < 3, lambda i: (i + 1,), (tf.constant(0),))
        finally:
            tf.compat.v1.enable_control_flow_v2()
    with pytest.raises(ValueError, match="loop"):
        branches_chosen(graph.as_graph_def(), "while/Merge")


def test_a_branch_that_no_sample_takes_converts_and_is_compared(workers: Workers, tmp_path: Path) -> None:
    (path := tmp_path / "net.pb").write_bytes(frozen(routed).SerializeToString())
    place = destination(str(tmp_path / "net.mlpackage"), {})
    fix = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None and fix.converted and fix.verified, fix and fix.reasons
    assert [edit.recipe for edit in fix.edits] == ["branches_chosen", "Erfc"]
    assert all(edit.equal is not None and edit.caution is None for edit in fix.edits), fix.edits
    assert fix.agreement is not None and fix.agreement.max_rel is not None and fix.agreement.max_rel <= 1e-6
    for k in range(4):
        feed = {"x": X, "k": np.array([k, 0], np.int32)}
        wanted = np.asarray(routed(tf.constant(X), tf.constant(feed["k"])))
        (made,) = evaluate(place.path, feed, precision="float32").values()
        np.testing.assert_allclose(made, wanted, atol=2e-3)


def test_a_body_that_freezing_lost_is_no_level_and_nothing_runs_there() -> None:
    @tf.function(input_signature=[tf.TensorSpec((4,), name="x")], autograph=False)
    def model(x: tf.Tensor) -> tf.Tensor:
        return tf.identity(tf.cond(x[0] > 0.0, lambda: x * 2.0, lambda: tf.sin(x)), name="end")

    program = model.get_concrete_function().graph.as_graph_def(add_shapes=True)
    feed = {"x:0": np.ones(4, np.float32)}
    assert len(list(levels(program))) == 3 and taken(program, ["end:0"], [feed])
    lost = tf.compat.v1.GraphDef()
    lost.CopyFrom(program)
    del lost.library.function[:]
    assert [path for path, _, _ in levels(lost)] == [()]
    assert not taken(lost, ["end:0"], [feed])
