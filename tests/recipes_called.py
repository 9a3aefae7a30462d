"""Each recipe's code, as a report shows it, called like the function of TensorFlow that it replaces, in whole models.

As a program it prints as JSON what came of each in four forms: a Keras model and a tf.function, with the batch open and
with a batch of 1. The code is executed as text, and the whole is converted; values are compared in TensorFlow.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import coremltools as ct
import keras
import numpy as np
import tensorflow as tf

from bisect_convert.recipes import all_recipes
from bisect_convert.worker import private_api

raw = tf.raw_ops
rng = np.random.default_rng(0)
FORMS = ("keras, batch open", "keras, batch 1", "function, batch open", "function, batch 1")

#: The recipe's name, what it replaces, the inputs (of batch 1, two of which are joined for an open one), and the call.
Called = tuple[Callable[..., Any], list[Any], Callable[..., Any]]


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> Any:
    return rng.uniform(low, high, shape).astype(np.float32)


def whole(*shape: int, low: int = 0, high: int = 9) -> Any:
    return rng.integers(low, high, shape).astype(np.int32)


def unary(api: Any, x: Any) -> Called:
    return api, [x], lambda f, x: f(x)


def pair(api: Any, x: Any, y: Any) -> Called:
    return api, [x, y], lambda f, x, y: f(x, y)


def complexes(
    api: Any, call: Callable[..., Any] = lambda f, *z: f(*z), count: int = 1, shape: Any = (1, 4, 4)
) -> Called:
    parts = floats(*shape, 2 * count)  # one input: the sizes of several are not known to be equal
    return api, [parts], lambda f, p: call(f, *[tf.complex(p[..., 2 * i], p[..., 2 * i + 1]) for i in range(count)])


X = floats(1, 6)
ZEROS = np.array([[0.0, 1.0, 0.0, -1.0, 2.0, 0.5]], np.float32)
EDGES = np.array([[0.0, -0.0, 1.0, -1.0, 300.0, -300.0]], np.float32)
OTHER = np.array([[0.0, 1.0, -1.0, -0.5, 2.0, 0.0]], np.float32)
ODD = np.array([[1.0, np.nan, np.inf, -np.inf, 0.0, -3.0]], np.float32)
IMAGE = floats(1, 8, 6, 3, low=0.0, high=1.0)
GREYS = np.concatenate([IMAGE, np.zeros((1, 8, 1, 3), np.float32), np.ones((1, 8, 1, 3), np.float32)], 2)
MATRIX = (lambda a: a @ np.swapaxes(a, 1, 2) + 4 * np.eye(4, dtype=np.float32))(floats(1, 4, 4))
POSITIVE = np.array([[0.3, 1.0, 2.0, 8.9, 9.1, 30.0]], np.float32)

CALLED: dict[str, Called] = {
    "Erfc": unary(tf.math.erfc, EDGES),
    "Erfinv": unary(tf.math.erfinv, np.array([[0.0, 0.5, -0.5, 0.99, -0.99, 0.999]], np.float32)),
    "Ndtri": unary(tf.math.ndtri, np.array([[0.5, 0.01, 0.99, 0.001, 0.999, 0.3]], np.float32)),
    "Expm1": unary(tf.math.expm1, X),
    "Asinh": unary(tf.math.asinh, EDGES),
    "Acosh": unary(tf.math.acosh, np.array([[1.0, 1.5, 2.0, 30.0, 300.0, 3.0]], np.float32)),
    "Atan2": pair(tf.math.atan2, np.array([[0.0, 1.0, -1.0, 0.0, 2.0, 0.0]], np.float32), OTHER),
    "Atan2 number": (tf.math.atan2, [EDGES], lambda f, y: f(y, 1.0)),
    "Lgamma": unary(tf.math.lgamma, POSITIVE),
    "Digamma": unary(tf.math.digamma, POSITIVE),
    "Xlogy": pair(tf.math.xlogy, ZEROS, POSITIVE * np.float32([0, 1, 1, 1, 1, 1])),
    "Xlogy number": (tf.math.xlogy, [POSITIVE], lambda f, y: f(2, y)),
    "Xlog1py": pair(tf.math.xlog1py, ZEROS, POSITIVE),
    "Xdivy": pair(tf.math.xdivy, ZEROS, POSITIVE * np.float32([0, 1, 1, -1, 1, 1])),
    "Rint": unary(tf.math.rint, np.array([[0.5, 1.5, -0.5, -2.5, 2.4, -2.6]], np.float32)),
    "Inv": unary(lambda x: raw.Inv(x=x), POSITIVE),
    "IsNan": unary(tf.math.is_nan, ODD),
    "IsInf": unary(tf.math.is_inf, ODD),
    "IsFinite": unary(tf.math.is_finite, ODD),
    "OnesLike": unary(tf.ones_like, X),
    "Cast__bool": (tf.cast, [EDGES], lambda f, x: f(x, tf.bool)),
    "Cast__uint8_int8_uint16_int16_uint32": (
        tf.cast, [np.array([[0, 1, 255, 256, -1, 700]], np.int32)], lambda f, x: f(x, tf.uint8)),
    "Cast__uint8_int8_uint16_int16_uint32 float": (
        tf.cast, [np.array([[0.0, 1.9, 255.0, 128.5, 3.0, 254.99]], np.float32)], lambda f, x: f(x, tf.uint8)),
    "Cast__bfloat16": (tf.cast, [np.array([[0.0, 1.0, -2.0, 0.5]], np.float32)], lambda f, x: f(x, tf.bfloat16)),
    "Cast__complex64": (tf.cast, [X], lambda f, x: f(x, tf.complex64)),
    "Equal__bool": (tf.equal, [X, X[:, ::-1].copy()], lambda f, x, y: f(x > 0, y > 0)),
    "NotEqual__bool": (tf.not_equal, [X, X[:, ::-1].copy()], lambda f, x, y: f(x > 0, y > 0)),
    "TruncateDiv": pair(tf.truncatediv, whole(1, 9, low=-9), whole(1, 9, low=1)),
    "TruncateMod": pair(tf.truncatemod, whole(1, 9, low=-9), whole(1, 9, low=1)),
    "Mod": pair(lambda x, y: raw.Mod(x=x, y=y), floats(1, 9), floats(1, 9, low=0.5)),
    "LeftShift": (tf.bitwise.left_shift, [whole(1, 9)], lambda f, x: f(x, 2)),
    "RightShift": (tf.bitwise.right_shift, [whole(1, 9, low=-99, high=99)], lambda f, x: f(x, 2)),
    "Invert": unary(tf.bitwise.invert, whole(1, 9, low=-9)),
    "BitwiseAnd": (tf.bitwise.bitwise_and, [whole(1, 9, high=65536)], lambda f, x: f(x, 7)),
    "BitwiseOr": pair(tf.bitwise.bitwise_or, whole(1, 9, high=65536), whole(1, 9, high=65536)),
    "BitwiseXor": pair(tf.bitwise.bitwise_xor, whole(1, 9, high=65536), whole(1, 9, high=65536)),
    "Bucketize": (lambda input, boundaries: raw.Bucketize(input=input, boundaries=boundaries), [EDGES],
                  lambda f, x: f(x, boundaries=[-1.0, 0.0, 1.5])),
    "LinSpace": (lambda start, stop, num: raw.LinSpace(start=start, stop=stop, num=num), [X],
                 lambda f, x: f(x[0, 0], x[0, 1], 5) + x[:, :5]),
    "L2Loss": unary(tf.nn.l2_loss, X),
    "FakeQuantWithMinMaxVars": (tf.quantization.fake_quant_with_min_max_vars, [EDGES * np.float32([1, 1, 1, 1, 0.9, 1])],
                                lambda f, x: f(x, tf.reduce_min(x), tf.reduce_max(x))),
    "FakeQuantWithMinMaxArgs": (tf.quantization.fake_quant_with_min_max_args, [EDGES], lambda f, x: f(x, -1.0, 1.5)),
    "FakeQuantWithMinMaxVarsPerChannel": (
        tf.quantization.fake_quant_with_min_max_vars_per_channel, [IMAGE],
        lambda f, x: f(x, tf.reduce_min(x, [0, 1, 2]), tf.reduce_max(x, [0, 1, 2]), num_bits=4)),
    "ReluGrad": pair(lambda gradients, features: raw.ReluGrad(gradients=gradients, features=features), X, EDGES),
    "FusedBatchNormV3": (
        lambda x, scale, offset, mean, variance, epsilon: raw.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False)[0],
        [IMAGE], lambda f, x: f(x, tf.reduce_max(x, [0, 1, 2]), tf.reduce_min(x, [0, 1, 2]), [0.1, 0.2, 0.3], [1.0, 2.0, 3.0],
                                epsilon=0.001)),
    "Roll": (tf.roll, [floats(1, 5, 6)], lambda f, x: f(x, shift=1, axis=2)),
    "Roll several": (tf.roll, [floats(1, 5, 6)], lambda f, x: f(x, (2, -3), (1, 2))),
    "ShapeN": (tf.shape_n, [X, floats(1, 3)], lambda f, x, y: x + tf.cast(tf.reduce_sum(f([x, y])), tf.float32)),
    "EnsureShape": (tf.ensure_shape, [X], lambda f, x: f(x, (None, 6))),
    "BroadcastTo": (tf.broadcast_to, [X], lambda f, x: f(x, tf.concat([[3], tf.shape(x)], 0))),
    "UnsortedSegmentSum": (tf.math.unsorted_segment_sum, [floats(1, 5, 3)],
                           lambda f, x: f(x[0], tf.cast(x[0, :, 0] > 0, tf.int32), 4)),
    "UnsortedSegmentMax": (tf.math.unsorted_segment_max, [floats(1, 5, 3)],
                           lambda f, x: f(x[0], tf.cast(x[0, :, 0] > 0, tf.int32), num_segments=2)),
    "UnsortedSegmentMin": (tf.math.unsorted_segment_min, [floats(1, 5, 3)],
                           lambda f, x: f(x[0], tf.cast(x[0, :, 0] > 0, tf.int32), num_segments=2)),
    **{f"Segment{kind}": (getattr(tf.math, f"segment_{kind.lower()}"), [floats(1, 5, 3)],
                          lambda f, x: f(x[0], tf.cast(tf.abs(x[0, :, 0]) * 0.0, tf.int32) + [0, 0, 1, 2, 2]))
       for kind in ("Sum", "Mean", "Max", "Min", "Prod")},
    "InvertPermutation": (tf.math.invert_permutation, [np.array([[2, 0, 3, 1]], np.int32)], lambda f, x: f(x[0])),
    **{f"TensorScatter{kind}": (getattr(tf, f"tensor_scatter_nd_{kind.lower()}"), [floats(1, 5, 3), floats(1, 2, 3)],
                                lambda f, x, u: f(x[0], [[3], [1]], u[0]))
       for kind in ("Update", "Sub", "Max", "Min")},
    "SparseTensorDenseMatMul": (
        lambda a_indices, a_values, a_shape, b: raw.SparseTensorDenseMatMul(
            a_indices=a_indices, a_values=a_values, a_shape=a_shape, b=b),
        [floats(1, 3), floats(1, 5, 2)],
        lambda f, v, b: f(np.array([[0, 1], [2, 0], [3, 4]]), v[0], np.array([4, 5]), b[0])),
    "SparseToDense": (tf.compat.v1.sparse_to_dense, [floats(1, 2)],
                      lambda f, v: f([[0, 1], [1, 2]], (2, 4), v[0], -1.0)),
    "MatrixSetDiagV3": (tf.linalg.set_diag, [floats(1, 4, 4), floats(1, 4)], lambda f, x, d: f(x, d)),
    "MatrixDiagV3": (tf.linalg.diag, [floats(1, 4)], lambda f, d: f(d)),
    "MatrixDiagPartV3": (tf.linalg.diag_part, [floats(1, 4, 4)], lambda f, x: f(x)),
    "MatrixBandPart": (tf.linalg.band_part, [floats(1, 4, 4), whole(1, 1, low=1, high=3)],
                       lambda f, x, n: f(x, n[0, 0], 0)),
    "UnravelIndex": (tf.unravel_index, [whole(1, 5, high=24)], lambda f, i: f(i[0], (4, 6))),
    "DenseBincount": (lambda input, size, weights: raw.DenseBincount(input=input, size=size, weights=weights),
                      [whole(1, 5, high=4)], lambda f, i: f(i, 4, tf.zeros([0], tf.float32))),
    "LowerBound": (tf.searchsorted, [np.sort(floats(1, 3)), floats(1, 7)], lambda f, s, v: f(s, v, side="left")),
    "UpperBound": (tf.searchsorted, [np.sort(floats(1, 3)), floats(1, 7)], lambda f, s, v: f(s, v, side="right")),
    "DynamicPartition": (tf.dynamic_partition, [floats(1, 5, 3)],
                         lambda f, x: f(x[0], tf.cast(x[0, :, 0] > 0, tf.int32), 2)),
    "DynamicStitch": (tf.dynamic_stitch, [whole(1, 1, high=1), floats(1, 2, 3), floats(1, 2, 3)],
                      lambda f, i, x, y: f([i[0, :1] + [3, 0], i[0, :1] + [1, 2]], [x[0], y[0]])),
    "Cumprod": (tf.math.cumprod, [floats(1, 5, 3)], lambda f, x: f(x, axis=1, exclusive=True)),
    "Cumprod plain": (tf.math.cumprod, [floats(1, 5, 3)], lambda f, x: f(x, -1)),
    "CumulativeLogsumexp": (tf.math.cumulative_logsumexp, [floats(1, 5, 3)], lambda f, x: f(x, axis=1)),
    "Einsum": (tf.einsum, [floats(1, 4, 4)], lambda f, x: f("bii->bi", x)),
    "MirrorPad": (tf.pad, [floats(1, 4, 5, 6, 2)],
                  lambda f, x: f(x, [[0, 0], [1, 2], [2, 1], [1, 1], [0, 0]], mode="REFLECT")),
    "PadV2__bool": (tf.pad, [X], lambda f, x: f(x > 0, [[0, 0], [1, 2]], constant_values=True)),
    "OneHot__uint8_int8": (tf.one_hot, [whole(1, 5, high=4)], lambda f, i: f(i, 4, dtype=tf.uint8)),
    "GatherV2__bool": (tf.gather, [X, whole(1, 3, high=6)], lambda f, x, i: f(x > 0, i[0], axis=1)),
    "GatherNd__bool": (tf.gather_nd, [X, whole(1, 3, 2, high=1)], lambda f, x, i: f(x > 0, i[0])),
    "ResizeBilinear__const": (tf.image.resize, [IMAGE], lambda f, x: f(x, (5, 9))),
    "ResizeBicubic": (tf.image.resize, [IMAGE], lambda f, x: f(x, (16, 9), method="bicubic")),
    "ResizeNearestNeighbor": (tf.image.resize, [IMAGE], lambda f, x: f(x, (15, 11), "nearest")),
    "ResizeArea": (tf.image.resize, [IMAGE], lambda f, x: f(x, size=(4, 3), method="area")),
    "ScaleAndTranslate": (tf.image.resize, [IMAGE], lambda f, x: f(x, (4, 9), method="lanczos3", antialias=True)),
    "HSVToRGB": unary(tf.image.hsv_to_rgb, GREYS),
    "RGBToHSV": unary(tf.image.rgb_to_hsv, GREYS),
    "AdjustSaturation": (tf.image.adjust_saturation, [GREYS], lambda f, x: f(x, 1.5)),
    "AdjustHue": (tf.image.adjust_hue, [GREYS], lambda f, x: f(x, 0.3)),
    "AdjustHue back": (tf.image.adjust_hue, [GREYS], lambda f, x: f(x, delta=-0.4)),
    "AdjustContrastv2": (tf.image.adjust_contrast, [IMAGE], lambda f, x: f(x, contrast_factor=1.5)),
    "MaxPool__explicit": (tf.nn.max_pool2d, [IMAGE], lambda f, x: f(x, 2, 2, [[0, 0], [1, 1], [0, 1], [0, 0]])),
    "MaxPool__int32_int64_uint8_int8": (tf.nn.max_pool2d, [whole(1, 8, 6, 3)], lambda f, x: f(x, 2, 2, "SAME")),
    "MaxPoolWithArgmax": (tf.nn.max_pool_with_argmax, [IMAGE], lambda f, x: f(x, 2, 2, "VALID")),
    "CropAndResize": (tf.image.crop_and_resize, [IMAGE],
                      lambda f, x: f(x, [[0.1, 0.0, 0.9, 1.2], [0.0, 0.2, 1.0, 0.7]] + 0.0 * x[0, 0, 0, 0], [0, 0], (5, 4),
                                     method="nearest", extrapolation_value=0.5)),
    "ImageProjectiveTransformV3": (
        lambda images, transforms, output_shape, fill_value, interpolation: raw.ImageProjectiveTransformV3(
            images=images, transforms=transforms, output_shape=output_shape, fill_value=fill_value,
            interpolation=interpolation),
        [IMAGE], lambda f, x: f(x, [[0.9, 0.2, -0.6, -0.15, 1.1, 0.4, 0.01, -0.02]] + 0.0 * x[:, 0, 0, :1], (7, 9), 0.5,
                                interpolation="BILINEAR")),
    "CombinedNonMaxSuppression": (
        tf.image.combined_non_max_suppression, [floats(1, 12, 1, 4, low=0.0, high=1.0), floats(1, 12, 3, low=0.0, high=1.0)],
        lambda f, b, s: f(b, s, 3, 9, iou_threshold=0.3, score_threshold=0.2)),
    "Dilation2D": (tf.nn.dilation2d, [IMAGE], lambda f, x: f(
        x, floats(3, 3, 3) * 0.0 + 0.1, (1, 1, 1, 1), "SAME", "NHWC", (1, 1, 1, 1))),
    "ExtractImagePatches": (tf.image.extract_patches, [IMAGE],
                            lambda f, x: f(x, (1, 2, 2, 1), (1, 2, 1, 1), (1, 2, 2, 1), "VALID")),
    "DepthToSpace__int32_int64_uint8_int8": (tf.nn.depth_to_space, [whole(1, 3, 2, 8)], lambda f, x: f(x, 2)),
    "ComplexAbs": complexes(tf.abs),
    "Angle": complexes(tf.math.angle),
    "Conj": complexes(tf.math.conj),
    "FFT2D": complexes(tf.signal.fft2d),
    "IFFT2D": complexes(tf.signal.ifft2d),
    "RFFT2D": unary(tf.signal.rfft2d, floats(1, 4, 8)),
    "IRFFT2D": complexes(tf.signal.irfft2d),
    "RealDiv__complex64": complexes(tf.divide, count=2),
    "Neg__complex64": complexes(tf.negative),
    "StridedSlice__complex64": complexes(tf.strided_slice, lambda f, z: f(z, (0, 1, 0), (1, 3, 4), (1, 1, 2))),
    "Slice__complex64": complexes(tf.slice, lambda f, z: f(z, (0, 1, 0), (1, 2, 3))),
    "GatherV2__complex64": complexes(tf.gather, lambda f, z: f(z, [3, 1], axis=2)),
    "Sum__complex64": complexes(tf.reduce_sum, lambda f, z: f(z, axis=1, keepdims=True)),
    "ExpandDims__complex64": complexes(tf.expand_dims, lambda f, z: f(z, 1)),
    "Squeeze__complex64": complexes(tf.squeeze, lambda f, z: f(z, axis=1), shape=(1, 1, 4)),
    "Mul__complex64": complexes(tf.multiply, count=2),
    "AddV2__complex64": complexes(tf.add, count=2),
    "Sub__complex64": complexes(tf.subtract, count=2),
    "Transpose__complex64": complexes(tf.transpose, lambda f, z: f(z, perm=(0, 2, 1))),
    "Reshape__complex64": complexes(tf.reshape, lambda f, z: f(z, (-1, 16))),
    "ConcatV2__complex64": complexes(tf.concat, lambda f, y, z: f([y, z], axis=1), 2),
    "Pack__complex64": complexes(tf.stack, lambda f, y, z: f([y, z], axis=1), 2),
    "Cholesky": unary(tf.linalg.cholesky, MATRIX),
    "MatrixTriangularSolve": (tf.linalg.triangular_solve, [MATRIX, floats(1, 4, 2)],
                              lambda f, a, b: f(a, b, lower=True, adjoint=True)),
    "MatrixDeterminant": unary(tf.linalg.det, floats(1, 3, 3)),
    "MatrixInverse": unary(tf.linalg.inv, MATRIX),
    "MatrixSolve": pair(tf.linalg.solve, MATRIX, floats(1, 4, 2)),
    **{
        f"{kind}Grad": pair(lambda y, dy, kind=kind: getattr(raw, f"{kind}Grad")(y=y, dy=dy), np.abs(X) + 0.1, X)
        for kind in ("Sigmoid", "Tanh", "Sqrt", "Rsqrt", "Reciprocal", "Inv")
    },
    **{
        f"{kind}Grad": pair(
            lambda gradients, features, kind=kind: getattr(raw, f"{kind}Grad")(gradients=gradients, features=features),
            X, EDGES)
        for kind in ("Relu6", "Softplus", "Softsign", "LeakyRelu")
    },
    **{
        f"{kind}Grad": pair(
            lambda gradients, outputs, kind=kind: getattr(raw, f"{kind}Grad")(gradients=gradients, outputs=outputs),
            X, np.tanh(X))
        for kind in ("Elu", "Selu")
    },
    "BiasAddGrad": (lambda out_backprop: raw.BiasAddGrad(out_backprop=out_backprop), [floats(1, 4, 3)], lambda f, x: f(x)),
    "UnsortedSegmentProd": (tf.math.unsorted_segment_prod, [floats(1, 5, 3)],
                            lambda f, x: f(x[0], tf.cast(x[0, :, 0] > 0, tf.int32), 4)),
    **{
        f"SparseSegment{kind}": (getattr(tf.sparse, f"segment_{name}"), [floats(1, 5, 3)],
                                 lambda f, x: f(x[0], tf.cast(x[0, :3, 0] > 0, tf.int32), [0, 0, 1]))
        for kind, name in (("Sum", "sum"), ("Mean", "mean"), ("SqrtN", "sqrt_n"))
    },
    **{
        f"SparseSegment{kind}WithNumSegments": (
            getattr(tf.sparse, f"segment_{name}"), [floats(1, 5, 3)],
            lambda f, x: f(x[0], tf.cast(x[0, :3, 0] > 0, tf.int32), [0, 0, 1], num_segments=3))
        for kind, name in (("Sum", "sum"), ("Mean", "mean"), ("SqrtN", "sqrt_n"))
    },
    "Unique": (tf.unique, [whole(1, 7, high=4)], lambda f, x: f(x[0])),
    "UniqueWithCounts": (tf.unique_with_counts, [whole(1, 7, high=4)], lambda f, x: f(x[0])),
    "Identity__data": (tf.identity, [whole(1, 7, high=4)], lambda f, x: f(x)),
    "MulNoNan": pair(tf.math.multiply_no_nan, X, ZEROS),
    "AccumulateNV2": (tf.math.accumulate_n, [X, EDGES], lambda f, x, y: f([x, y])),
    "HistogramFixedWidth": (tf.histogram_fixed_width, [floats(1, 9)], lambda f, x: f(x, [-1.0, 1.5], nbins=5)),
    "Qr": unary(tf.linalg.qr, floats(1, 4, 3)),
    "LogMatrixDeterminant": unary(tf.linalg.slogdet, MATRIX),
    "BatchMatMulV3": (lambda x, y: raw.BatchMatMulV3(x=x, y=y, Tout=tf.float32), [floats(1, 3, 4), floats(1, 4, 5)],
                      lambda f, x, y: f(x, y)),
}  # fmt: skip
#: No function makes these as they stand here, or TensorFlow cannot run them on a processor.
UNCALLED = {"XlaDynamicUpdateSlice", "XlaGather", "DepthwiseConv2dNative"} | {  # nor those that only graphs hold, or that draw
    r.name for r in all_recipes()
    if r.replaces.startswith("tf.raw_ops.") and r.op not in {name.partition(" ")[0] for name in CALLED}
    or r.op in ("RandomShuffle", "Diag", "DiagPart", "CTCGreedyDecoder", "Svd", "StridedSlice")
}  # fmt: skip


def plain(result: Any) -> list[Any]:
    """The results as a Core ML output may be."""
    if isinstance(result, (list, tuple)):
        return [p for r in result for p in plain(r)]
    if result.dtype.is_complex:
        return [tf.math.real(result), tf.math.imag(result)]
    wanted = tf.int32 if result.dtype.is_integer else tf.float32
    return [tf.identity(result) if result.dtype in (tf.int32, tf.float32) else tf.cast(result, wanted)]


class Around(keras.layers.Layer):
    """A layer that makes the call, as a user would write it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def call(self, *inputs: Any) -> Any:
        made = self.function(*inputs)
        return made if len(made) > 1 else made[0]


def convert(function: Callable[..., Any], arrays: list[Any], form: str) -> str | None:
    """Convert the whole; return the error, or None."""
    batch = None if form.endswith("open") else 1
    private_api.reset()
    try:
        if form.startswith("keras"):
            inputs = [keras.Input(a.shape[1:], batch_size=batch, dtype=a.dtype.name) for a in arrays]
            source: Any = keras.Model(inputs, Around(function)(*inputs))
        else:
            specs = [tf.TensorSpec((batch, *a.shape[1:]), a.dtype) for a in arrays]
            source = [tf.function(function, autograph=False).get_concrete_function(*specs)]
        ct.convert(source, source="tensorflow", skip_model_load=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[-300:]
    return None


def code_of(recipe: str) -> Callable[..., Any]:
    """The function that the report's text defines."""
    known: dict[str, Any] = {}
    code = next(r.code for r in all_recipes() if r.name == recipe)
    exec(compile(code, recipe, "exec"), known)
    (name,) = [n for n, v in known.items() if callable(v) and not n.startswith("_") and n not in ("tf", "math")]
    return known[name]  # type: ignore[no-any-return]


def check(sample: str) -> dict[str, Any]:
    api, arrays, call = CALLED[sample]
    own = code_of(sample.partition(" ")[0])
    found: dict[str, Any] = {}
    for form in FORMS:
        found[form] = convert(lambda *x: plain(call(own, *x)), arrays, form)
    joined = [np.concatenate([a, a]) for a in arrays]
    for name, given in (("batch 1", arrays), ("batch 2", joined)):
        try:
            tensors = [tf.constant(a) for a in given]
            wanted = [t.numpy() for t in plain(call(api, *tensors))]
            specs = [tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in given]
            made = tf.function(lambda *x: plain(call(own, *x)), autograph=False, input_signature=specs)(*tensors)
            found[f"values, {name}"] = apart([t.numpy() for t in made], wanted)
        except Exception as error:
            found[f"values, {name}"] = f"{type(error).__name__}: {error}"[-300:]
    return found


def apart(made: list[Any], wanted: list[Any]) -> str | None:
    """How results differ, or None."""
    if [m.shape for m in made] != [w.shape for w in wanted]:
        return f"shapes {[m.shape for m in made]} for {[w.shape for w in wanted]}"
    for m, w in zip(made, wanted, strict=True):
        if not np.allclose(m, w, rtol=1e-4, atol=1e-5, equal_nan=True):
            return f"values {m.reshape(-1)[:8]} for {w.reshape(-1)[:8]}"
    return None


def main() -> None:
    private_api.install()
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    rows = {}
    if not sys.argv[1:]:
        rows["uncalled"] = dict.fromkeys(UNCALLED)
    for sample in sys.argv[1:] or CALLED:
        try:
            rows[sample] = check(sample)
        except Exception as error:
            rows[sample] = {"error": f"{type(error).__name__}: {error}"[:600]}
        print(sample, {k: v for k, v in rows[sample].items() if v}, file=sys.stderr, flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
