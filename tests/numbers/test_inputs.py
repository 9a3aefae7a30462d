"""Random inputs: whole numbers are what the model can have been made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.worker.numbers.inputs import samples
from bisect_convert.worker.numbers.original import Original


def drawn(body: Callable[[Any], Any], name: str = "x", dtype: Any = tf.int64, kind: str = "random") -> Any:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(dtype, (1, 64), name=name)
        tf.identity(body(x), name="y")
    feeds = samples(Original(graph.as_graph_def()), kind, {}, ["y:0"])
    return np.concatenate([one[name] for one in feeds])


def as_float(x: Any) -> Any:
    return tf.cast(x, tf.float32)


@pytest.mark.parametrize(
    ("body", "name", "least", "most"),
    [
        (as_float, "age", 50, 99),
        (as_float, "timestamp", 1_700_000_000, 1_710_000_000),
        (as_float, "created_ms", 1_700_000_000_000, 1_700_010_000_000),
        (lambda x: tf.math.floormod(x * 31, tf.constant(97, tf.int64)), "user", 1 << 32, 1 << 40),
        (lambda x: tf.gather(np.zeros((20, 3), "f"), x), "ids", 10, 19),
        (lambda x: tf.fill([2, x[0, 0] + 1], 1.0), "size", 0, 1),
    ],
    ids=["number", "seconds", "milliseconds", "hashed", "places", "sizes"],
)
def test_whole_numbers_reach_as_far_as_their_use_allows(body: Any, name: str, least: int, most: int) -> None:
    values = drawn(body, name)
    assert values.min() >= 0 and least <= values.max() <= most


def test_narrow_whole_numbers_fit_their_type() -> None:
    assert drawn(as_float, dtype=tf.int8).min() >= 0 and drawn(as_float, dtype=tf.uint8).max() > 127
