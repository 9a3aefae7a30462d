"""Edits of graphs made for the purpose: complex constants, segments, boxes of equal score; and what no sum of edits may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.arguments.packing import pack
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.evaluator import evaluate
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers
from bisect_convert.report.fix import Fix
from bisect_convert.worker.rewrite.bits import sign_bit
from bisect_convert.worker.rewrite.checks import left_out
from bisect_convert.worker.rewrite.difference import Agreement
from bisect_convert.worker.rewrite.editing import RESULT
from bisect_convert.worker.rewrite.edits import Edit, recipe_function
from bisect_convert.worker.rewrite.fixing import Fixed
from bisect_convert.worker.rewrite.loops import bridged

Made = Callable[[Any], Any]


def fix_of(make: Made, path: Path, workers: Workers, shape: tuple[int, ...], dtype: Any = tf.float32) -> Fix:
    with tf.Graph().as_default() as graph:
        tf.identity(make(tf.compat.v1.placeholder(dtype, shape, name="x")), name="y")
    path.write_bytes(tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["y"]).SerializeToString())
    fix = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=None)).fix
    assert fix is not None
    return fix


def filtered(x: Any) -> Any:
    taps = tf.constant((np.arange(64).reshape(8, 8) % 5 + 1j).astype(np.complex64))
    return tf.abs(tf.signal.ifft2d(tf.signal.fft2d(tf.cast(x, tf.complex64)) * taps))


def pooled(ids: Any) -> Any:
    return tf.math.segment_sum(tf.constant(np.eye(6, 3, dtype=np.float32)), ids)


def suppressed(x: Any) -> Any:
    boxes = tf.reshape(tf.sort(tf.sigmoid(x), -1), [1, 6, 1, 4])
    scores = tf.fill([1, 6, 2], 0.5) + 0.0 * x[None, :, :2]  # all are equal: which comes first is open
    return tf.image.combined_non_max_suppression(boxes, scores, 3, 4)[1]


def negative(x: Any) -> Any:
    bits = tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), -(2**31))
    return tf.where(bits < 0, 2.0 * x, tf.sqrt(x + 1.0))


def turned(x: Any) -> Any:
    """Complex numbers from turn to turn, with a complex constant."""
    by = tf.constant(np.exp(1j * np.arange(8)).astype(np.complex64))
    z = tf.while_loop(lambda i, z: i < 6, lambda i, z: (i + 1, z * by), (0, tf.complex(x, 0.0 * x)))[1]
    return tf.math.real(z) + 2.0 * tf.math.imag(z)


def decoded(x: Any) -> Any:
    """A row that grows until a certain class comes, as autograph writes a `break`."""
    table = tf.constant(np.sin(np.arange(40.0)).reshape(5, 8).astype(np.float32))

    def further(i: Any, row: Any, go_on: Any) -> Any:
        best = tf.argmax(tf.math.erfc(x + tf.reduce_mean(tf.gather(table, row), 1))[:, :5], -1, output_type=tf.int32)
        found = tf.reduce_all(tf.equal(best, 3))
        return i + 1, tf.concat([row, best[:, None]], 1), tf.cond(found, lambda: tf.constant(False), lambda: go_on)

    started = (0, tf.zeros([1, 1], tf.int32), tf.constant(True))
    sizes = (tf.TensorShape([]), tf.TensorShape([1, None]), tf.TensorShape([]))
    return tf.while_loop(lambda i, row, go_on: tf.logical_and(i < 6, go_on), further, started, shape_invariants=sizes)[
        1
    ]


def picked(x: Any) -> Any:
    """What is put into a list is padded to a size that the converter does not see."""
    boxes = tf.sort(tf.sigmoid(x), -1)

    def best(scores: Any) -> Any:
        at = tf.image.non_max_suppression(boxes, scores, 3, 0.5)
        return tf.pad(tf.gather(scores, at), [[0, 3 - tf.shape(at)[0]]])

    return tf.map_fn(best, tf.transpose(x)[:2], fn_output_signature=tf.TensorSpec([3]))


def slope(x: Any) -> Any:
    """Forces, as a potential makes them."""
    (made,) = tf.gradients(tf.reduce_sum(tf.tanh(x[:, 1:]) * tf.sigmoid(x[:, :-1])), [x])
    return made


def masked(x: Any) -> Any:
    """A truth that a conditional makes of unlike sizes, read twice, as in attention in windows."""
    m = x > 0
    more, some = tf.reduce_max(tf.reduce_sum(tf.cast(m, tf.int32), -1)), tf.reduce_any(m)
    mask = tf.cond(some, lambda: tf.tile(m[:, :, None], [1, 1, 4 + more]), lambda: tf.tile(m[:, :, None], [1, 1, 4]))
    y = tf.tile(x[:, :, None], [1, 1, 4])
    y = tf.cond(some, lambda: tf.concat([tf.zeros(tf.stack([1, 8, more])), y], -1), lambda: y)
    return tf.reduce_sum(tf.where(mask, tf.zeros(tf.shape(mask)), tf.nn.softmax(y)), -1)


def guarded(x: Any) -> Any:
    """A branch that stops the model on bad values, with a text."""

    def one() -> Any:
        with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[0], tf.size(x) // 8, message="unlike")]):
            return tf.identity(x) * 2.0

    return tf.cond(tf.reduce_sum(x) > 0, one, lambda: x)


def uneven(x: Any) -> Any:
    """Rows of other numbers in each turn of a loop, joined."""
    ends = tf.constant([0, 1, 4, 6])
    rows = tf.TensorArray(tf.float32, 3, infer_shape=False, element_shape=[None, 4])
    turn = lambda i, rows: (i + 1, rows.write(i, tf.sin(x[ends[i] : ends[i + 1]])))  # noqa: E731
    return tf.while_loop(lambda i, _: i < 3, turn, (0, rows))[1].concat()


def likely(x: Any) -> Any:
    """A density in float64, as tensorflow_probability computes it."""
    y = tf.math.softplus(tf.cast(x, tf.float64)) + 0.5
    return tf.cast(tf.math.lgamma(y) - tf.math.lgamma(y + 0.5) + tf.math.digamma(y), tf.float32)


def heard(x: Any) -> Any:
    return tf.math.erfc(tf.cast(x, tf.float32) / 32768.0)


def weighed(x: Any) -> Any:
    """An embedding of sparse rows, some of them empty, and of another shape."""
    ids = tf.sparse.reshape(tf.sparse.from_dense(tf.cast(x, tf.int64)), [2, 6])
    table = tf.constant(np.sin(np.arange(40.0)).reshape(10, 4).astype(np.float32))
    return tf.nn.safe_embedding_lookup_sparse([table], ids, combiner="mean")


def orthogonal(x: Any) -> Any:
    _, u, v = tf.linalg.svd(x)
    return tf.matmul(u, v, transpose_b=True)


@pytest.mark.parametrize(
    "make, shape, dtype, recipes",
    [
        (turned, (1, 8), tf.float32, {"in_parts", "Mul__complex64", "parts_taken"}),
        (decoded, (1, 8), tf.float32, {"both_branches", "Erfc"}),
        (guarded, (None, 8), tf.float32, {"left_out"}),
        (picked, (6, 4), tf.float32, {"sized_item"}),
        (slope, (1, 6), tf.float32, {"StridedSliceGrad", "TanhGrad"}),
        (negative, (3, 5), tf.float32, {"sign_bit"}),
        (filtered, (1, 8, 8), tf.float32, {"ComplexAbs", "FFT2D", "IFFT2D", "Mul__complex64"}),
        (pooled, (6,), tf.int32, {"SegmentSum"}),
        (suppressed, (6, 4), tf.float32, {"CombinedNonMaxSuppression"}),
        (uneven, (6, 4), tf.float32, {"unrolled", "TensorListConcatV2"}),
        (likely, (2, 5), tf.float32, {"Lgamma", "Digamma"}),
        (heard, (1, 16), tf.int16, {"island", "Erfc"}),
        (weighed, (2, 3, 2), tf.int32, {"SparseReshape", "SparseFillEmptyRows"}),
    ],
)
def test_it_converts_and_computes_the_same(
    make: Made, shape: tuple[int, ...], dtype: Any, recipes: set[str], workers: Workers, tmp_path: Path
) -> None:
    fix = fix_of(make, tmp_path / "net.pb", workers, shape, dtype)
    assert fix.converted, fix.reasons
    assert recipes <= {edit.recipe for edit in fix.edits}
    told = make not in (
        picked,
        slope,
        uneven,
        heard,
        weighed,
        guarded,
    )  # lists, sizes and inputs are not compared where they are
    seen = [edit.equal for edit in fix.edits if told]
    assert all(equal is not None and equal.max_rel is not None and equal.max_rel <= 1e-6 for equal in seen), fix.edits
    assert fix.agreement is None if make is suppressed else fix.agreement is not None and fix.agreement.max_rel <= 1e-6


def test_a_truth_that_two_ops_read_is_read_by_one_that_changes_nothing() -> None:
    with tf.Graph().as_default() as graph:
        masked(tf.compat.v1.placeholder(tf.float32, (1, 8), name="x"))
    program = graph.as_graph_def()
    made = bridged(program, "cond")
    kinds = [n.op for n in made.node if "cond" in n.input]
    assert kinds == ["LogicalNot"] and [n.op for n in program.node if "cond" in n.input] != kinds


def test_vectors_of_either_sign_stand_where_the_whole_is_the_same(workers: Workers, tmp_path: Path) -> None:
    fix = fix_of(orthogonal, tmp_path / "net.pb", workers, (2, 3, 3))
    assert fix.converted, fix.reasons
    assert [edit.recipe for edit in fix.edits] == ["Svd"]
    assert fix.agreement is not None and fix.agreement.max_rel is not None and fix.agreement.max_rel <= 1e-4


def test_pixels_that_are_handed_on_block_no_edit_of_what_stands_beside_them(workers: Workers, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.uint8, (1, 4, 4, 3), name="pixels")
        tf.identity(pixels, name="seen")
        tf.cast(255.0 * tf.math.erfc(tf.cast(pixels, tf.float32)), tf.uint8, name="made")
    (path := tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    fix = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=None)).fix
    assert fix is not None and fix.converted, fix and fix.reasons
    assert {"Erfc", "island"} <= {edit.recipe for edit in fix.edits}


def test_a_table_of_class_names_makes_a_classifier(workers: Workers, tmp_path: Path) -> None:
    names = ["cat", "dog's", "b\u00e4r", "cow"]
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (1, 4), name="x")
        tf.nn.softmax(x, name="scores")
        tf.identity(tf.gather(tf.constant(names), tf.argmax(x, -1)), name="label")
    (path := tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    place = destination(str(tmp_path / "net.mlpackage"), {})
    fix = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None and fix.converted and fix.verified, fix and fix.reasons
    assert [edit.recipe for edit in fix.edits] == ["as_classifier"] and not fix.moved
    description = ct.models.MLModel(str(place.path), skip_model_load=True).get_spec().description
    assert (description.predictedFeatureName, description.predictedProbabilitiesName) == ("label", "label_probs")
    assert "b\\xe4r" in place.script.read_text()


@pytest.mark.parametrize("sizes", [None, (1, 5)])
def test_a_fixed_batch_is_asked_for_where_an_edit_needs_it(
    sizes: tuple[int, int] | None, workers: Workers, tmp_path: Path
) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 5), name="x")
        tf.identity(tf.math.cumprod(x, 0), name="y")
    (path := tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    given = pack({"inputs": [ct.TensorType("x", sizes)]}) if sizes else {}
    fix = find_packed(path, given, Wishes(), workers, fixing=partial(fixed, destination=None)).fix
    assert fix is not None and fix.converted == bool(sizes)
    assert sizes or fix.reasons[0] == "it converts with a fixed batch: --input x:1x5"
    assert not any("Error:" in reason.partition("still ends with")[0] for reason in fix.reasons)


def test_a_list_that_grows_from_nothing_is_given_whole(workers: Workers, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (5, 3), name="x")
        rows = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[3])
        rows = tf.while_loop(lambda i, r: i < 5, lambda i, r: (i + 1, r.write(i, tf.sin(x[i]))), (0, rows))[1]
        tf.identity(rows.stack(), name="y")
    kept = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["y"])
    (path := tmp_path / "net.pb").write_bytes(kept.SerializeToString())
    place = destination(str(tmp_path / "net.mlpackage"), {})
    fix = find_packed(path, {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None and fix.converted and "grown" in {edit.recipe for edit in fix.edits}
    x = np.random.default_rng(1).normal(size=(5, 3)).astype("f")
    np.testing.assert_allclose(evaluate(place.path, {"x": x}, precision="float32")["y"], np.sin(x), atol=1e-3)


def test_a_branch_that_a_condition_hangs_on_is_no_check() -> None:
    with tf.Graph().as_default() as graph:
        flag = tf.compat.v1.placeholder(tf.bool, [], name="flag")
        tf.identity(tf.identity(flag, name="seen"), name=f"{RESULT}0")
    with pytest.raises(ValueError, match="a result hangs on it"):
        left_out(graph.as_graph_def(), "seen")


def test_edits_that_are_not_equal_as_a_whole_are_no_fix() -> None:
    done = Fixed(None, None)
    assert done.differs(None) is None and done.differs(Agreement(1e-5, 1e-5, 4)) is None
    assert "something else" in (done.differs(Agreement(2.0, 1.1, 4)) or "")
    own = Fixed(None, None, edits=[Edit((), "a", "Relu", "mine", function=tf.nn.relu)])
    assert own.differs(Agreement(2.0, 1.1, 4)) is None


@pytest.mark.parametrize("number", [-2.0, -0.0, 0.0, 1e-30, -1e-30, 5.0, float("inf"), float("-inf")])
def test_the_sign_bit_of_a_float(number: float) -> None:
    with tf.Graph().as_default() as graph:
        tf.identity(
            tf.bitwise.bitwise_and(tf.bitcast(tf.constant([number]), tf.int32, name="bits"), -(2**31)), name="y"
        )
    made = sign_bit(graph.as_graph_def(), "bits")
    with tf.Graph().as_default() as edited:
        tf.import_graph_def(made, name="")
    assert not [op for op in edited.get_operations() if op.type == "Bitcast" and op.outputs[0].consumers()]
    with tf.compat.v1.Session(graph=edited) as session:
        assert session.run("y:0").tolist() == [-(2**31) if np.signbit(np.float32(number)) else 0]


def test_more_than_the_sign_bit_is_left_as_it_is() -> None:
    with tf.Graph().as_default() as graph:
        tf.bitwise.bitwise_and(tf.bitcast(tf.constant([1.0]), tf.int32, name="bits"), 255)
    with pytest.raises(ValueError, match="more is read"):
        sign_bit(graph.as_graph_def(), "bits")


@pytest.mark.parametrize("start", [[0, 0], [1, 2], [2, 9], [-4, 3]])
def test_a_slice_is_put_where_the_update_says_or_as_far_as_it_fits(start: list[int]) -> None:
    x, update = np.arange(24, dtype="f").reshape(4, 6), -np.ones((2, 3), "f")
    first = np.clip(start, 0, [2, 3])
    expected = x.copy()
    expected[first[0] : first[0] + 2, first[1] : first[1] + 3] = update
    made = recipe_function("XlaDynamicUpdateSlice")(tf.constant(x), tf.constant(update), tf.constant(start))
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("how", [{}, {"half_pixel_centers": True}, {"align_corners": True}])
@pytest.mark.parametrize("size", [(17, 40), (5, 1), (32, 9)])
def test_bilinear_resizing_by_matrices_of_the_size_at_hand(size: tuple[int, int], how: dict[str, bool]) -> None:
    x = np.random.default_rng(0).random((2, 17, 23, 3)).astype("f")
    kept = {"align_corners": False, "half_pixel_centers": False, **how}
    expected = tf.raw_ops.ResizeBilinear(images=x, size=size, **kept)
    made = tf.function(
        lambda image: recipe_function("ResizeBilinear__const")(image, tf.constant(size), **kept),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )(x)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_a_recipe_states_how_far_it_may_be_off() -> None:
    assert Edit((), "a", "ResizeBilinear", "ResizeBilinear__const").tolerance == 1e-5
    assert Edit((), "a", "Erfc", "Erfc").tolerance == 0.0
