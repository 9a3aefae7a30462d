"""The evaluator from two sides: what TensorFlow computes, and what coremltools infers itself."""

from __future__ import annotations

import runpy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from evaluator.converted import assert_equal, convert
from hypothesis import given, settings
from hypothesis import strategies as st

from bisect_convert.evaluator import Unevaluated, evaluate, program_of, run
from bisect_convert.evaluator.kernels import KERNELS
from bisect_convert.evaluator.mil_ops import missing
from bisect_convert.evaluator.rounding import half

rng = np.random.default_rng(3)
ROOT = Path(__file__).parents[2]


def drawn(*shape: int, scale: float = 1.0) -> Any:
    return rng.normal(0, scale, shape).astype("f")


MATRIX = {"x": drawn(3, 8), "y": drawn(3, 8) + 0.1}
IMAGE = {"x": drawn(2, 8, 6, 4)}
SEQUENCE = {"x": drawn(2, 7, 5)}


def test_elementwise() -> None:
    unary = ["abs", "ceil", "cos", "erf", "exp", "floor", "negative", "round", "sign", "sin", "square", "tan", "tanh",
             "sinh", "cosh", "atan"]  # fmt: skip
    functions: dict[str, Any] = {name: partial(lambda f, x, y: f(x), getattr(tf.math, name)) for name in unary}
    functions |= {
        "log": lambda x, y: tf.math.log(tf.abs(x) + 0.1), "sqrt": lambda x, y: tf.sqrt(tf.abs(x)),
        "rsqrt": lambda x, y: tf.math.rsqrt(tf.abs(x) + 1), "recip": lambda x, y: 1.0 / y,
        "asin": lambda x, y: tf.asin(x / 10), "acos": lambda x, y: tf.acos(x / 10), "atanh": lambda x, y: tf.atanh(x / 10),
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
        "pow": lambda x, y: tf.pow(tf.abs(x), y), "max": tf.maximum, "min": tf.minimum, "mod": tf.math.floormod,
        "floordiv": tf.math.floordiv, "less": lambda x, y: tf.cast(x < y, tf.float32),
        "and": lambda x, y: tf.cast(tf.logical_and(x < y, x > 0), tf.int32), "where": lambda x, y: tf.where(x > y, x, y),
        "cast": lambda x, y: tf.cast(x * 10, tf.int32), "clip": lambda x, y: tf.clip_by_value(x, -0.5, 0.5),
    }  # fmt: skip
    assert_equal(functions, MATRIX)


def test_activations_and_products() -> None:
    nn = tf.nn
    functions: dict[str, Any] = {
        "relu": lambda x, y: nn.relu(x), "relu6": lambda x, y: nn.relu6(x), "elu": lambda x, y: nn.elu(x),
        "leaky": lambda x, y: nn.leaky_relu(x, 0.3), "sigmoid": lambda x, y: tf.sigmoid(x), "silu": lambda x, y: nn.silu(x),
        "softplus": lambda x, y: nn.softplus(x), "softsign": lambda x, y: nn.softsign(x),
        "softmax": lambda x, y: nn.softmax(x), "gelu_t": lambda x, y: nn.gelu(x, True),
        "matmul": lambda x, y: tf.matmul(x, y, transpose_b=True), "dense": lambda x, y: tf.matmul(x, drawn(8, 5)) + drawn(5),
        "einsum": lambda x, y: tf.einsum("ab,cb->ac", x, y), "log_softmax": lambda x, y: nn.log_softmax(x),
        "cumsum": lambda x, y: tf.cumsum(x, 1, exclusive=True), "band": lambda x, y: tf.linalg.band_part(x, 1, 0),
        "topk": lambda x, y: tf.math.top_k(x, 3)[0], "topk_at": lambda x, y: tf.math.top_k(x, 3)[1],
        "argsort": lambda x, y: tf.argsort(x), "selu": lambda x, y: nn.selu(x), "lse": lambda x, y: tf.reduce_logsumexp(x, 1),
        "l2": lambda x, y: nn.l2_normalize(x, 1), "onehot": lambda x, y: tf.one_hot(tf.cast(tf.abs(x) * 2, tf.int32), 5),
    }  # fmt: skip
    assert_equal(functions, MATRIX, 1e-4)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=2, unique=True), st.booleans())
def test_reductions(axes: list[int], keep: bool) -> None:
    kinds = ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"]
    functions: dict[str, Any] = {k: partial(getattr(tf, k), axis=axes, keepdims=keep) for k in kinds}
    functions["argmax"] = lambda x: tf.argmax(x, axes[0], tf.int32)
    functions["argmin"] = lambda x: tf.argmin(x, axes[0], tf.int32)
    functions["norm"] = lambda x: tf.norm(x, axis=axes[0], keepdims=keep)
    assert_equal(functions, SEQUENCE, 1e-4)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.sampled_from(["SAME", "VALID"]), st.integers(5, 9))
def test_convolution_and_pooling(size: int, stride: int, dilation: int, padding: str, side: int) -> None:
    x = drawn(2, side, side + 1, 4)
    w, d, t = drawn(size, size, 4, 6), drawn(size, size, 4, 2), drawn(size, size, 6, 4)
    dilation = dilation if stride == 1 else 1
    shape = [2, side * stride, (side + 1) * stride, 6]
    functions: dict[str, Any] = {
        "conv": lambda x: tf.nn.conv2d(x, w, stride, padding, dilations=dilation),
        "depthwise": lambda x: tf.nn.depthwise_conv2d(x, d, [1, stride, stride, 1], padding, dilations=[dilation] * 2),
        "max": lambda x: tf.nn.max_pool2d(x, size, stride, padding),
        "avg": lambda x: tf.nn.avg_pool2d(x, size, stride, padding),
        "conv1": lambda x: tf.nn.conv1d(x[:, 0], drawn(size, 4, 3), stride, padding),
        "lrn": lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 0.5, 0.75),
    }  # fmt: skip
    if size >= stride:
        functions["transpose"] = lambda x: tf.nn.conv2d_transpose(x, t, shape, stride, "SAME")
    assert_equal(functions, {"x": x}, 1e-3)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.sampled_from([(2, 2), (2, 3), (1, 2)]))
def test_images(scale: tuple[int, int]) -> None:
    sizes = 8 * scale[0], 6 * scale[1]
    raw = tf.raw_ops
    functions: dict[str, Any] = {
        "half": lambda x: raw.ResizeBilinear(images=x, size=sizes, half_pixel_centers=True),
        "align": lambda x: raw.ResizeBilinear(images=x, size=sizes, align_corners=True),
        "plain": lambda x: raw.ResizeBilinear(images=x, size=sizes),
        "near": lambda x: raw.ResizeNearestNeighbor(images=x, size=sizes),
        "d2s": lambda x: tf.nn.depth_to_space(x, 2), "s2d": lambda x: tf.nn.space_to_depth(x, 2),
        "s2b": lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]]),
        "mirror": lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "REFLECT"),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=3.0),
        "norm": lambda x: tf.nn.batch_normalization(x, drawn(4), np.ones(4, "f"), drawn(4), drawn(4), 1e-3),
    }  # fmt: skip
    assert_equal(functions, IMAGE, 1e-4)


def test_shapes_and_places() -> None:
    at = np.array([[0, 2], [1, 3]])
    functions: dict[str, Any] = {
        "reshape": lambda x: tf.reshape(x, [2, -1]), "transpose": lambda x: tf.transpose(x, [2, 0, 1]),
        "slice": lambda x: x[:, 1:-1:2], "back": lambda x: x[:, ::-1], "one": lambda x: x[:, 2],
        "size": lambda x: tf.slice(x, [0, 1, 2], [2, 3, -1]),
        "split": lambda x: tf.split(x, [2, 5], 1)[1], "stack": lambda x: tf.stack([x, x * 2], 1),
        "concat": lambda x: tf.concat([x, x], 2),
        "tile": lambda x: tf.tile(x, [1, 2, 3]), "expand": lambda x: x[:, None], "squeeze": lambda x: tf.squeeze(x[:1], 0),
        "gather": lambda x: tf.gather(x, [2, 0], axis=1), "gather_nd": lambda x: tf.gather_nd(x, at),
        "scatter": lambda x: tf.tensor_scatter_nd_add(x, at, x[:, 0]),
        "reverse": lambda x: tf.reverse_sequence(x, [3, 7], 1, 0),
        "scattered": lambda x: tf.scatter_nd(at, x[:, 0], [2, 7, 5]), "fill": lambda x: x + tf.fill([7, 5], 2.0),
        "batch": lambda x: tf.gather(x, [[1, 2], [3, 0]], axis=1, batch_dims=1),
        "range": lambda x: x + tf.cast(tf.range(5), tf.float32), "where": lambda x: tf.cast(tf.where(x[0] > 0), tf.int32),
    }  # fmt: skip
    assert_equal(functions, SEQUENCE)
    import coremltools as ct

    del functions["where"]
    assert_equal(functions, SEQUENCE, minimum_deployment_target=ct.target.iOS17)


def test_loops_conditionals_and_lists() -> None:
    def loop(x: Any) -> Any:
        return tf.while_loop(lambda n, v: tf.reduce_sum(v) < 100.0, lambda n, v: (n + 1, v * 1.5 + 1.0), (0, x))[1]

    def listed(x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, 7, element_shape=(2, 5))
        return tf.while_loop(
            lambda n, r: n < 7, lambda n, r: (n + 1, r.write(n, x[:, n] * tf.cast(n, tf.float32))), (0, rows)
        )[1].stack()

    assert_equal({"loop": loop}, SEQUENCE, 1e-4)
    assert_equal({"list": listed}, SEQUENCE)
    assert_equal({"cond": lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x + 1.0, lambda: x - 1.0)}, SEQUENCE)


def test_compressed_weights_are_what_they_stand_for() -> None:
    import coremltools.optimize as cto

    w = drawn(64, 64)
    x = drawn(4, 64)
    model, concrete = convert(lambda x: tf.matmul(x, w), {"x": x})
    wanted = np.asarray(concrete(tf.constant(x)))
    steps = {
        "linear": lambda m: cto.coreml.linear_quantize_weights(m, cto.coreml.OptimizationConfig(
            cto.coreml.OpLinearQuantizerConfig(weight_threshold=0))),
        "prune": lambda m: cto.coreml.prune_weights(m, cto.coreml.OptimizationConfig(
            cto.coreml.OpMagnitudePrunerConfig(target_sparsity=0.1, weight_threshold=0))),
        "palette": lambda m: cto.coreml.palettize_weights(m, cto.coreml.OptimizationConfig(
            cto.coreml.OpPalettizerConfig(mode="uniform", nbits=8, weight_threshold=0))),
    }  # fmt: skip
    for name, step in steps.items():
        got = evaluate(step(model), {"x": x})["Identity"]
        assert 0 < np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max(), name


def test_float16_is_rounded_and_a_saved_package_is_read(tmp_path: Path) -> None:
    model, concrete = convert(lambda x: tf.reduce_sum(x * 1000.0, 1), {"x": np.ones((1, 640), "f")})
    x = np.ones((1, 640), "f")
    assert np.isinf(evaluate(model, {"x": x})["Identity"])
    model.save(str(tmp_path / "m.mlpackage"))
    assert evaluate(str(tmp_path / "m.mlpackage"), {"x": x}, "float32")["Identity"] == pytest.approx(640000)
    assert half(np.float32([70000, 1e-9])).tolist() == [np.inf, 0]


def test_what_has_no_evaluation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = convert(lambda x: tf.nn.relu(x), {"x": drawn(1, 3)})
    monkeypatch.delitem(KERNELS, "relu")
    with pytest.raises(Unevaluated, match="no evaluation of `relu`"):
        evaluate(model, {"x": drawn(1, 3)})
    with pytest.raises(ValueError, match="no value for the input x"):
        run(program_of(convert(lambda x: tf.nn.elu(x), {"x": drawn(1, 3)})[0]), {})


def test_a_value_of_another_size_than_declared_is_none_to_go_by() -> None:
    """coremltools gives a choice the shape of its values, also where the condition is larger."""
    given = {"x": np.ones((1, 3), "f")}
    model, _ = convert(lambda x: tf.where(np.eye(4, 3) > 0, x, 2.0), given)
    with pytest.raises(Unevaluated, match="declared as"):
        evaluate(model, given)


def test_what_coremltools_infers_itself() -> None:
    from coremltools.converters.mil.mil import Builder as mb

    x, n, small = drawn(3, 4), np.arange(12).reshape(3, 4).astype("int32"), np.abs(drawn(3, 4)) / 9 + 0.1

    @mb.program(input_specs=[mb.TensorSpec((1,))])
    def program(unused: Any) -> Any:
        one = [getattr(mb, name)(x=small) for name in (
            "abs", "acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "exp", "exp2", "floor", "round", "sign", "sin",
            "sinh", "sqrt", "square", "tan", "tanh", "erf", "log", "rsqrt", "inverse", "relu", "relu6", "silu", "softplus",
            "softsign", "sigmoid", "identity", "non_zero", "shape")]  # fmt: skip
        two = [getattr(mb, name)(x=n, y=n.T.reshape(3, 4) + 1) for name in (
            "add", "sub", "mul", "floor_div", "mod", "maximum", "minimum", "equal", "not_equal", "greater", "less",
            "greater_equal", "less_equal")]  # fmt: skip
        reduced = [getattr(mb, f"reduce_{k}")(x=small, axes=[1], keep_dims=True) for k in (
            "sum", "mean", "max", "min", "prod", "l1_norm", "l2_norm", "log_sum", "log_sum_exp", "sum_square")]  # fmt: skip
        more = [
            mb.clip(x=x, alpha=-0.5, beta=0.5), mb.threshold(x=x, alpha=0.1), mb.leaky_relu(x=x, alpha=0.2),
            mb.elu(x=x, alpha=0.7), mb.clamped_relu(x=x, alpha=0.2, beta=0.4), mb.sigmoid_hard(x=x, alpha=0.3, beta=0.4),
            mb.scaled_tanh(x=x, alpha=0.3, beta=0.4), mb.linear_activation(x=x, alpha=2.0, beta=1.0),
            mb.thresholded_relu(x=x.copy(), alpha=0.3),  # which coremltools computes in place
            mb.gelu(x=x), mb.gelu(x=x, mode="TANH_APPROXIMATION"),
            mb.softmax(x=x, axis=0), mb.transpose(x=x, perm=[1, 0]), mb.expand_dims(x=x, axes=[0, -1]),
            mb.reshape(x=x, shape=[2, 6]), mb.reverse(x=x, axes=[1]), mb.tile(x=x, reps=[2, 1]),
            mb.band_part(x=x, lower=1, upper=0),
            mb.one_hot(indices=np.int32([0, 2]), one_hot_vector_size=3),
            mb.range_1d(start=1, end=9, step=3), mb.gather(x=x, indices=[2, 0], axis=0),
            mb.gather_along_axis(x=x, indices=np.int32([[0, 1, 2, 1]]), axis=0), mb.concat(values=[x, x], axis=1),
            mb.stack(values=[x, x], axis=1), mb.slice_by_index(x=x, begin=[2, 0], end=[0, 4], stride=[-1, 2]),
            mb.slice_by_size(x=x, begin=[1, 0], size=[-1, 2]), mb.pad(x=x, pad=[1, 0, 2, 1], mode="reflect"),
            mb.layer_norm(x=x, axes=[1], gamma=drawn(4), beta=drawn(4)), mb.select(cond=x > 0, a=x, b=small),
            mb.logical_not(x=x > 0), mb.logical_xor(x=x > 0, y=x > 1), mb.cast(x=x * 9, dtype="int32"),
            mb.matmul(x=x, y=x, transpose_y=True), mb.pow(x=small, y=x), mb.real_div(x=x, y=small),
            mb.reduce_argmax(x=x, axis=1), mb.reduce_argmin(x=x, axis=0, keep_dims=True), mb.flatten2d(x=x, axis=1),
            mb.sliding_windows(x=x, axis=1, size=2), mb.linear(x=x, weight=drawn(5, 4), bias=drawn(5)),
        ]  # fmt: skip
        return [mb.identity(x=v, name=f"o{k}") for k, v in enumerate([*one, *two, *reduced, *more])]

    block = program.functions["main"]
    got = run(program, {"unused": np.zeros(1, "f")})
    inferred = {var.name: var.val for var in block.outputs if var.val is not None}
    assert len(inferred) > 60
    for name, value in inferred.items():
        where = next(v.op.x.op.op_type for v in block.outputs if v.name == name)
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=where)


def test_every_op_of_an_ml_program_is_there_or_named_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    absent = missing()
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in absent) and len(absent) <= 1
    runpy.run_path(str(ROOT / "scripts" / "list-mil-ops"), run_name="__main__")
    assert f"missing {absent[0]}" in capsys.readouterr().out
