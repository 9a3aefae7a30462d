"""Edits of graphs made for the purpose: complex constants, segments, boxes of equal score; and what no sum of edits may do."""

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
from bisect_convert.fix.converted import fixed
from bisect_convert.probe.client import Workers
from bisect_convert.report.fix import Fix
from bisect_convert.worker.rewrite.agreement import Agreement
from bisect_convert.worker.rewrite.edits import Edit
from bisect_convert.worker.rewrite.fixing import Fixed

Made = Callable[[Any], Any]


def fix_of(make: Made, path: Path, workers: Workers, shape: tuple[int, ...], dtype: Any = tf.float32) -> Fix:
    with tf.Graph().as_default() as graph:
        tf.identity(make(tf.compat.v1.placeholder(dtype, shape, name="x")), name="y")
    path.write_bytes(graph.as_graph_def().SerializeToString())
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


@pytest.mark.parametrize(
    "make, shape, dtype, recipes",
    [
        (filtered, (1, 8, 8), tf.float32, {"ComplexAbs", "FFT2D", "IFFT2D", "Mul__complex64"}),
        (pooled, (6,), tf.int32, {"SegmentSum"}),
        (suppressed, (6, 4), tf.float32, {"CombinedNonMaxSuppression"}),
    ],
)
def test_it_converts_and_computes_the_same(
    make: Made, shape: tuple[int, ...], dtype: Any, recipes: set[str], workers: Workers, tmp_path: Path
) -> None:
    fix = fix_of(make, tmp_path / "net.pb", workers, shape, dtype)
    assert fix.converted, fix.reasons
    assert recipes <= {edit.recipe for edit in fix.edits}
    assert all(edit.equal is not None and edit.equal.max_rel <= 1e-6 for edit in fix.edits)
    assert fix.agreement is None if make is suppressed else fix.agreement is not None and fix.agreement.max_rel <= 1e-6


def test_edits_that_are_not_equal_as_a_whole_are_no_fix() -> None:
    done = Fixed(None, None)
    assert done.differs(None) is None and done.differs(Agreement(1e-5, 1e-5, 4)) is None
    assert "something else" in (done.differs(Agreement(2.0, 1.1, 4)) or "")
    own = Fixed(None, None, edits=[Edit((), "a", "Relu", "mine", function=tf.nn.relu)])
    assert own.differs(Agreement(2.0, 1.1, 4)) is None
