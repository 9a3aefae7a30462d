"""The models that are measured on, each with ops in it that do not convert."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["build", "build_in"]


def build_in(folder: Path, *names: str) -> None:
    """Write the models into the folder, in a process of its own, which says something only where that fails."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).with_name("benchmark")), "--build", str(folder), *names]
    done = subprocess.run(command, text=True, capture_output=True, env=environment)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def build(name: str, folder: Path) -> None:
    """Write the model: `small` and `resnet50` with one op in it that does not convert, `OPS-PLACES` with so many."""
    import tensorflow as tf

    if name[0].isdigit():
        module = blocks(tf, *map(int, name.split("-")))
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
        return
    if name == "small":
        model, size = small(tf), 32
    else:
        model, size = tf.keras.applications.ResNet50(weights=None), 224

    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32, name="image")])
    def call(image: Any) -> dict[str, Any]:
        y = model(image, training=False)
        return {"y": y if name == "small" else tf.math.erfc(y)}

    module = tf.Module()
    module.model, module.call = model, call
    tf.saved_model.save(module, str(folder), signatures={"serving_default": call})


def small(tf: Any) -> Any:
    """A residual network of about 100 ops with one that does not convert two thirds of the way through."""
    layers = tf.keras.layers
    image = x = tf.keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same")(x)
    for block in range(12):
        y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        y = layers.Conv2D(16, 3, padding="same")(y)
        if block == 8:
            y = tf.keras.layers.Activation(tf.math.erfc)(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    return tf.keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def blocks(tf: Any, ops: int, places: int) -> Any:
    """Residual blocks of five ops each, in `places` of which, the last among them, one does not convert."""
    import numpy as np

    count, drawn = ops // 5, np.random.default_rng(0)
    failing = {(n + 1) * count // places - 1 for n in range(places)}

    def some(*shape: int) -> Any:
        return tf.constant(drawn.normal(size=shape).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 4], tf.float32, name="image")], autograph=False)
    def call(image: Any) -> dict[str, Any]:
        x = image
        for number in range(count):
            with tf.name_scope(f"block_{number}"):
                y = tf.nn.bias_add(tf.nn.conv2d(x, some(1, 1, 4, 4), 1, "SAME"), some(4))
                y = tf.math.erfc(y) if number in failing else tf.tanh(y)
                x = x + y * some(4)
        return {"y": x}

    module = tf.Module()
    module.call = call
    return module
