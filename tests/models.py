"""Models that convert, of many kinds: what sections are drawn from and culprits are planted in.

Each is a function that returns (call, input specs); nothing is run or converted on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

from bisect_convert.model.loaded import Loaded, read_facts
from bisect_convert.worker.read import opening
from bisect_convert.worker.read.reading import Reading

__all__ = ["APPLICATIONS", "FAILING", "MODELS", "frozen", "load", "spec"]

Made = tuple[Callable[..., Any], list[tf.TensorSpec]]
layers = tf.keras.layers
MODELS: dict[str, Callable[[], Made]] = {}


def model(make: Callable[[], Made]) -> Callable[[], Made]:
    """Register a model under its function's name."""
    MODELS[make.__name__] = make
    return make


def spec(*shape: int | None, dtype: Any = tf.float32, name: str = "x") -> tf.TensorSpec:
    """An input."""
    return tf.TensorSpec(shape, dtype, name)


def concrete(make: Callable[[], Made]) -> Any:
    """The model as one concrete function, the same each time."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    call, specs = make()
    return tf.function(call, input_signature=specs).get_concrete_function()


def frozen(make: Callable[[], Made]) -> Any:
    """The model as a frozen GraphDef."""
    from bisect_convert.worker import private_api

    return private_api.freeze(concrete(make))


def load(make: Callable[[], Made], folder: Path) -> Loaded:
    """The model as facts in `folder`, ready to be probed."""
    opening.freeze_and_write(concrete(make), folder, Reading())
    return read_facts(folder)


def _keras(built: Any) -> Made:
    specs = [spec(*i.shape, dtype=i.dtype, name=f"in{n}") for n, i in enumerate(built.inputs)]
    return (lambda *x: built(x[0] if len(x) == 1 else list(x), training=False)), specs


def _weight(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(sum(shape)).normal(0, 0.2, shape).astype(np.float32))


def _dense(x: tf.Tensor, units: int, name: str) -> tf.Tensor:
    with tf.name_scope(name):
        return tf.matmul(x, _weight(x.shape[-1], units)) + _weight(units)


def _heads(x: tf.Tensor, heads: int) -> tf.Tensor:
    batch, length = tf.shape(x)[0], tf.shape(x)[1]
    return tf.transpose(tf.reshape(x, [batch, length, heads, x.shape[-1] // heads]), [0, 2, 1, 3])


def _attention(x: tf.Tensor, bias: Any = 0.0) -> tf.Tensor:
    with tf.name_scope("attention"):
        q, k, v = (_heads(_dense(x, 16, n), 2) for n in ("q", "k", "v"))
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / 8.0**0.5 + bias)
        y = tf.transpose(tf.matmul(weights, v), [0, 2, 1, 3])
        return _dense(tf.reshape(y, [tf.shape(y)[0], tf.shape(y)[1], 16]), 16, "out")


def _norm(x: tf.Tensor) -> tf.Tensor:
    with tf.name_scope("norm"):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-5) * _weight(x.shape[-1])


@model
def residual_cnn() -> Made:
    """Residual blocks with batch normalisation, one with a projection on its skip."""
    x = image = layers.Input((16, 16, 3), batch_size=1)
    for n, filters in enumerate((8, 8, 12)):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", strides=1 + n // 2)(x)))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        x = x if n == 1 else layers.Conv2D(filters, 1, strides=1 + n // 2)(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    return _keras(tf.keras.Model(image, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x))))


@model
def mobile() -> Made:
    """Inverted residuals, squeeze and excite, hard swish, a dilated convolution."""
    x = image = layers.Input((16, 16, 3), batch_size=1)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="hard_swish")(x)
    for n in range(2):
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 1)(x)))
        y = layers.DepthwiseConv2D(3, padding="same", activation="relu6", dilation_rate=1 + n)(y)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
        gate = layers.Conv2D(16, 1, activation="hard_sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
        x = layers.Add()([x, layers.Conv2D(8, 1)(layers.Multiply()([y, gate]))])
    y = layers.Conv2D(8, 3, padding="same", dilation_rate=2)(x)
    return _keras(tf.keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Concatenate()([x, y])))))


@model
def unet() -> Made:
    """An encoder and a decoder joined by long skip connections; transposed convolutions and resizing."""
    x = image = layers.Input((16, 16, 3), batch_size=1)
    skips = []
    for filters in (4, 8):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, padding="same", activation="swish")(x)
    x = layers.Conv2DTranspose(8, 2, strides=2)(x)
    x = layers.Conv2D(4, 3, padding="same", activation="leaky_relu")(layers.Concatenate()([x, skips[1]]))
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Concatenate()([layers.UpSampling2D()(layers.AveragePooling2D(2)(x)), skips[0]])
    return _keras(tf.keras.Model(image, layers.Conv2D(2, 1, activation="sigmoid")(x)))


@model
def attention() -> Made:
    """A transformer block with layer normalisation and the approximate GELU."""

    def call(x: tf.Tensor) -> tf.Tensor:
        x = x + _attention(_norm(x))
        y = tf.nn.gelu(_dense(_norm(x), 32, "up"), approximate=True)
        x = x + _dense(y, 16, "down")
        return tf.nn.log_softmax(tf.einsum("btc,cd->btd", x, _weight(16, 5)))

    return call, [spec(1, 6, 16)]


@model
def embedding_mask() -> Made:
    """Token ids, their embedding, and a mask made from them."""

    def call(ids: tf.Tensor) -> tf.Tensor:
        mask = tf.not_equal(ids, 0)
        x = tf.gather(_weight(20, 16), ids) + _weight(1, 6, 16)
        bias = (1.0 - tf.cast(mask, tf.float32))[:, None, None, :] * -1e4
        x = _norm(x + _attention(x, bias))
        counted = tf.cast(mask, tf.float32)[:, :, None]
        return tf.reduce_sum(x * counted, 1) / tf.maximum(tf.reduce_sum(counted, 1), 1.0)

    return call, [spec(1, 6, dtype=tf.int32, name="ids")]


@model
def gru_unrolled() -> Made:
    """A GRU written out step by step."""
    steps = layers.Input((4, 6), batch_size=1)
    y = layers.GRU(5, unroll=True, return_sequences=True)(steps)
    return _keras(tf.keras.Model(steps, layers.Dense(3)(layers.GlobalMaxPooling1D()(y))))


@model
def dynamic() -> Made:
    """Batch and length unknown; sizes taken from the input all along."""

    def call(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        batch, length = tf.shape(ids)[0], tf.shape(ids)[1]
        x = tf.gather(_weight(20, 16), ids)
        place = tf.cast(tf.range(length), tf.float32)[:, None] * _weight(1, 16)
        x = x + _attention(x + place)
        causal = tf.range(length)[:, None] >= tf.range(length)[None, :]
        scores = tf.where(causal, tf.matmul(x, x, transpose_b=True), -1e4)
        y = tf.matmul(tf.nn.softmax(scores), x)
        flat = tf.reshape(y, [batch * length, 16])
        return {"flat": tf.reshape(_dense(flat, 4, "head"), [batch, length, 4]), "last": y[:, -1, :]}

    return call, [spec(None, None, dtype=tf.int32, name="ids")]


@model
def dynamic_image() -> Made:
    """Batch, height and width unknown."""

    def call(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.relu(tf.nn.conv2d(x, _weight(3, 3, 3, 8), 2, "SAME"))
        y = y + tf.nn.conv2d(tf.nn.relu(y), _weight(3, 3, 8, 8), 1, "SAME")
        weights = tf.nn.sigmoid(tf.reduce_mean(y, [1, 2], keepdims=True))
        return _dense(tf.reduce_max(y * weights, [1, 2]), 4, "head")

    return call, [spec(None, None, None, 3)]


@model
def cond() -> Made:
    """Two conds, each with one consumer."""

    def call(x: tf.Tensor) -> tf.Tensor:
        x = _dense(x, 16, "embed")
        x = tf.cond(tf.reduce_mean(x) > 0.0, lambda: tf.tanh(x) * 2.0, lambda: tf.nn.relu(x) - 1.0, name="gate")
        x = _dense(x, 16, "middle")
        y = tf.cond(tf.reduce_max(x) < 3.0, lambda: _dense(x, 8, "then"), lambda: x[..., :8] + 0.5, name="choice")
        return _dense(tf.nn.softmax(y), 4, "head")

    return call, [spec(1, 6, 16)]


@model
def loops() -> Made:
    """Two loops, one of them with sizes that grow no more than its bound."""

    def call(x: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, y: tf.Tensor, z: tf.Tensor) -> list[tf.Tensor]:
            y = tf.tanh(_dense(y, 16, "state")) * 0.5 + z
            return [i + 1, y, z * 0.9]

        x = _dense(x, 16, "embed")
        x = tf.while_loop(lambda i, y, z: i < 3, step, [0, x, tf.nn.relu(x)], name="refine")[1]
        x = _norm(_dense(x, 16, "middle"))
        y = tf.while_loop(lambda i, y: i < 2, lambda i, y: [i + 1, y * 0.5 + 1.0], [0, x], name="decay")[1]
        return _dense(tf.nn.relu(y), 4, "head")

    return call, [spec(1, 6, 16)]


@model
def nested_loops() -> Made:
    """A loop in a loop; ops on either side of the inner one."""

    def call(x: tf.Tensor) -> tf.Tensor:
        def inner(y: tf.Tensor) -> tf.Tensor:
            return tf.while_loop(lambda j, z: j < 2, lambda j, z: [j + 1, tf.nn.relu(z) * 0.5], [0, y], name="inner")[1]

        def step(i: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
            return [i + 1, _dense(inner(tf.tanh(y)), 16, "after") + 0.1]

        x = tf.while_loop(lambda i, y: i < 3, step, [0, _dense(x, 16, "embed")], name="outer")[1]
        return _dense(x, 4, "head")

    return call, [spec(1, 6, 16)]


@model
def lists() -> Made:
    """Lists of tensors that a loop reads and fills, one of them in a loop in a loop."""

    def call(x: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, y: tf.Tensor, made: Any) -> list[Any]:
            y = tf.tanh(_dense(items.read(i), 16, "state") + y)
            return [i + 1, y, made.write(i, y * 0.5)]

        def deeper(i: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
            kept = tf.TensorArray(tf.float32, 2, element_shape=[1, 16])
            kept = tf.while_loop(lambda j, k: j < 2, lambda j, k: [j + 1, k.write(j, tf.nn.relu(y))], [0, kept])[1]
            return [i + 1, tf.reduce_mean(kept.stack(), 0) * 0.9]

        items = tf.TensorArray(tf.float32, 4, element_shape=[1, 16]).unstack(tf.transpose(x, [1, 0, 2]))
        made = tf.TensorArray(tf.float32, 4, element_shape=[1, 16])
        _, last, made = tf.while_loop(lambda i, y, m: i < 4, step, [0, tf.zeros([1, 16]), made], name="steps")
        last = tf.while_loop(lambda i, y: i < 3, deeper, [0, last], name="outer")[1]
        return _dense(tf.transpose(made.stack(), [1, 0, 2]) + last[:, None], 4, "head")

    return call, [spec(1, 4, 16)]


@model
def loop_in_a_branch() -> Made:
    """A loop in a branch, and calls two deep that are inlined."""

    def call(x: tf.Tensor) -> tf.Tensor:
        @tf.function
        def inner(y: tf.Tensor) -> tf.Tensor:
            return tf.nn.relu(_dense(y, 16, "inner")) * 0.5

        @tf.function
        def outer(y: tf.Tensor) -> tf.Tensor:
            y = tf.tanh(y)
            return inner(y) + inner(y * 0.5)

        def looped() -> tf.Tensor:
            return tf.while_loop(lambda i, y: i < 2, lambda i, y: [i + 1, tf.tanh(y) * 0.5], [0, x + 1.0])[1]

        y = tf.cond(tf.reduce_mean(x) > 0.0, looped, lambda: x * 2.0)
        z = tf.cond(tf.reduce_sum(x) > 1.0, lambda: tf.exp(-x), lambda: tf.sigmoid(x))
        return _dense(outer(y) + z, 4, "head")

    return call, [spec(1, 6, 16)]


def complex_in_a_loop() -> Made:
    """Complex numbers inside the body of a loop, where the finished program may have none."""

    def call(x: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
            s = tf.signal.rfft(y)
            power = tf.sqrt(tf.math.real(s) ** 2 + tf.math.imag(s) ** 2 + 1e-3)
            return [i + 1, tf.concat([power, power[..., 1:-1]], -1) * 0.1]

        y = tf.while_loop(lambda i, y: i < 2, step, [0, _dense(x, 16, "embed")], name="filter")[1]
        return _dense(tf.nn.relu(y), 4, "head")

    return call, [spec(1, 6, 16)]


@model
def many_ends() -> Made:
    """Several inputs and outputs; ops with several results."""

    def call(image: tf.Tensor, vector: tf.Tensor, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        y = tf.nn.relu(tf.nn.conv2d(image, _weight(3, 3, 3, 8), 2, "SAME"))
        pooled = tf.reduce_mean(y, [1, 2])
        left, right = tf.split(_dense(vector, 16, "fc"), 2, 1)
        joined = tf.concat([pooled * tf.sigmoid(left), right, tf.gather(_weight(9, 4), ids)[:, 0]], 1)
        values, places = tf.math.top_k(_dense(joined, 10, "scores"), 3)
        a, b, c = tf.unstack(y[:, :, :3, :], axis=2)
        return {"values": values, "places": places, "columns": a + b * c, "map": tf.nn.max_pool2d(y, 2, 2, "VALID")}

    ids = spec(1, 2, dtype=tf.int32, name="ids")
    return call, [spec(1, 8, 8, 3, name="image"), spec(1, 12, name="vector"), ids]


@model
def ints_and_bools() -> Made:
    """Integer and boolean tensors everywhere, of ranks 0 to 4."""

    def call(ids: tf.Tensor, x: tf.Tensor) -> dict[str, tf.Tensor]:
        even = tf.equal(ids % 2, 0)
        far = tf.logical_and(tf.logical_not(even), ids > 3)
        steps = tf.cumsum(tf.cast(even, tf.int32), 1)
        best = tf.argmax(x, -1, output_type=tf.int32)
        one_hot = tf.one_hot(best, 16)
        near = tf.reduce_any(tf.logical_or(far, best > 4), 1, keepdims=True)
        wide = tf.cast(ids, tf.int64) * 3 + tf.cast(steps, tf.int64)
        tiled = tf.tile(tf.where(near, wide, -wide)[:, None, :, None], [1, 2, 1, 2])
        count = tf.reduce_sum(steps) + tf.reduce_max(best)
        scaled = x[:, ::2, 1:-1] * tf.cast(count, tf.float32)
        padded = tf.pad(tf.reverse(scaled, [1]), [[0, 0], [1, 1], [0, 2]])
        return {"wide": tf.cast(tiled, tf.int32) + 1, "hot": one_hot * 2.0, "padded": tf.abs(padded)}

    return call, [spec(1, 6, dtype=tf.int32, name="ids"), spec(1, 6, 16)]


@model
def spectrum() -> Made:
    """Complex numbers inside, half precision and double precision detours, rank 6 that goes away again."""

    def call(x: tf.Tensor) -> tf.Tensor:
        frames = tf.reshape(x, [1, 8, 32])
        s = tf.signal.rfft(frames * tf.signal.hann_window(32))
        power = tf.math.real(s) ** 2 + tf.math.imag(s) ** 2
        y = tf.cast(tf.math.log1p(tf.cast(power[:, :, :16], tf.float64) * 0.5), tf.float32)
        half = tf.cast(y, tf.float16) * tf.constant(0.5, tf.float16)
        y = tf.reshape(y + tf.cast(tf.nn.relu(half), tf.float32), [1, 8, 4, 4])
        w = tf.transpose(tf.reshape(y, [1, 4, 2, 2, 2, 4]), [0, 1, 3, 2, 4, 5])
        return tf.nn.conv2d(tf.reshape(w, [1, 8, 4, 4]), _weight(3, 3, 4, 4), 1, "SAME")

    return call, [spec(1, 256)]


@model
def detection() -> Made:
    """Boxes and scores, sorted and gathered; shapes that hang on sizes."""

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        y = tf.nn.conv2d(x, _weight(3, 3, 3, 10), 2, "SAME")
        boxes, scores = tf.split(tf.reshape(y, [-1, 5]), [4, 1], -1)
        low, high = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
        scores, order = tf.math.top_k(tf.sigmoid(tf.squeeze(scores, -1)), 6)
        chosen = tf.gather(tf.concat([low, high - low], 1), order)
        grid = tf.stack(tf.meshgrid(tf.range(4.0), tf.range(4.0)), -1) / 4.0
        resized = tf.image.resize(x, [4, 4])
        return {"boxes": chosen, "scores": scores, "grid": tf.reduce_sum(resized, -1, keepdims=True) + grid[None]}

    return call, [spec(1, 8, 8, 3)]


@model
def volumes() -> Made:
    """One and three dimensions: Conv1D, Conv3D, pooling, a causal dilated convolution."""
    wave = layers.Input((16, 4), batch_size=1)
    y = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu")(wave)
    y = layers.Add()([y, layers.Conv1D(8, 3, padding="same", activation="elu")(y)])
    cube = layers.Input((4, 8, 8, 2), batch_size=1)
    z = layers.MaxPooling3D((1, 2, 2))(layers.Conv3D(4, 3, padding="same", activation="tanh")(cube))
    z = layers.LayerNormalization()(layers.Reshape((16, 16))(z))
    y = layers.Dense(16)(layers.AveragePooling1D(1)(y))
    return _keras(tf.keras.Model([wave, cube], layers.Dot(2)([y, z])))


def _application(name: str, size: int, **more: Any) -> Callable[[], Made]:
    def make() -> Made:
        built = getattr(tf.keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10, **more)
        return _keras(built)

    return make


#: Families of keras.applications that convert (ConvNeXt does not: Erfc, grouped convolutions): for the long sweep.
APPLICATIONS: dict[str, Callable[[], Made]] = {
    name: _application(name, size)
    for name, size in {
        "MobileNet": 64, "MobileNetV2": 64, "MobileNetV3Small": 64, "EfficientNetB0": 64, "EfficientNetV2B0": 64,
        "ResNet50": 64, "ResNet50V2": 64, "DenseNet121": 64, "InceptionV3": 80, "Xception": 72, "VGG16": 32,
        "NASNetMobile": 64,
    }.items()
}  # fmt: skip

#: Models that fail, for what is left of them beside what is blamed.
FAILING: dict[str, Callable[[], Made]] = {"complex_in_a_loop": complex_in_a_loop}
