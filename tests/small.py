"""A model of seven ops, of which one cannot be converted; its names are those of the docstrings' examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(path: Path, op: str = "erfc") -> Path:
    """Write the model as a frozen graph; `op` is the name of a function in tf.math that stands at act/Erfc."""
    import tensorflow as tf

    v1 = tf.compat.v1
    random = np.random.default_rng(0)
    with v1.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, 8], name="x")
        dense = tf.matmul(x, random.standard_normal((8, 4)).astype("float32"), name="dense/MatMul")
        dense = tf.nn.relu(dense, name="dense/Relu")
        act = getattr(tf.math, op)(dense, name="act/Erfc")
        out = tf.matmul(act, random.standard_normal((4, 8)).astype("float32"), name="out/MatMul")
        tf.add(tf.nn.softmax(out, name="out/Softmax"), x, name="skip/add")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path
