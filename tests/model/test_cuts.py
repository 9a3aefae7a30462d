"""From a section to what a worker is told, and what comes of it: nothing changes at a cut, whatever crosses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from models import load, spec

from bisect_convert.model.cuts import Plan, Section, Unsliceable, plan, whole
from bisect_convert.model.forms import canonical, pattern_of
from bisect_convert.model.graph import Graph, Model, Op, Shape, Tensor
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.plain import restored
from bisect_convert.report.questions import Kind

FILES = {"": "graph.pb", "body": "body1.pb"}


def op(name: str, kind: str, *inputs: str, dtype: str = "float32", shape: Shape | None = (1, 4), **more: Any) -> Op:
    tensors = tuple(i if ":" in i else f"{i}:0" for i in inputs)
    return Op(name, kind, tensors, (Tensor(f"{name}:0", dtype, shape),), **more)


def model_of(*ops: Op, results: tuple[str, ...] = (), body: Graph | None = None) -> Model:
    graphs = {"": Graph("", {o.name: o for o in ops}, results)}
    return Model("m", None, graphs | ({body.name: body} if body else {}), "")


def planned(model: Model, *ops: str, **more: Any) -> Plan:
    return plan(model, Section("", frozenset(ops), **more), FILES)


PLAIN = model_of(
    op("x", "Placeholder"),
    op("w", "Const", constant=True),
    op("a", "Relu", "x"),
    op("b", "AddV2", "a", "w"),
    op("c", "Tanh", "b"),
    op("d", "Mul", "c", "a"),
    results=("d:0",),
)


# --- plans -----------------------------------------------------------------------------------------------------------


def test_the_whole_model_is_taken_as_it_is() -> None:
    made = plan(PLAIN, whole(PLAIN), FILES)
    assert made.whole and not made.entries
    assert made.inputs == ("x",) and made.ops == ("x", "a", "b", "c", "d")


def test_a_plan_names_what_enters_and_what_leaves() -> None:
    made = planned(PLAIN, "b", "c")
    assert made.ops == ("b", "c")
    assert [e.tensor for e in made.entries] == ["a:0"]
    assert [(e.tensor, e.result) for e in made.exits] == [("c:0", False)]
    assert [(e.tensor, e.result) for e in planned(PLAIN, "d").exits] == [("d:0", True)]


@given(st.frozensets(st.sampled_from("xabcd"), min_size=1))
def test_a_plan_is_plain_data(ops: frozenset[str]) -> None:
    made = planned(PLAIN, *ops)
    assert restored(Plan, json.loads(json.dumps(asdict(made)))) == made


def test_nothing_is_no_section() -> None:
    with pytest.raises(Unsliceable, match="empty"):
        planned(PLAIN)


@pytest.mark.parametrize(
    ("dtype", "shape", "said"),
    [
        ("variant", (), r"a:0 \(variant\) cannot be an input"),
        ("string", (1,), r"a:0 \(string\) cannot be an input"),
        ("float32", None, "cannot be an input"),
        ("float32", (1, 1, 1, 1, 1, None), "rank 6 and an unknown size"),
    ],
)
def test_where_a_cut_cannot_be_made_the_reason_is_given(dtype: str, shape: Shape | None, said: str) -> None:
    model = model_of(op("x", "Placeholder"), op("a", "Make", "x", dtype=dtype, shape=shape), op("b", "Use", "a"))
    with pytest.raises(Unsliceable, match=said):
        planned(model, "b")


def test_an_input_that_an_identity_reads_is_worked_on_first() -> None:
    model = model_of(op("x", "Placeholder"), op("a", "Relu", "x"), op("i", "Identity", "a"), op("t", "Tanh", "a"))
    assert planned(model, "i", "t").entries[0].worked
    assert not planned(model, "t").entries[0].worked


def test_an_op_of_several_results_is_no_output_by_itself() -> None:
    two = Op("two", "Split", ("x:0",), (Tensor("two:0", "float32", (1, 2)), Tensor("two:1", "float32", (1, 2))))
    made = planned(model_of(op("x", "Placeholder"), two, op("y", "Relu", "two:1")), "two")
    assert [(e.tensor, e.carried) for e in made.exits] == [("two:1", True)]


@pytest.mark.parametrize(("dtype", "guarded"), [("float32", True), ("int32", False)])
def test_the_difference_from_a_mean_is_never_the_last_op(dtype: str, guarded: bool) -> None:
    model = model_of(
        op("x", "Placeholder", dtype=dtype),
        op("m", "Mean", "x", dtype=dtype),
        op("s", "Sub", "x", "m", dtype=dtype),
        op("y", "Square", "s", dtype=dtype),
    )
    assert [e.guarded for e in planned(model, "m", "s").exits] == [guarded]


def test_what_is_taken_out_of_a_body_comes_in_as_a_thread() -> None:
    ops = [op("p", "Placeholder"), op("a", "Relu", "p"), op("b", "Tanh", "a"), op("c", "Exp", "b")]
    body = Graph("body", {o.name: o for o in ops}, ("c:0",), ("", "while", "body"))
    model = model_of(op("x", "Placeholder"), op("while", "While", "x", functions=(("body", "body"),)), body=body)
    made = planned(model, "while", removed=frozenset({("body", "a"), ("body", "c")}))
    assert made.removed == {"body": ("a", "c")}
    assert list(made.threads["body"]) == ["a:0", "c:0"]


def test_what_only_removed_ops_read_is_tied_to_what_it_leads_to() -> None:
    ops = [
        op("p", "Placeholder"),
        op("a", "Relu", "p"),
        op("b", "Tanh", "a"),
        op("c", "Exp", "b"),
        op("d", "Abs", "c", "p"),
    ]
    body = Graph("body", {o.name: o for o in ops}, ("d:0",), ("", "while", "body"))
    model = model_of(op("x", "Placeholder"), op("while", "While", "x", functions=(("body", "body"),)), body=body)

    def ends(*gone: str) -> list[tuple[str, str]]:
        made = planned(model, "while", removed=frozenset(("body", name) for name in gone))
        return [(e.tensor, e.into) for e in made.ends["body"]]

    assert ends("b") == [("a:0", "b:0")]
    assert ends("b", "c") == [("a:0", "c:0")]
    assert ends("d") == [("c:0", "d:0")]
    assert ends("a") == ends("a", "b", "c", "d") == []


def test_renamed_ops_enter_under_a_neutral_name() -> None:
    assert [e.name for e in planned(PLAIN, "b", renamed=frozenset({"a"})).entries] == ["cut_entry_0"]
    assert [e.name for e in planned(PLAIN, "b").entries] == [None]


# --- canonical forms -------------------------------------------------------------------------------------------------


def test_two_ops_have_one_form_where_they_differ_in_names_alone() -> None:
    model = model_of(
        op("x", "Placeholder"),
        op("a", "Relu", "x"),
        op("b", "Relu", "a"),
        op("t", "Tanh", "a"),
        op("wide", "Relu", "x", shape=(1, 8)),
        op("double", "Relu", "x", dtype="float64"),
        op("set", "Relu", "x", attributes="alpha"),
        op("square", "Mul", "a", "a"),
        op("product", "Mul", "a", "b"),
        op("k", "Const", constant=True),
        op("scaled", "Mul", "a", "k"),
    )
    forms = {name: canonical(model.main, name) for name in model.main.order}
    assert forms["a"] == forms["b"]
    others = ["a", "t", "wide", "double", "set", "square", "product", "scaled"]
    assert len({forms[name] for name in others}) == len(others)


def test_sections_have_one_pattern_where_the_numbers_in_their_names_differ_alone() -> None:
    def pair(prefix: str, source: str = "x", *, kind: str = "Mul", turned: bool = False) -> list[Op]:
        first, second = f"{prefix}/relu", f"{prefix}/end"
        reads = (source, first) if turned else (first, source)
        return [op(first, "Relu", source), op(second, kind, *reads)]

    model = model_of(
        op("x", "Placeholder"), *pair("block1"), *pair("block2"), *pair("other"), *pair("block3", kind="Add"),
        *pair("block4", turned=True), *pair("block5"), op("late", "Tanh", "block5/relu"),
        op("y", "Placeholder", shape=(1, 8)), *pair("block6", "y"),
        results=("late:0", *(f"{n}/end:0" for n in ["block1", "block2", "other"])),
    )  # fmt: skip
    prefixes = ["block1", "block2", "other", "block3", "block4", "block5", "block6"]
    found = [pattern_of(model, Section("", frozenset({f"{p}/relu", f"{p}/end"}))) for p in prefixes]
    assert found[0] == found[1] is not None
    assert len(set(found[1:])) == len(found) - 1
    assert pattern_of(model, Section("", frozenset({"block1/relu"}))) is None


# --- real cuts: every dtype and rank ---------------------------------------------------------------------------------

Maker = Callable[[tf.Tensor], tf.Tensor]
CROSSING: dict[str, tuple[Maker, Maker]] = {
    "float16": (lambda x: tf.cast(x, tf.float16), lambda t: t * tf.constant(2.0, tf.float16)),
    "float64": (lambda x: tf.cast(x, tf.float64), lambda t: tf.nn.relu(t)),
    "int32": (lambda x: tf.cast(x, tf.int32), lambda t: t * 3),
    "int64": (lambda x: tf.argmax(x, -1), lambda t: t + 1),
    "int8": (lambda x: tf.argmax(x, -1, tf.int32), lambda t: tf.one_hot(t, 4)),
    "bool": (lambda x: x > 0.0, lambda t: tf.logical_not(t)),
    "bool scalar": (lambda x: tf.reduce_mean(x) > 0.0, lambda t: tf.logical_not(t)),
    "scalar": (lambda x: tf.reduce_sum(x), lambda t: tf.exp(t)),
    "int scalar": (lambda x: tf.reduce_sum(tf.cast(x, tf.int32)), lambda t: t * 2),
    "complex64": (lambda x: tf.signal.rfft(x), lambda t: tf.math.real(t) * 2.0),
    "rank 5": (lambda x: tf.reshape(x, [1, 2, 2, 2, 2]), lambda t: tf.tanh(t)),
    "rank 6": (lambda x: tf.reshape(x, [1, 2, 2, 1, 2, 2]), lambda t: tf.reshape(t, [4, 4])),
}


@pytest.mark.parametrize("what", CROSSING)
def test_what_crosses_a_cut_converts_and_keeps_its_values(what: str, workers: Workers, tmp_path: Path) -> None:
    make, use = CROSSING[what]

    def call(x: tf.Tensor) -> tf.Tensor:
        with tf.name_scope("upper"):
            t = make(tf.nn.relu(x) - 0.5)
        with tf.name_scope("lower"):
            return tf.cast(use(t), tf.float32) + 1.0

    loaded = load(lambda: (call, [spec(2, 8)]), tmp_path)
    prober = Prober(loaded, workers, {})
    assert prober.outcome(whole(loaded.model), Kind.WHOLE.asks()).converted
    for half in ("upper", "lower"):
        ops = frozenset(n for n in loaded.model.main.order if n.startswith(f"{half}/"))
        section = Section("", loaded.model.main.close(ops))
        outcome = prober.outcome(section, Kind.BY_HAND.asks(half))
        assert outcome.converted, (half, outcome.unresolved, outcome.failure)
        assert prober.errands.differs(section) == ""


def test_unknown_sizes_that_are_equal_stay_equal(workers: Workers, tmp_path: Path) -> None:
    def call(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        a, b = tf.tanh(x), tf.nn.relu(y)
        return tf.matmul(a + b, a, transpose_b=True) + tf.matmul(b, b, transpose_b=True)

    loaded = load(lambda: (call, [spec(None, None, 4, name="x"), spec(None, None, 4, name="y")]), tmp_path)
    graph = loaded.model.main
    ops = frozenset(n for n in graph.atoms if graph.ops[n].type not in ("Placeholder", "Tanh", "Relu"))
    made = plan(loaded.model, Section("", ops), loaded.files)
    assert len({e.symbols for e in made.entries}) == 1
    assert Prober(loaded, workers, {}).outcome(Section("", ops), Kind.BY_HAND.asks("joined")).converted
