"""Models that TensorFlow cannot read or freeze: every op at fault by its name, and the rest of the model searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from bisect_convert import find
from bisect_convert.errors import ModelError
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report
from bisect_convert.worker.read import handles
from bisect_convert.worker.read.unfreezable import without_keepers

_SPEC = tf.TensorSpec((1, 4), name="x")
Culprits = list[tuple[str, str]]


def culprits(report: Report) -> Culprits:
    return [(c.op, c.name) for f in report.findings for c in f.culprits]


def concrete(call: Callable[..., Any], spec: Any = _SPEC) -> Any:
    return tf.function(call, input_signature=[spec]).get_concrete_function()


# --- what keeps it from freezing -------------------------------------------------------------------------------------


def written(v: Any, x: Any) -> Any:
    with tf.name_scope("state"):
        v.assign_add(x)
        old = tf.identity(v)
        v.assign(x * 2.0)
    return tf.math.erfc(x, name="last") + old


def written_in_a_loop(v: Any, x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        v.assign_add(y)
        return i + 1, tf.tanh(y)

    return tf.while_loop(lambda i, y: i < 3, body, [0, x], name="steps")[1]


def scattered(v: Any, x: Any) -> Any:
    tf.raw_ops.ResourceScatterNdUpdate(ref=v.handle, indices=[[0]], updates=x, name="row")
    return x + v


def gathered_in_a_loop(v: Any, x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        return i + 1, y + tf.gather(v, [0], name="row")

    return tf.while_loop(lambda i, y: i < 3, body, [0, x], name="steps")[1]


@pytest.mark.parametrize(
    ("call", "expected", "help_says"),
    [
        (
            written,
            [(f"{kind}VariableOp", f"state/{kind}VariableOp") for kind in ("AssignAdd", "Assign")] + [("Erfc", "last")],
            "return the new state",
        ),
        (written_in_a_loop, [("AssignAddVariableOp", "steps/AssignAddVariableOp")], "return the new state"),
        (scattered, [("ResourceScatterNdUpdate", "row")], "take the state as an input"),
        (gathered_in_a_loop, [("ResourceGather", "steps/row")], "read the variable before the loop"),
    ],
)  # fmt: skip
def test_what_keeps_state_is_blamed_and_the_rest_is_searched(
    workers: Workers, call: Callable[..., Any], expected: Culprits, help_says: str
) -> None:
    v = tf.Variable(np.ones((1, 4), "float32"))
    function = concrete(lambda x: call(v, x))
    report = find(function, workers=workers)
    assert culprits(report) == expected
    assert report.complete and report.findings[0].stage == "load"
    assert help_says in report.findings[0].remedies[0].summary
    assert culprits(find(function, workers=workers)) == expected


def looked_up(table: Any, ids: Any) -> Any:
    return tf.gather(table, ids, name="rows") + tf.reduce_sum(table * 2.0)


@pytest.mark.parametrize("limit", [100 * 4 * 4, 100 * 4 * 4 - 1])
def test_what_reads_a_variable_that_is_too_large_is_found_through_calls_and_the_rest_freezes(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(handles, "_LIMIT", limit)
    small, large = tf.Variable(tf.ones([7, 4])), tf.Variable(tf.ones([100, 4]), name="items")
    inner = tf.function(lambda ids: looked_up(large, ids) + tf.gather(small, ids))
    function = concrete(lambda ids: tf.nn.relu(inner(ids)), tf.TensorSpec((1, 4), tf.int32, name="ids"))
    kept = without_keepers(function, ValueError("Cannot create a tensor proto whose content is larger than 2GB."))
    assert kept.rest is not None
    sizes = {tuple(d.size for d in n.attr["value"].tensor.tensor_shape.dim) for n in kept.rest.node if n.op == "Const"}
    if limit == 100 * 4 * 4:
        assert not kept.large and not kept.blamed and (100, 4) in sizes
    else:
        assert {name.rpartition("/")[2] for _, name in kept.blamed} == {"rows", "ReadVariableOp"} and (
            100,
            4,
        ) not in sizes
        assert set(kept.large.values()) == {"items (float32[100, 4], 0.0 GB)"} and len(kept.large) == 2


@pytest.mark.sweep
def test_a_table_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    table = tf.Variable(tf.zeros([9_000_000, 64]), name="items")
    module = tf.Module()
    module.table = table
    function = concrete(lambda ids: tf.gather(table, ids), tf.TensorSpec((1, 8), tf.int32, name="ids"))
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function)
    report = find(tmp_path / "model")
    assert report.findings[0].cause == "the variable items (float32[9000000, 64], 2.3 GB) is too large for a constant"
    assert report.complete and [op for op, _ in culprits(report)] == ["ResourceGather"]


def test_the_state_of_a_random_generator(workers: Workers) -> None:
    generator = tf.random.Generator.from_seed(1)
    report = find(concrete(lambda x: tf.nn.relu(x + generator.normal([1, 4]))), workers=workers)
    assert [op for op, _ in culprits(report)] == ["RngReadAndSkip"]
    assert report.complete and "random generator" in report.findings[0].explanation


def test_a_table_and_what_reads_it(workers: Workers) -> None:
    keys, values = tf.constant([1, 2], tf.int64), tf.constant([3.0, 4.0])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0.0)
    report = find(concrete(lambda x: tf.nn.relu(table.lookup(tf.cast(x, tf.int64)))), workers=workers)
    assert [op for op, _ in culprits(report)] == ["LookupTableFindV2"]
    assert report.complete and "lookup table" in report.findings[0].explanation


def test_strings_are_blamed_op_by_op_once(workers: Workers) -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0)
    spec = tf.TensorSpec((1, 4), tf.string, name="words")
    report = find(concrete(lambda w: table.lookup(tf.strings.lower(w)) * 2.0, spec), workers=workers)
    assert sorted(op for op, _ in culprits(report)) == ["LookupTableFindV2", "Placeholder", "StringLower"]
    assert report.complete


# --- what TensorFlow cannot read -------------------------------------------------------------------------------------


class Squashing(tf.Module):
    """A loop with a Softsign in its body, and another before it."""

    @tf.function(input_signature=[_SPEC])
    def call(self, x: Any) -> Any:
        x = tf.nn.softsign(x, name="first")
        return tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, tf.nn.softsign(y, name="squash")), [0, x], name="w"
        )[1]


def saved(module: tf.Module, folder: Path, edit: Callable[[Any], None], **signatures: Any) -> Path:
    """Write the module as a SavedModel, and edit its file."""
    tf.saved_model.save(module, str(folder), signatures=signatures)
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(path.read_bytes())
    edit(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    return folder


def every_node(meta: Any) -> list[Any]:
    return [*meta.graph_def.node, *(n for f in meta.graph_def.library.function for n in f.node_def)]


def to_custom_op(meta: Any) -> None:
    for node in every_node(meta):
        node.op = "Mine>Squash" if node.op == "Softsign" else node.op


def without_bodies(meta: Any) -> None:
    kept = [f for f in meta.graph_def.library.function if "w_body" not in f.signature.name]
    del meta.graph_def.library.function[:]
    meta.graph_def.library.function.extend(kept)


def test_an_op_that_tensorflow_does_not_know(workers: Workers, tmp_path: Path) -> None:
    module = Squashing()
    report = find(saved(module, tmp_path / "m", to_custom_op, serving_default=module.call), workers=workers)
    (finding,) = report.findings
    assert culprits(report) == [("Mine>Squash", "first"), ("Mine>Squash", "w/squash")]
    assert (finding.stage, report.verdict, report.complete) == ("load", "fails", False)
    assert [e.kind for e in finding.context.enclosing][:1] == ["call"]
    assert "no op type `Mine>Squash`" in finding.explanation and len(finding.remedies) == 2


def test_a_body_that_is_not_in_the_library(workers: Workers, tmp_path: Path) -> None:
    module = Squashing()
    report = find(saved(module, tmp_path / "m", without_bodies, serving_default=module.call), workers=workers)
    assert culprits(report) in ([("StatelessWhile", "w")], [("While", "w")])
    assert "does not hold" in report.findings[0].explanation


def test_an_unknown_op_in_a_frozen_graph(workers: Workers, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (1, 4), "x")
        tf.nn.relu(tf.nn.elu(x, name="post"), name="out")
    graph_def = graph.as_graph_def()
    graph_def.node[1].op = "TFLite_Detection_PostProcess"
    (tmp_path / "m.pb").write_bytes(graph_def.SerializeToString())
    report = find(tmp_path / "m.pb", workers=workers)
    assert culprits(report) == [("TFLite_Detection_PostProcess", "post")]
    assert "TensorFlow Lite" in report.findings[0].remedies[0].summary


def test_functions_but_no_signature(workers: Workers, tmp_path: Path) -> None:
    module = Squashing()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={})
    report = find(tmp_path / "m", workers=workers)
    (finding,) = report.findings
    assert not finding.culprits and "It has `call`" in finding.explanation
    assert "model.call.concrete_functions[0]" in (finding.remedies[0].code or "")
    with pytest.raises(ModelError, match="no signatures"):
        find(tmp_path / "m", signature="call", workers=workers)


def test_a_function_that_has_outlived_its_model_says_what_to_keep(workers: Workers) -> None:
    def outlived() -> Any:
        weight = tf.Variable([[1.0, 2.0, 3.0, 4.0]])
        return concrete(lambda x: tf.math.erfc(x * weight))

    with pytest.raises(ModelError, match="variables are gone with the model that had them: keep that too"):
        find([outlived()], workers=workers)
