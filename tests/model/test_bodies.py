"""Failures in loops and conditionals: the right ops, with little around them, and the rest of each body probed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from models import load, spec

from bisect_convert import Report, find
from bisect_convert.model.bodies import Bodies
from bisect_convert.model.cuts import Section, whole
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind

FEW = 12


def searched(call: Callable[..., Any], *specs: tf.TensorSpec, workers: Workers, **options: Any) -> Report:
    function = tf.function(call, input_signature=list(specs), autograph=False).get_concrete_function()
    report = find(function, workers=workers, **options)
    assert report.complete, report.notes
    assert all(len(f.witness.ops) <= FEW and f.witness.confirmed for f in report.findings), report
    return report


def blamed(report: Report) -> list[set[str]]:
    return [{c.name.removeprefix("PartitionedCall/") for c in f.culprits} for f in report.findings]


def long(x: tf.Tensor, name: str) -> tf.Tensor:
    """Twelve ops that convert."""
    for number in range(6):
        x = tf.tanh(tf.multiply(x, 0.9, name=f"{name}_mul{number}"), name=f"{name}_tanh{number}")
    return x


def loop(x: tf.Tensor, step: Callable[[tf.Tensor], tf.Tensor], name: str) -> tf.Tensor:
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, step(y)), [0, x], name=name)[1]


def test_of_a_loop_read_twice_in_a_long_body_little_is_left(workers: Workers) -> None:
    def step(y: tf.Tensor) -> tf.Tensor:
        inner = loop(long(y, "before"), lambda z: long(z, "inside"), "inner")
        return long(tf.add(tf.exp(inner, name="first"), inner, name="second"), "after")

    report = searched(lambda x: loop(x, step, "outer"), spec(1, 4), workers=workers)
    assert blamed(report) == [{"outer/inner", "outer/first", "outer/second"}]


def test_of_a_loop_read_twice_in_the_main_graph_no_body_is_left(workers: Workers) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        looped = loop(x, lambda y: long(y, "inside"), "looped")
        return tf.exp(looped, name="first") * tf.nn.softmax(looped, name="second")

    (finding,) = searched(call, spec(1, 4), workers=workers).findings
    assert finding.culprits[0].op in ("While", "StatelessWhile")
    assert not [n for n in finding.witness.ops if "inside" in n]


def test_calls_of_one_function_fail_together(workers: Workers) -> None:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def shared(x: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_sum(x) > 0, lambda: long(x, "yes"), lambda: x - 1.0, name="choice")

    report = searched(lambda x: shared(tf.tanh(shared(x))), spec(1, 4), workers=workers)
    (finding,) = report.findings
    assert [c.name.rpartition("/")[2] for c in finding.culprits] == ["choice", "choice"]
    assert "call the same function" in finding.explanation


@pytest.mark.parametrize("kind", ["loop", "conditional"])
def test_an_op_that_reads_two_results_is_told(kind: str, workers: Workers) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        if kind == "loop":
            _, a, b = tf.while_loop(
                lambda i, *_: i < 3, lambda i, a, b: (i + 1, a + 1.0, b * 0.5), [0, x, -x], name="n"
            )
        else:
            a, b = tf.cond(tf.reduce_sum(x) > 0, lambda: (x * 2.0, x + 1.0), lambda: (x - 1.0, x - 2.0), name="n")
        return tf.multiply(tf.add(a, b, name="both"), 0.5)

    report = searched(call, spec(1, 4), workers=workers)
    assert blamed(report) == [{"n", "both"}]
    assert f"reads two results of the {kind}" in report.findings[0].explanation


@pytest.mark.parametrize("size", [4, 0])
def test_what_makes_a_list_is_probed_without_what_reads_it(size: int, workers: Workers) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        array = tf.TensorArray(tf.float32, size, dynamic_size=not size, element_shape=[2, 4])
        array = tf.while_loop(
            lambda i, a: i < 4, lambda i, a: (i + 1, a.write(i, tf.tanh(x))), [0, array], name="writes"
        )[1]
        return tf.multiply(array.concat(), 2.0)

    assert blamed(searched(call, spec(2, 4), workers=workers)) == [{"TensorListConcatV2"}]


def test_the_slice_that_makes_a_size_unknown_is_named_with_the_op_that_wants_it(workers: Workers) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, array: tf.TensorArray) -> Any:
            return i + 1, array.write(i, tf.tanh(x[2 * i : 2 * i + 2]))

        array = tf.TensorArray(tf.float32, 4, element_shape=[2, 4])
        return tf.while_loop(lambda i, a: i < 4, step, [0, array], name="writes")[1].stack()

    report = searched(call, spec(8, 4), workers=workers)
    assert blamed(report) == [{"writes/strided_slice", "writes/TensorArrayV2Write/TensorListSetItem"}]


def test_a_size_worked_out_is_named_with_the_resize_that_cannot_take_it(workers: Workers) -> None:
    import coremltools as ct

    def call(x: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.tanh(x), tf.multiply(tf.shape(x)[1:3], 2, name="double"), "nearest", name="up")

    sizes = ct.RangeDim(8, 32)
    shape = ct.TensorType(name="x", shape=(1, sizes, sizes, 3))
    report = searched(call, spec(1, None, None, 3), workers=workers, inputs=[shape])
    assert [{c.op for c in f.culprits} for f in report.findings] == [{"Mul", "ResizeNearestNeighbor"}]


def test_scalars_that_enter_a_body_make_no_failure(workers: Workers) -> None:
    def step(i: tf.Tensor, y: tf.Tensor, s: tf.Tensor) -> Any:
        row = tf.math.erfc(tf.expand_dims(s, 0), name="bad") * tf.ones([4])
        return i + 1, y + row, s * 0.5

    def call(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda i, *_: i < 3, step, [0, x, tf.reduce_sum(x)], name="refine")[1]

    assert blamed(searched(call, spec(1, 4), workers=workers)) == [{"refine/bad"}]


def test_of_a_case_that_freezing_took_apart_the_scaffold_is_not_named(workers: Workers) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        index = tf.cast(tf.argmax(x[0, :3]), tf.int32)
        ways = [lambda: tf.tanh(x), lambda: x * 2.0, lambda: x + 1.0]
        return tf.multiply(tf.switch_case(index, ways, name="experts"), 0.5)

    named = set().union(*blamed(searched(call, spec(1, 4), workers=workers)))
    assert named and not [n for n in named if "branch_index" in n]


def test_a_loop_that_leaves_its_rank_open_has_the_rank_that_every_turn_keeps(tmp_path: Path) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        def inner(y: tf.Tensor) -> tf.Tensor:
            return open_loop(y, lambda z: tf.tanh(z) * 0.5)

        return open_loop(x, inner) + 1.0

    def open_loop(x: tf.Tensor, step: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        shapes = [tf.TensorShape([]), tf.TensorShape(None)]
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, step(y)), [0, x], shape_invariants=shapes)[1]

    model = load(lambda: (call, [spec(1, 4)]), tmp_path).model
    tanh = [op for graph in model.graphs.values() for op in graph.ops.values() if op.type == "Tanh"]
    assert [op.outputs[0].shape for op in tanh] == [(1, 4)]


def test_a_loop_that_grows_keeps_its_size_open(tmp_path: Path) -> None:
    def call(x: tf.Tensor) -> tf.Tensor:
        shapes = [tf.TensorShape([]), tf.TensorShape(None)]
        step = lambda i, y: (i + 1, tf.concat([tf.tanh(y), x], 0))  # noqa: E731
        return tf.while_loop(lambda i, y: i < 3, step, [0, x], shape_invariants=shapes)[1] + 1.0

    model = load(lambda: (call, [spec(1, 4)]), tmp_path).model
    (tanh,) = [op for graph in model.graphs.values() for op in graph.ops.values() if op.type == "Tanh"]
    assert tanh.outputs[0].shape == (None, 4)


def test_two_loose_ends_that_are_no_numbers_convert(workers: Workers, tmp_path: Path) -> None:
    def yes(x: tf.Tensor) -> tf.Tensor:
        first, second = (tf.reduce_all(x < limit, name=f"all{limit}") for limit in (1, 2))
        a = tf.math.erfc(tf.where(first, x, -x, name="one"), name="bad_one")
        return a + tf.math.erfc(tf.where(second, x, -x, name="two"), name="bad_two")

    def call(x: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_sum(x) > 0, lambda: yes(x), lambda: x, name="gate")

    loaded = load(lambda: (call, [spec(1, 4)]), tmp_path)
    (body,) = (g for g in loaded.model.graphs.values() if any(op.type == "Erfc" for op in g.ops.values()))
    gone = {n for n in body.atoms if body.ops[n].type in ("Erfc", "SelectV2", "Neg")}
    section = Section("", whole(loaded.model).ops, frozenset((body.name, n) for n in gone))
    assert Prober(loaded, workers, {}).outcome(section, Kind.BY_HAND.asks("without them")).converted


def test_of_a_body_whose_call_is_taken_out_nothing_is_left(tmp_path: Path) -> None:
    def step(y: tf.Tensor) -> tf.Tensor:
        return loop(y, tf.tanh, "inner") * 0.5

    model = load(lambda: (lambda x: loop(x, step, "outer") + 1.0, [spec(1, 4)]), tmp_path).model
    bodies = Bodies(model)
    (outer,) = (n for n, op in model.main.ops.items() if op.functions)
    (inner,) = ((g, n) for g, n in bodies.atoms("", outer) if model.graphs[g].ops[n].functions)
    left = bodies.inside("", [outer], frozenset({inner}))
    assert left and not {model.graphs[g].ops[n].type for g, n in left} & {"Tanh"}
