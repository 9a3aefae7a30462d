"""Models that convert and compute something else: which op, of which kind, and what helps; and those that agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import Session, compare, find
from bisect_convert.errors import UsageError
from bisect_convert.model.graph import Graph, Op, Tensor
from bisect_convert.numbers.samples import chosen
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report
from bisect_convert.worker.numbers.agreement import agree

rng = np.random.default_rng(5)


def weights(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(0, 0.1, shape).astype("f")


def head(x: Any) -> Any:
    return tf.matmul(x, weights(x.shape[-1], 4), name="head")


def softplus(x: Any) -> Any:
    return head(tf.math.log(1.0 + tf.exp(x, name="act/exp"), name="act/log"))


def variance(x: Any) -> Any:
    mean_of_squares = tf.reduce_mean(x * x, -1, keepdims=True)
    spread = tf.subtract(mean_of_squares, tf.square(tf.reduce_mean(x, -1, keepdims=True)), name="stats/var")
    return head(tf.concat([spread * 1000.0, x[:, :3] / 20.0], -1))


def tiny(x: Any) -> Any:
    return head(x / tf.sqrt(tf.reduce_sum(tf.square(x, name="norm/square"), -1, keepdims=True) + 1e-16))


def hashed(ids: Any) -> Any:
    bucket = tf.math.floormod(
        tf.multiply(ids, tf.constant(2654435, tf.int64), name="hash/mul"), tf.constant(1000, tf.int64)
    )
    return head(tf.reduce_mean(tf.gather(weights(1000, 8), bucket), 1))


def moved(a: Any, b: Any) -> Any:
    return tf.reduce_mean(tf.cast(tf.subtract(a, b, name="diff"), tf.float32), [1, 2]) / 255.0


def nearest(x: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.raw_ops.ResizeNearestNeighbor(images=x, size=(3, 3), name="small")), [1, 2])


def noisy(x: Any) -> Any:
    return tf.nn.relu(x) + tf.random.uniform([1, 8], name="noise")  # no layer behind it that could hide it


def masked(x: Any, mask: Any) -> Any:
    return tf.nn.softmax(x + (1.0 - mask[:, None]) * -1e9)


def since(t: Any) -> Any:
    return tf.cast(tf.subtract(t, tf.constant(1.7e9, tf.float64), name="clock/sub"), tf.float32)


def looked_up(ids: Any) -> Any:
    return tf.reduce_mean(tf.gather(weights(8, 4), ids, name="look/up"), 1)


def small(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Any:
    return (rng.normal(0, scale, shape) + shift).astype("f")


BYTES = {"a": rng.integers(0, 100, (1, 8, 8, 1), "uint8"), "b": rng.integers(100, 255, (1, 8, 8, 1), "uint8")}
DIFFERING: dict[str, tuple[Callable[..., Any], dict[str, Any], str, str]] = {
    "seconds": (since, {"t": np.array([[1.7e9 + 0.25, 1.7e9 + 8.5]])}, "clock/sub", "float64"),
    "out_of_range": (looked_up, {"ids": np.array([[3, -1, 9]], "int32")}, "look/up", "undefined"),
    "softplus": (softplus, {"x": small(1, 32, scale=6, shift=8)}, "act/exp", "overflow"),
    "variance": (variance, {"x": small(1, 256, scale=0.05, shift=20)}, "stats/var", "precision"),
    "tiny": (tiny, {"x": small(1, 32, scale=3e-5)}, "norm/square", "underflow"),
    "hash": (hashed, {"ids": np.array([[123456, 77777]], "int64")}, "hash/mul", "integer"),
    "uint8": (moved, BYTES, "diff", "wraps"),
    "nearest": (nearest, {"x": small(1, 8, 8, 3)}, "small", "converter"),
    "noise": (noisy, {"x": small(1, 8)}, "noise/RandomUniform", "random"),
}
AGREEING = {
    "mask": (masked, {"x": small(1, 4, 8), "mask": np.array([[1, 1, 1, 1, 1, 0, 0, 0]], "f")}),
    "head": (head, {"x": small(2, 16)}),
}


def function(body: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    return tf.function(body, input_signature=[tf.TensorSpec(v.shape, v.dtype, k) for k, v in inputs.items()])


#: Whether a draw differs enough depends on the draw: on demand only.
NAMES = [pytest.param(name, marks=pytest.mark.sweep) if name == "noise" else name for name in DIFFERING]


@pytest.mark.parametrize("name", NAMES)
def test_the_op_at_fault_is_blamed_for_the_right_reason(name: str, workers: Workers) -> None:
    body, inputs, op, kind = DIFFERING[name]
    report = find(function(body, inputs), numbers=inputs, workers=workers)
    assert (report.verdict, report.exit_code, len(report.findings)) == ("differs", 1, 1)
    finding = report.findings[0]
    assert (finding.stage, finding.error_type, [c.name for c in finding.culprits]) == ("numbers", kind, [op])
    assert finding.witness.confirmed or kind == "random"
    if kind in ("overflow", "precision", "underflow"):
        assert finding.remedies[0].verified and "op_selector" in (finding.remedies[0].code or "")
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("name", AGREEING)
def test_nothing_is_said_of_a_model_that_agrees(name: str, workers: Workers) -> None:
    body, inputs = AGREEING[name]
    report = find(function(body, inputs), numbers=inputs, workers=workers)
    assert (report.verdict, report.exit_code, report.findings) == ("converts", 0, ())
    numbers = report.numbers
    assert numbers is not None and numbers.compared and numbers.precision == "float16"
    assert all((o.max_rel or 0) < 0.02 for o in numbers.outputs) and "largest difference" in str(report)


def test_several_causes_are_all_found_and_float32_is_no_cause(workers: Workers) -> None:
    import coremltools as ct

    def both(x: Any) -> Any:
        return tf.concat([softplus(x), head(tf.sqrt(tf.square(x * 100.0, name="far/square")) / 1000.0)], -1)

    inputs = {"x": small(1, 32, scale=3, shift=14)}
    report = find(function(both, inputs), numbers=inputs, workers=workers)
    assert {c.name for f in report.findings for c in f.culprits} == {"act/exp", "far/square"}
    single = find(function(both, inputs), numbers="random", workers=workers, compute_precision=ct.precision.FLOAT32)
    assert single.verdict == "converts" and single.numbers is not None and single.numbers.samples == 5


def test_a_package_made_elsewhere_is_compared(tmp_path: Path, workers: Workers) -> None:
    import coremltools as ct

    inputs = {"x": small(1, 16)}
    model = function(lambda x: head(tf.nn.relu(x)), inputs)
    other = function(lambda x: head(tf.nn.elu(x)), inputs)
    package = ct.convert([other.get_concrete_function()], source="tensorflow", skip_model_load=True)
    report = compare(model, package, inputs, workers=workers)
    assert report.verdict == "differs" and report.asked == 0
    package = ct.convert([model.get_concrete_function()], source="tensorflow", skip_model_load=True)
    package.save(str(tmp_path / "m.mlpackage"))
    assert compare(model, tmp_path / "m.mlpackage", workers=workers).verdict == "converts"


def test_a_section_is_compared_by_itself(workers: Workers) -> None:
    body, inputs, *_ = DIFFERING["nearest"]
    with Session(function(body, inputs), workers=workers) as session:
        assert (session.ops("small").compare().outputs[0].max_rel or 0) > 0.1
        assert (session.ops("Square").compare().outputs[0].max_rel or 0) < 0.01


def graph() -> Graph:
    op = Op("x", "Placeholder", (), (Tensor("x:0", "float32", (1, None)),))
    return Graph("", {"x": op})


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.zeros((1, 3), "f")}, "the model has no input y; its inputs are x"),
        ({}, "there is no array for the input x"),
        ({"x": np.zeros((2, 3), "f")}, "x is 2x3, but the model takes 1x?"),
        ({"x": np.zeros((1, 3))}, "x is float64, but the model takes float32"),
        ({"x": np.full((1, 3), np.nan, "f")}, "x holds NaN"),
        ({"x": np.array([[{}]], object)}, "holds Python objects"),
    ],
)
def test_bad_samples_are_refused_in_one_line(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(UsageError, match="^[^\n]*$") as refused:
        chosen(str(tmp_path / "s.npz"), graph(), tmp_path / "out")
    assert said in str(refused.value)


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "empty").mkdir()
    for wish, said in (
        ("s.npz", "cannot be read"),
        ("one.npy", "a single array"),
        ("none", "no such"),
        ("empty", "no .npz"),
    ):
        with pytest.raises(UsageError, match=said):
            chosen(str(tmp_path / wish), graph(), tmp_path)


@pytest.mark.parametrize("step", ["palettize4", "linear8", "prune"])
def test_what_compression_costs_is_said_layer_by_layer(step: str, workers: Workers) -> None:
    def two(x: Any) -> Any:
        y = tf.nn.relu(tf.matmul(x, weights(64, 65), name="first"))
        return tf.matmul(y, weights(65, 66), name="second")

    inputs = {"x": small(1, 64)}
    report = find(function(two, inputs), numbers=inputs, workers=workers, optimize=step, tolerance=0.08)
    assert report.verdict == "converts" and report.numbers is not None
    found = report.numbers.compression
    assert found is not None and found.total is not None and found.total > (0.001 if step == "linear8" else 0.01)
    assert {layer.op.removesuffix("_cast_fp16") for layer in found.layers} == {"first", "second"}
    assert f"{step} costs" in str(report) and Report.from_json(report.to_json()) == report


def test_an_image_is_given_as_the_pixels_that_the_program_scales(workers: Workers) -> None:
    import coremltools as ct

    model = function(lambda image: tf.reduce_mean(tf.nn.relu(image), [1, 2]), {"image": small(1, 8, 8, 3)})
    image = ct.ImageType(name="image", shape=(1, 8, 8, 3), scale=1 / 127.5, bias=[-1.0, -1.0, -1.0])
    report = find(model, numbers="random", workers=workers, inputs=[image])
    assert report.verdict == "converts" and report.numbers is not None and report.numbers.compared, str(report)


def test_a_tie_is_nobodys_fault(workers: Workers) -> None:
    x = np.ones((1, 16), "f") + np.linspace(0, 1e-4, 16, dtype="f")[None]
    report = find(function(lambda x: tf.argmax(x, -1, tf.int32), {"x": x}), numbers={"x": x}, workers=workers)
    assert report.verdict == "converts" and report.numbers is not None and report.numbers.not_compared
    assert "takes for equal" in " ".join(str(report).split())


def test_a_few_pixels_may_be_off_by_one_and_an_index_may_not() -> None:
    pixels = np.arange(200, dtype="uint8")
    near = pixels.copy()
    near[7] += 1
    assert agree(near, pixels, 0.02) and not agree(near + 1, pixels, 0.02)
    assert not agree(np.int32([41]), np.int32([40]), 0.02)


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        ("other_weights", "something else in float32 too"),
        ("other_size", "[2, 4] in the model and [2, 3] as converted"),
    ],
)
def test_a_package_of_something_else_is_told_to_be_one(
    made_of: str, said: str, tmp_path: Path, workers: Workers
) -> None:
    import coremltools as ct

    inputs = {"x": small(2, 16)}
    other = {
        "other_weights": lambda x: tf.matmul(x, weights(x.shape[-1], 4) + 0.3, name="head"),
        "other_size": lambda x: tf.matmul(x, weights(x.shape[-1], 3), name="head"),
    }[made_of]
    package = tmp_path / "other.mlpackage"
    function_of_other = function(other, inputs).get_concrete_function()
    ct.convert([function_of_other], source="tensorflow", skip_model_load=True).save(str(package))
    report = compare(function(head, inputs), package, inputs, workers=workers)
    (finding,) = report.findings
    assert report.verdict == "differs" and finding.error_type == "package"
    assert finding.cause == "the package is no conversion of this model" and said in finding.error_message
    assert "infinit" not in str(report)


def test_a_package_that_lacks_an_output_is_told_to_be_of_something_else(tmp_path: Path, workers: Workers) -> None:
    import coremltools as ct

    def both(x: Any) -> Any:
        return {"kept": tf.tanh(x), "lost": 2.0 * x}

    inputs, package = {"x": small(2, 16)}, tmp_path / "one.mlpackage"
    one = function(lambda x: {"kept": tf.tanh(x)}, inputs).get_concrete_function()
    ct.convert([one], source="tensorflow", skip_model_load=True).save(str(package))
    report = compare(function(both, inputs), package, inputs, workers=workers)
    assert (
        report.verdict == "differs" and "is no output of what it was converted to" in report.findings[0].error_message
    )


def test_a_list_that_grows_and_comes_out_empty_is_told_where_it_is_stacked(workers: Workers) -> None:
    def grown(x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=(1, 4))
        turn = lambda i, rows: (i + 1, rows.write(i, x * tf.cast(i + 1, tf.float32)))  # noqa: E731
        return tf.while_loop(lambda i, rows: i < 5, turn, [0, rows])[1].stack()

    report = find(function(grown, {"x": small(1, 4)}), numbers="random", workers=workers)
    (finding,) = report.findings
    assert (report.verdict, finding.error_type) == ("differs", "converter")
    assert [c.op for c in finding.culprits] == ["TensorListStack"]
    assert finding.error_message.endswith("is [5, 1, 4] in the model and [0, 1, 4] as converted")


@pytest.mark.parametrize("picks", [False, True])
def test_a_constant_without_a_number_is_named_and_no_reader_is_blamed(picks: bool, workers: Workers) -> None:
    offset = np.array([0.0, np.nan, 0.0], "f")

    def shifted(x: Any) -> Any:
        made = tf.add(x, tf.constant(offset, name="offset"))
        return tf.nn.softmax(made) if picks else made

    inputs = {"x": small(1, 3)}
    report = find(function(shifted, inputs), numbers=inputs, workers=workers)
    assert (report.verdict, report.findings) == ("converts", ())
    assert report.numbers is not None and "whose constant offset holds NaN" in report.numbers.not_compared[0]
