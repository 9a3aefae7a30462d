"""Where the time goes: the judgement over measured seconds, the sampling that measures, and a real conversion."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert import Report, find
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.outcome import Stage
from bisect_convert.search.slow_ops import Part, by_reader, slow_ops, times_of
from bisect_convert.worker.sampling import sampled

LOWERING, LOAD = int(Stage.LOWERING), int(Stage.LOAD)


def _op(name: str, *inputs: str, size: int = 1, constant: bool = False, layer: str | None = None) -> Op:
    made = (Tensor(f"{name}:0", "float32", (size,)),)
    return Op(
        name, "Const" if constant else "Relu", tuple(f"{i}:0" for i in inputs), made, constant=constant, layer=layer
    )


def _model() -> Model:
    ops = [
        _op("x"), _op("big", size=900, constant=True), _op("small", size=100, constant=True),
        _op("a", "x", "big", layer="block/one"), _op("b", "a", "small", layer="block/two"),
        *(_op(f"c{i}", "b", layer="rest") for i in range(6)),
    ]  # fmt: skip
    return Model("m", None, {"": Graph("", {op.name: op for op in ops}, ("c0:0",))}, "")


def _blamed(parts: list[Part], factor: float = 2.0) -> list[tuple[str, ...]]:
    return [tuple(op for _, op in found.culprits) for found in slow_ops(_model(), parts, factor)]


def test_an_op_that_takes_its_share_is_named_with_the_step_that_took_most() -> None:
    parts = [(LOWERING, None, "a", 1.0), (int(Stage.MIL_PASS), "common::p", "a", 3.0), (LOWERING, None, "b", 2.0)]
    (found,) = slow_ops(_model(), parts, 2.0)
    assert found.culprits == (("", "a"),) and found.failure.signature.pass_name == "common::p"
    assert found.failure.message == "converting Relu takes 4.0 s of the 6.0 s that the whole model takes"


def test_several_ops_that_take_their_share_are_all_named_the_longest_first() -> None:
    assert _blamed([(LOWERING, None, "a", 2.0), (LOWERING, None, "b", 3.0)], 3.0) == [("b",), ("a",)]


def test_a_layer_is_named_where_none_of_its_ops_takes_the_share_alone() -> None:
    parts = [(LOWERING, None, "a", 2.0), (LOWERING, None, "b", 2.5), (LOWERING, None, None, 4.0)]
    assert _blamed(parts) == [("b", "a")]


def test_nothing_is_named_that_takes_less_than_a_second_or_its_share() -> None:
    assert not _blamed([(LOWERING, None, "a", 0.9)])
    assert not _blamed([(LOWERING, None, "a", 2.0), (LOWERING, None, None, 9.0)])
    assert not _blamed([])


def test_what_moves_all_constants_is_shared_out_by_their_size() -> None:
    parts = by_reader(_model(), [(LOAD, None, None, 10.0), (LOWERING, None, "big", 1.0), (LOWERING, None, None, 1.0)])
    assert sorted(parts, key=str) == [
        (LOAD, None, "a", 9.0),
        (LOAD, None, "b", 1.0),
        (2, None, "a", 1.0),
        (2, None, None, 1.0),
    ]


@given(st.lists(st.tuples(
    st.sampled_from([int(s) for s in Stage]), st.sampled_from([None, "p"]),
    st.sampled_from([None, "a", "b", "c0", "big", "gone"]), st.floats(0, 9),
)))  # fmt: skip
def test_steps_layers_and_ops_each_add_up_to_the_whole(parts: list[Part]) -> None:
    times = times_of(_model(), by_reader(_model(), parts), 1.0)
    for shares in (times.steps, times.layers, times.ops):
        assert sum(s.seconds for s in shares) == pytest.approx(sum(p[3] for p in parts), abs=0.01)
        assert list(shares) == sorted(shares, key=lambda s: -s.seconds)


def test_a_sample_is_of_what_the_thread_is_at_and_the_signal_is_given_back() -> None:
    def busy(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    def waiting() -> None:
        time.sleep(0.2)

    before = signal.getsignal(signal.SIGALRM)
    with sampled(
        lambda frames: next((n for f in frames if (n := f.f_code.co_name) in {"busy", "waiting"}), "")
    ) as seconds:
        busy(0.4)
        waiting()
    assert seconds["busy"] == pytest.approx(0.4, abs=0.08) and seconds["waiting"] == pytest.approx(0.2, abs=0.08)
    assert signal.getsignal(signal.SIGALRM) is before


def test_only_the_main_thread_can_be_sampled() -> None:
    raised: list[BaseException] = []

    def sample() -> None:
        try:
            with sampled(lambda frames: 0):
                pass
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(target=sample)
    thread.start()
    thread.join()
    assert raised


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A dense layer over a flattened map, of 100 MB, behind convolutions."""
    table = tf.Variable(tf.random.normal([50_000, 512]))

    @tf.function(input_signature=[tf.TensorSpec([1, 50, 50, 3])])
    def model(x: tf.Tensor) -> tf.Tensor:
        for _ in range(3):
            x = tf.nn.conv2d(x, tf.random.stateless_normal([3, 3, x.shape[-1], 20], [1, 2]), 1, "SAME")
        with tf.name_scope("squash"):
            return tf.matmul(tf.reshape(x, [1, -1]), table)

    module = tf.Module()
    module.model, module.table = model, table
    path = tmp_path_factory.mktemp("dense") / "model"
    tf.saved_model.save(module, str(path), signatures=model.get_concrete_function())
    return find(path, slow=2.0)


def test_the_layer_with_the_large_constant_is_found(report: Report) -> None:
    (finding,) = report.findings
    assert [c.op for c in finding.culprits] == ["MatMul"] and finding.culprits[0].layer == "squash"
    assert "which has 98 MiB" in finding.explanation and report.exit_code == 0


def test_the_table_is_in_text_and_data(report: Report, tmp_path: Path) -> None:
    times = report.times
    assert times is not None and Report.from_json(report.to_json()).times == times
    assert times.layers[0].name == "squash" and times.reading > 0
    for shares in (times.steps, times.layers, times.ops):
        assert sum(s.seconds for s in shares) == pytest.approx(times.total, abs=0.05)
    assert "by layer: squash" in str(report) and "reading and freezing" in str(report)
