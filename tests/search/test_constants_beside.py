"""What is made of constants, and the converter does not get, is to blame itself; what reads it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.probe.client import Workers

v1 = tf.compat.v1
table = np.random.default_rng(0).uniform(0.5, 1, (1, 6, 4)).astype(np.float32)


def boxes(x: Any) -> Any:
    """Anchors as detectors have them: their edges from one constant, a size from two of them."""
    edges = tf.split(tf.constant(table), 4, -1)
    high, wide = tf.unstack(tf.constant([[8.0, 16.0]]), axis=-1)
    return tf.minimum(x * (edges[2] - edges[0]) + edges[1], tf.stack([high, wide, high, wide], -1)[:, None])


def told_apart(x: Any) -> Any:
    """Nothing is said of the op here: what reads it has a value of another shape."""
    return x + tf.cast(tf.reshape(tf.unique(tf.constant([1, 2, 2, 3, 3, 1])).idx, [1, 6, 1]), tf.float32)


def in_a_loop(x: Any) -> Any:
    def turn(i: Any, y: Any) -> Any:
        edges = tf.split(tf.constant(table), 4, -1)
        return i + 1, y * edges[2] + edges[1]

    return tf.while_loop(lambda i, y: i < 3, turn, [0, x])[1]


def in_a_branch(x: Any) -> Any:
    def one() -> Any:
        return x + tf.nn.top_k(tf.constant(table), 1).values

    return tf.cond(tf.reduce_sum(x) > 0, one, lambda: x)


def of_bfloat16(x: Any) -> Any:
    def turn(i: Any, y: Any) -> Any:
        return i + 1, y * tf.cast(tf.constant(table[..., :1], tf.bfloat16) + 1, tf.float32)

    return tf.while_loop(lambda i, y: i < 3, turn, [0, x])[1]


def bare(body: Callable[..., Any]) -> Any:
    with tf.Graph().as_default() as graph:
        tf.identity(body(v1.placeholder(tf.float32, [1, 6, 1], "x")), "y")
    return graph.as_graph_def()


def function(body: Callable[..., Any]) -> Any:
    return tf.function(body, input_signature=[tf.TensorSpec([1, 6, 1], name="x")])


@pytest.mark.parametrize(
    ("given", "body", "blamed"),
    [
        (bare, boxes, ["Split", "Unpack"]),
        (bare, told_apart, ["Unique"]),
        (function, in_a_loop, ["Split"]),
        (function, in_a_branch, ["TopKV2"]),
        (function, of_bfloat16, ["AddV2"]),
    ],
)
def test_ops_of_constants_are_blamed_and_not_their_readers(
    given: Callable[..., Any], body: Callable[..., Any], blamed: list[str], workers: Workers
) -> None:
    report = find(given(body), workers=workers, numbers="off")
    assert sorted(c.op for f in report.findings for c in f.culprits) == blamed, str(report)
    assert report.complete and len(report.findings) == 1
    for finding in report.findings:
        assert "not at fault" in finding.explanation
        remedy = finding.remedies[0]
        assert remedy.verified and ("wrap_function" in (remedy.code or "")) == (given is bare), str(report)


def test_where_they_are_folded_by_freezing_nothing_is_blamed(workers: Workers) -> None:
    assert find(function(boxes), workers=workers, numbers="off").findings == ()
