"""Matrices: what is eliminated takes the largest pivots, and is compared though TensorFlow raises on some of the samples."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import evaluate
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers
from bisect_convert.recipes.linear import MatrixDeterminant, MatrixInverse, MatrixSolve

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("size", [3, 6])
def test_a_matrix_without_numbers_on_its_diagonal_is_eliminated_exactly(size: int) -> None:
    turned = np.stack([np.roll(np.eye(size), n, 0) for n in range(1, size)]).astype("f")
    right = RNG.normal(size=(size - 1, size, 2)).astype("f")
    np.testing.assert_array_equal(MatrixInverse(tf.constant(turned), adjoint=False), np.linalg.inv(turned))
    np.testing.assert_allclose(MatrixDeterminant(tf.constant(turned)), np.linalg.det(turned), rtol=1e-6)
    solved = MatrixSolve(tf.constant(turned), tf.constant(right), adjoint=False)
    np.testing.assert_array_equal(solved, np.linalg.inv(turned) @ right)
    assert MatrixDeterminant(tf.zeros([size, size])) == 0.0


def test_an_inverse_is_compared_on_the_samples_that_tensorflow_takes(tmp_path: Path, workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec([2, 3, 3], name="x")])
    def call(x: Any) -> Any:
        return {"y": tf.linalg.inv(x) * 2.0}

    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=call)
    place = destination(str(tmp_path / "out.mlpackage"), {})
    fix = find_packed(tmp_path / "model", {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None and fix.converted and fix.agreement is not None
    (edit,) = fix.edits
    assert edit.equal is not None and edit.equal.samples >= 3 and edit.caution is None
    x = np.stack([np.roll(np.eye(3), 1, 0), np.roll(np.eye(3), 2, 0)]).astype("f")
    (made,) = evaluate(tmp_path / "out.mlpackage", {"x": x}).values()
    np.testing.assert_array_equal(made, 2.0 * np.linalg.inv(x))
