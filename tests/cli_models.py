"""Builds the models that the command's tests run on: `python cli_models.py FOLDER`, in a process of its own."""

from __future__ import annotations

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow as tf

_SPEC = [tf.TensorSpec([1, 8], tf.float32, name="x")]


class Two(tf.Module):
    """Two signatures: one that converts, one with a Roll on the main arm of a residual block."""

    @tf.function(input_signature=_SPEC)
    def fine(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.relu(x)}

    @tf.function(input_signature=_SPEC)
    def rolled(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.nn.relu(x)
        with tf.name_scope("block"):
            return {"y": tf.add(x, tf.roll(tf.tanh(x), 1, 1), name="join")}


class Many(tf.Module):
    """A chain of culprits of many types: long to search."""

    @tf.function(input_signature=_SPEC)
    def call(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        for op in (tf.math.erfc, tf.math.lgamma, tf.math.digamma, tf.math.ndtri, tf.math.erfinv, tf.math.bessel_i0e):
            x = tf.tanh(op(tf.sigmoid(x)))
        return {"y": x}


def main(folder: str) -> None:
    """Write the models into the folder."""
    os.chdir(folder)
    layers = tf.keras.layers
    image = tf.keras.Input((8, 8, 3), name="image")
    conv = tf.keras.Model(image, layers.Conv2D(4, 3, activation="relu")(image))
    conv.export("conv", verbose=False)
    conv.save("conv.keras")
    conv.save("conv.h5")
    tf.keras.Sequential([tf.keras.Input((4,)), layers.Lambda(lambda x: x * 2)]).save("code.keras")
    two, many = Two(), Many()
    tf.saved_model.save(two, "two", signatures={"fine": two.fine, "rolled": two.rolled})
    tf.saved_model.save(many, "many", signatures={"serving_default": many.call})


if __name__ == "__main__":
    main(sys.argv[1])
