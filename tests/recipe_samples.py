"""One use of an op for each recipe; as a program, it prints as JSON whether each converts and equals its original."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import coremltools as ct
import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.compiler.xla import xla_data_pb2

from bisect_convert.evaluator import Unevaluated, evaluate
from bisect_convert.worker import private_api
from bisect_convert.worker.rewrite.recipes_applied import rewritten

raw = tf.raw_ops
rng = np.random.default_rng(0)


def floats(*shape: int, low: float = -2.0, high: float = 2.0) -> Any:
    return rng.uniform(low, high, shape).astype(np.float32)


def whole(*shape: int, low: int = 0, high: int = 9) -> Any:
    return rng.integers(low, high, shape).astype(np.int32)


def bools(*shape: int) -> Any:
    return rng.integers(0, 2, shape).astype(bool)


def definite(n: int) -> Any:
    a = floats(n, n)
    return a @ a.T + n * np.eye(n, dtype=np.float32)


X = floats(2, 6)
IMAGE = floats(1, 8, 6, 3, low=0.0, high=1.0)
ODD = np.array([[1.0, np.nan, np.inf, -np.inf, 0.0, -3.0]], np.float32)
TURNED = np.array(
    [[0.9, 0.2, -0.6, -0.15, 1.1, 0.4, 0.01, -0.02], [1.0, 0.0, 2.0, 0.0, 1.0, -1.0, 0.0, 0.0]], np.float32
)
C = tf.complex
Sample = tuple[list[Any], Callable[..., Any]]

#: Inputs that the converter must not know the sizes of.
OPEN = {
    "BroadcastTo": [None, [None, 2, 6]],
    "UnsortedSegmentMax open": [[None, 2, 3], None],
    "ResizeArea as another": [[None, 8, 6, 3], [None, 4, 3, 1]],
    "RFFT": [[None, 3, 12]],
    "RFFT cropped": [[None, 12]],
    "FFT": [[None, 3, 6]],
    "IFFT": [[None, 3, 6]],
    "IRFFT": [[None, 3, 6]],
    "IRFFT odd": [[None, 7]],
    "ResizeBilinear__const": [[1, None, None, 3]],
    "StridedSliceGrad open": [[None, 3]],
    "BroadcastGradientArgs": [[None, 6]],
}
#: TensorFlow cannot run these on a processor: only the conversion is looked at.
NOT_RUN = {"DepthwiseConv2dNative", "XlaDynamicUpdateSlice"}


def complexes(op: Callable[..., Any], count: int = 1) -> Sample:
    parts = [floats(2, 4, 4) for _ in range(2 * count)]
    return parts, lambda *p: op(*[C(p[2 * i], p[2 * i + 1]) for i in range(count)])


def gathering(**numbers: list[int]) -> bytes:
    return xla_data_pb2.GatherDimensionNumbers(index_vector_dim=1, **numbers).SerializeToString()


def unary(op: Any, x: Any = X) -> Sample:
    return [x], lambda x: op(x=x)


SAMPLES: dict[str, Sample] = {
    "Erfc": unary(raw.Erfc),
    "Erfinv": unary(raw.Erfinv, floats(2, 6, low=-0.99, high=0.99)),
    "Ndtri": unary(raw.Ndtri, floats(2, 6, low=0.01, high=0.99)),
    "Expm1": unary(raw.Expm1),
    "Asinh": unary(raw.Asinh),
    "Acosh": unary(raw.Acosh, floats(2, 6, low=1.1, high=4.0)),
    "Atan2": ([X, np.array([0.0, 1.0, -1.0, -0.5, 2.0, 0.0], np.float32)], lambda y, x: raw.Atan2(y=y, x=x)),
    "Lgamma": unary(raw.Lgamma, floats(2, 6, low=0.3, high=5.0)),
    "Digamma": unary(raw.Digamma, floats(2, 6, low=0.3, high=5.0)),
    "Xlogy": ([X, floats(2, 6, low=0.1)], lambda x, y: raw.Xlogy(x=tf.nn.relu(x), y=y)),
    "Xlog1py": ([X, floats(2, 6, low=0.1)], lambda x, y: raw.Xlog1py(x=tf.nn.relu(x), y=y)),
    "Xdivy": ([X, floats(2, 6, low=0.1)], lambda x, y: raw.Xdivy(x=tf.nn.relu(x), y=y)),
    "Rint": unary(raw.Rint),
    "Inv": unary(raw.Inv),
    "IsNan": unary(raw.IsNan, ODD),
    "IsInf": unary(raw.IsInf, ODD),
    "IsFinite": ([ODD], lambda x: raw.IsFinite(x=tf.squeeze(x[:, 1:2]))),
    "OnesLike": unary(raw.OnesLike),
    "Cast__bool": ([whole(2, 6, high=2)], lambda x: tf.cast(x, tf.bool)),
    "Cast__uint8_int8_uint16_int16_uint32": ([whole(2, 6).astype(np.float32)], lambda x: tf.cast(x, tf.uint8)),
    "Cast__bfloat16": ([whole(2, 6).astype(np.float32)], lambda x: tf.cast(x, tf.bfloat16)),
    "Cast__complex64": ([X], lambda x: tf.cast(x, tf.complex64)),
    "Equal__bool": ([X, X.T.reshape(2, 6)], lambda x, y: raw.Equal(x=x > 0, y=y > 0)),
    "NotEqual__bool": ([X, X.T.reshape(2, 6)], lambda x, y: raw.NotEqual(x=x > 0, y=y > 0)),
    "TruncateDiv": ([whole(9, low=-9), whole(9, low=1)], lambda x, y: raw.TruncateDiv(x=x, y=y)),
    "TruncateMod": ([whole(9, low=-9), whole(9, low=1)], lambda x, y: raw.TruncateMod(x=x, y=y)),
    "Mod": ([floats(9), floats(9, low=0.5)], lambda x, y: raw.Mod(x=x, y=y)),
    "LeftShift": ([whole(9), whole(9, high=4)], lambda x, y: raw.LeftShift(x=x, y=y)),
    "RightShift": ([whole(9, low=-99, high=99), whole(9, high=4)], lambda x, y: raw.RightShift(x=x, y=y)),
    "Invert": unary(raw.Invert, whole(9, low=-9)),
    "BitwiseAnd": ([whole(9, high=60000), whole(9, high=60000)], lambda x, y: raw.BitwiseAnd(x=x, y=y)),
    "BitwiseOr": ([whole(9, high=60000), whole(9, high=60000)], lambda x, y: raw.BitwiseOr(x=x, y=y)),
    "BitwiseXor": ([whole(9, high=60000), whole(9, high=60000)], lambda x, y: raw.BitwiseXor(x=x, y=y)),
    "Bucketize": ([X], lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 0.0, 1.5])),
    "LinSpace": ([floats(2)], lambda x: raw.LinSpace(start=x[0], stop=x[1], num=5)),
    "L2Loss": ([X], lambda x: raw.L2Loss(t=x)),
    "FakeQuantWithMinMaxVars": (
        [X], lambda x: raw.FakeQuantWithMinMaxVars(inputs=x, min=tf.reduce_min(x), max=tf.reduce_max(x)),
    ),
    "FakeQuantWithMinMaxArgs": ([X], lambda x: raw.FakeQuantWithMinMaxArgs(inputs=x, min=-1.0, max=1.5)),
    "FakeQuantWithMinMaxVarsPerChannel": ([IMAGE], lambda x: raw.FakeQuantWithMinMaxVarsPerChannel(
        inputs=x, min=[0.1, 0.0, -0.2], max=[0.5, 0.9, 1.0])),
    "ReluGrad": ([X, X[::-1].copy()], lambda g, x: raw.ReluGrad(gradients=g, features=x)),
    "FusedBatchNormV3": ([IMAGE, floats(3), floats(3)], lambda x, a, b: raw.FusedBatchNormV3(
        x=x, scale=a, offset=b, mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0], is_training=False)[0]),
    "Roll": ([floats(2, 5, 6)], lambda x: raw.Roll(input=x, shift=[2, -3], axis=[1, 2])),
    "ShapeN": ([X, floats(3, 1)], lambda x, y: tf.cast(tf.concat(raw.ShapeN(input=[x, y]), 0), tf.float32) + x[0, 0]),
    "EnsureShape": ([X], lambda x: raw.EnsureShape(input=x, shape=[None, 6])),
    "BroadcastTo": ([X, floats(5, 2, 6)], lambda x, y: raw.BroadcastTo(input=x, shape=tf.shape(y))),
    "UnsortedSegmentSum": ([floats(5, 2, 3), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentSum(
        data=x, segment_ids=i, num_segments=4)),
    "UnsortedSegmentSum whole": ([whole(5, 2, high=2**28), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentSum(
        data=x, segment_ids=i, num_segments=4)),
    "UnsortedSegmentMax open": ([floats(5, 2, 3), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentMax(
        data=x, segment_ids=i, num_segments=4)),
    "UnsortedSegmentMax": ([floats(5, 2, 3), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentMax(
        data=x, segment_ids=i, num_segments=4)),
    "UnsortedSegmentMin": ([floats(5, 2, 3), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentMin(
        data=x, segment_ids=i, num_segments=4)),
    "SegmentSum": ([floats(5, 3), np.array([0, 0, 1, 2, 2], np.int32)],
                   lambda x, i: raw.SegmentSum(data=x, segment_ids=i)),
    "SegmentMean": ([floats(5, 3), np.array([0, 0, 1, 2, 2], np.int32)],
                    lambda x, i: raw.SegmentMean(data=x, segment_ids=i)),
    "SegmentMax": ([floats(5, 3), np.array([0, 0, 1, 2, 2], np.int32)],
                   lambda x, i: raw.SegmentMax(data=x, segment_ids=i)),
    "SegmentMin": ([floats(5, 3), np.array([0, 0, 1, 2, 2], np.int32)],
                   lambda x, i: raw.SegmentMin(data=x, segment_ids=i)),
    "InvertPermutation": ([np.array([2, 0, 3, 1], np.int32)], lambda x: raw.InvertPermutation(x=x)),
    "TensorStridedSliceUpdate": ([floats(5, 3), whole(1, low=1, high=3), floats(2, 2)], lambda x, i, u: (
        raw.TensorStridedSliceUpdate(
            input=x, begin=tf.concat([i, [0]], 0), end=tf.concat([i + 2, [-1]], 0), strides=[1, 1], value=u))),
    "TensorStridedSliceUpdate row": ([floats(5, 3), whole(1, low=1, high=5), floats(3)], lambda x, i, u: (
        raw.TensorStridedSliceUpdate(
            input=x, begin=i, end=i + 1, strides=[1], value=u, shrink_axis_mask=1))),
    "TensorScatterUpdate": ([floats(5, 3), np.array([[3], [1]], np.int32), floats(2, 3)],
                            lambda x, i, u: raw.TensorScatterUpdate(tensor=x, indices=i, updates=u)),
    "TensorScatterSub": ([floats(5, 3), np.array([[3], [1]], np.int32), floats(2, 3)],
                         lambda x, i, u: raw.TensorScatterSub(tensor=x, indices=i, updates=u)),
    "TensorScatterMax": ([floats(5, 3), np.array([[3], [1]], np.int32), floats(2, 3)],
                         lambda x, i, u: raw.TensorScatterMax(tensor=x, indices=i, updates=u)),
    "TensorScatterMin": ([floats(5, 3), np.array([[3], [1]], np.int32), floats(2, 3)],
                         lambda x, i, u: raw.TensorScatterMin(tensor=x, indices=i, updates=u)),
    "SparseTensorDenseMatMul": ([floats(3), floats(5, 2)], lambda v, b: raw.SparseTensorDenseMatMul(
        a_indices=tf.constant([[0, 1], [2, 0], [3, 4]], tf.int64), a_values=v, a_shape=tf.constant([4, 5], tf.int64), b=b)),
    "SparseToDense": ([np.array([[0, 1], [1, 2]], np.int32), floats(2)], lambda i, v: raw.SparseToDense(
        sparse_indices=i, output_shape=[2, 4], sparse_values=v, default_value=-1.0)),
    "MatrixSetDiagV3": ([floats(2, 4, 4), floats(2, 4)], lambda x, d: raw.MatrixSetDiagV3(input=x, diagonal=d, k=0)),
    "MatrixDiagV3": ([floats(2, 4)], lambda d: raw.MatrixDiagV3(
        diagonal=d, k=0, num_rows=-1, num_cols=-1, padding_value=0.0)),
    "MatrixDiagPartV3": ([floats(2, 4, 4)], lambda x: raw.MatrixDiagPartV3(input=x, k=0, padding_value=0.0)),
    "MatrixBandPart": ([floats(2, 4, 4), whole(1, low=1, high=3)], lambda x, n: raw.MatrixBandPart(
        input=x, num_lower=n[0], num_upper=0)),
    "UnravelIndex": ([whole(5, high=24)], lambda i: raw.UnravelIndex(indices=i, dims=[4, 6])),
    "DenseBincount": ([whole(3, 5, high=4)], lambda i: raw.DenseBincount(
        input=i, size=4, weights=tf.zeros([0], tf.float32))),
    "XlaDynamicUpdateSlice": ([floats(2, 6, 4), floats(1, 3, 4), whole(3, high=5)],
                              lambda x, u, at: gen_xla_ops.xla_dynamic_update_slice(input=x, update=u, indices=at)),
    "XlaDynamicUpdateSlice whole": ([whole(1, 9), whole(1, 2)],
                                    lambda x, u: gen_xla_ops.xla_dynamic_update_slice(input=x, update=u, indices=[0, 8])),
    "ResizeBilinear__const": ([IMAGE], lambda x: raw.ResizeBilinear(images=x, size=[5, 9], half_pixel_centers=True)),
    **{
        f"ImageProjectiveTransformV3 {way}": (
            [floats(2, 8, 6, 3), TURNED],
            lambda x, t, way=way: raw.ImageProjectiveTransformV3(
                images=x, transforms=t, output_shape=[7, 9], fill_value=0.5, interpolation=way),
        ) for way in ("BILINEAR", "NEAREST")
    },
    "DenseBincount weights": ([whole(3, 5, high=4), floats(3, 5)], lambda i, w: raw.DenseBincount(
        input=i, size=4, weights=w)),
    "DenseBincount binary": ([whole(3, 5, high=4)], lambda i: raw.DenseBincount(
        input=i, size=6, weights=tf.zeros([0], tf.float32), binary_output=True)),
    "LowerBound": ([np.array([[0.0, 0.5, 1.0]], np.float32), floats(1, 7)],
                   lambda s, v: raw.LowerBound(sorted_inputs=s, values=v)),
    "UpperBound": ([np.array([[0.0, 0.5, 1.0]], np.float32), floats(1, 7)],
                   lambda s, v: raw.UpperBound(sorted_inputs=s, values=v)),
    "DynamicPartition": ([floats(5, 3), whole(5, high=2)], lambda x, p: raw.DynamicPartition(
        data=x, partitions=p, num_partitions=2)),
    "DynamicStitch": ([np.array([3, 0], np.int32), np.array([1, 2], np.int32), floats(2, 3), floats(2, 3)],
                      lambda i, j, x, y: raw.DynamicStitch(indices=[i, j], data=[x, y])),
    "Cumprod": ([floats(2, 5, 3)], lambda x: raw.Cumprod(x=x, axis=1, exclusive=True, reverse=True)),
    "CumulativeLogsumexp": ([floats(2, 5, 3)], lambda x: raw.CumulativeLogsumexp(x=x, axis=1)),
    "Einsum": ([floats(2, 4, 4)], lambda x: raw.Einsum(inputs=[x], equation="...ii->...i")),
    "MirrorPad": ([floats(1, 4, 5, 6, 2)], lambda x: raw.MirrorPad(
        input=x, paddings=[[0, 0], [1, 2], [2, 1], [1, 1], [0, 0]], mode="REFLECT")),
    "PadV2__bool": ([X], lambda x: raw.PadV2(input=x > 0, paddings=[[0, 0], [1, 2]], constant_values=True)),
    "OneHot__uint8_int8": ([whole(5, high=4)], lambda i: raw.OneHot(
        indices=i, depth=4, on_value=tf.constant(1, tf.uint8), off_value=tf.constant(0, tf.uint8), axis=-1)),
    "GatherV2__bool": ([X, whole(3, high=6)], lambda x, i: raw.GatherV2(params=x > 0, indices=i, axis=1)),
    "GatherNd__bool": ([X, whole(3, 1, high=2)], lambda x, i: raw.GatherNd(params=x > 0, indices=i)),
    "ResizeBicubic": ([IMAGE], lambda x: raw.ResizeBicubic(images=x, size=[16, 9], half_pixel_centers=True)),
    "ResizeNearestNeighbor": ([IMAGE], lambda x: raw.ResizeNearestNeighbor(
        images=x, size=[15, 11], align_corners=True)),
    "ResizeArea": ([IMAGE], lambda x: raw.ResizeArea(images=x, size=[4, 3])),
    "ResizeArea as another": ([floats(2, 8, 6, 3), floats(2, 4, 3, 1)], lambda x, y: raw.ResizeArea(
        images=x, size=tf.shape(y)[1:3])),
    "ScaleAndTranslate": ([IMAGE], lambda x: raw.ScaleAndTranslate(
        images=x, size=[4, 9], scale=[0.5, 1.5], translation=[0.0, 0.0], kernel_type="lanczos3", antialias=True)),
    "HSVToRGB": ([IMAGE], lambda x: raw.HSVToRGB(images=x)),
    "RGBToHSV": ([IMAGE], lambda x: raw.RGBToHSV(images=x)),
    "AdjustSaturation": ([IMAGE], lambda x: raw.AdjustSaturation(images=x, scale=1.5)),
    "AdjustHue": ([IMAGE], lambda x: raw.AdjustHue(images=x, delta=0.3)),
    "AdjustContrastv2": ([IMAGE], lambda x: raw.AdjustContrastv2(images=x, contrast_factor=1.5)),
    "MaxPool__explicit": ([IMAGE], lambda x: raw.MaxPool(
        input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="EXPLICIT",
        explicit_paddings=[0, 0, 1, 1, 0, 1, 0, 0])),
    "MaxPool__int32_int64_uint8_int8": ([whole(1, 8, 6, 3)], lambda x: raw.MaxPool(
        input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")),
    "MaxPoolWithArgmax": ([IMAGE], lambda x: raw.MaxPoolWithArgmax(
        input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")),
    "CropAndResize": ([IMAGE, np.array([[0.1, 0.0, 0.9, 1.2], [0.0, 0.2, 1.0, 0.7]], np.float32)],
                      lambda x, b: raw.CropAndResize(
        image=x, boxes=b, box_ind=[0, 0], crop_size=[5, 4], method="nearest", extrapolation_value=0.5)),
    "CombinedNonMaxSuppression": ([floats(1, 12, 1, 4, low=0.0, high=1.0), floats(1, 12, 3, low=0.0, high=1.0)],
                                  lambda b, s: raw.CombinedNonMaxSuppression(
        boxes=b, scores=s, max_output_size_per_class=3, max_total_size=11, iou_threshold=0.3, score_threshold=0.2)),
    "Dilation2D": ([IMAGE], lambda x: raw.Dilation2D(
        input=x, filter=floats(3, 3, 3), strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding="SAME")),
    "ExtractImagePatches": ([IMAGE], lambda x: raw.ExtractImagePatches(
        images=x, ksizes=[1, 2, 2, 1], strides=[1, 2, 1, 1], rates=[1, 2, 2, 1], padding="VALID")),
    "DepthToSpace__int32_int64_uint8_int8": ([whole(1, 3, 2, 8)], lambda x: raw.DepthToSpace(input=x, block_size=2)),
    "DepthwiseConv2dNative": ([floats(1, 3, 6, 4)], lambda x: raw.DepthwiseConv2dNative(
        input=x, filter=floats(2, 2, 3, 1), strides=[1, 1, 1, 1], padding="SAME", data_format="NCHW")),
    "ComplexAbs": complexes(lambda x: raw.ComplexAbs(x=x)),
    "Angle": complexes(lambda x: raw.Angle(input=x)),
    "Conj": complexes(lambda x: raw.Conj(input=x)),
    "RFFT": ([floats(2, 3, 12)], lambda x: raw.RFFT(input=x, fft_length=[12])),
    "RFFT cropped": ([floats(2, 12)], lambda x: raw.RFFT(input=x, fft_length=[8])),
    "FFT": ([floats(2, 3, 6)], lambda x: raw.FFT(input=C(x, 2.0 * x))),
    "IFFT": ([floats(2, 3, 6)], lambda x: raw.IFFT(input=C(x, 2.0 * x))),
    "IRFFT": ([floats(2, 3, 6)], lambda x: raw.IRFFT(input=C(x, 2.0 * x), fft_length=[10])),
    "IRFFT odd": ([floats(2, 7)], lambda x: raw.IRFFT(input=C(x, 2.0 * x), fft_length=[11])),
    "FFT2D": complexes(lambda x: raw.FFT2D(input=x)),
    "IFFT2D": complexes(lambda x: raw.IFFT2D(input=x)),
    "RFFT2D": ([floats(2, 4, 8)], lambda x: raw.RFFT2D(input=x, fft_length=[4, 8])),
    "IRFFT2D": complexes(lambda x: raw.IRFFT2D(input=x, fft_length=[4, 6])),
    "RealDiv__complex64": complexes(lambda x, y: raw.RealDiv(x=x, y=y), 2),
    "Neg__complex64": complexes(lambda x: raw.Neg(x=x)),
    "StridedSlice__complex64": complexes(lambda x: x[:, 1:3, ::2]),
    "Slice__complex64": complexes(lambda x: raw.Slice(input=x, begin=[0, 1, 0], size=[2, 2, 3])),
    "GatherV2__complex64": complexes(lambda x: raw.GatherV2(params=x, indices=[3, 1], axis=2)),
    "Sum__complex64": complexes(lambda x: raw.Sum(input=x, axis=[1], keep_dims=True)),
    "ExpandDims__complex64": complexes(lambda x: raw.ExpandDims(input=x, axis=1)),
    "Squeeze__complex64": (
        [floats(2, 1, 4), floats(2, 1, 4)], lambda a, b: raw.Squeeze(input=C(a, b), axis=[1])),
    "Mul__complex64": complexes(lambda x, y: raw.Mul(x=x, y=y), 2),
    "AddV2__complex64": complexes(lambda x, y: raw.AddV2(x=x, y=y), 2),
    "Sub__complex64": complexes(lambda x, y: raw.Sub(x=x, y=y), 2),
    "Transpose__complex64": complexes(lambda x: raw.Transpose(x=x, perm=[0, 2, 1])),
    "Reshape__complex64": complexes(lambda x: raw.Reshape(tensor=x, shape=[2, 16])),
    "ConcatV2__complex64": complexes(lambda x, y: raw.ConcatV2(values=[x, y], axis=1), 2),
    "Pack__complex64": complexes(lambda x, y: raw.Pack(values=[x, y], axis=1), 2),
    "Cholesky": ([definite(4)], lambda x: raw.Cholesky(input=x)),
    "MatrixTriangularSolve": ([definite(4), floats(4, 2)], lambda a, b: raw.MatrixTriangularSolve(
        matrix=a, rhs=b, lower=True, adjoint=True)),
    "MatrixDeterminant": ([floats(2, 3, 3)], lambda x: raw.MatrixDeterminant(input=x)),
    "MatrixInverse": ([definite(4)], lambda x: raw.MatrixInverse(input=x)),
    "MatrixSolve": ([definite(4), floats(4, 2)], lambda a, b: raw.MatrixSolve(matrix=a, rhs=b)),
    **{
        f"{kind}Grad": ([floats(2, 6, low=0.1, high=0.9), X], lambda y, g, kind=kind: getattr(raw, f"{kind}Grad")(y=y, dy=g))
        for kind in ("Sigmoid", "Tanh", "Sqrt", "Rsqrt", "Reciprocal", "Inv")
    },
    **{
        f"{kind}Grad": ([X, 4.0 * X[::-1].copy()], lambda g, x, kind=kind: getattr(raw, f"{kind}Grad")(
            gradients=g, features=x))
        for kind in ("Relu6", "LeakyRelu", "Softplus", "Softsign")
    },
    **{
        f"{kind}Grad": ([X, X[::-1].copy()], lambda g, y, kind=kind: getattr(raw, f"{kind}Grad")(
            gradients=g, outputs=tf.nn.elu(y)))
        for kind in ("Elu", "Selu")
    },
    "BiasAddGrad": ([floats(2, 4, 3)], lambda g: raw.BiasAddGrad(out_backprop=g)),
    "StridedSliceGrad": ([floats(2, 3)], lambda g: raw.StridedSliceGrad(
        shape=[2, 5, 4], begin=[0, 2, -3], end=[0, 0, 9], strides=[1, 1, 1], dy=g, begin_mask=1, end_mask=5,
        shrink_axis_mask=2)),
    "StridedSliceGrad open": ([floats(2, 3)], lambda g: raw.StridedSliceGrad(
        shape=tf.concat([tf.shape(g)[:1], [5]], 0), begin=[0, 1], end=[0, -1], strides=[1, 1], dy=g, begin_mask=1,
        end_mask=1)),
    "BroadcastGradientArgs": ([X], lambda x: tf.reduce_sum(
        x, raw.BroadcastGradientArgs(s0=[1, 6], s1=tf.shape(x))[0])),
    "UnsortedSegmentProd": ([floats(5, 2, 3), whole(5, high=4)], lambda x, i: raw.UnsortedSegmentProd(
        data=x, segment_ids=i, num_segments=4)),
    "SegmentProd": ([floats(5, 3), np.array([0, 0, 1, 2, 2], np.int32)],
                    lambda x, i: raw.SegmentProd(data=x, segment_ids=i)),
    "SegmentMin gap": ([floats(5, 3), np.array([0, 0, 1, 3, 3], np.int32)],
                       lambda x, i: raw.SegmentMin(data=x, segment_ids=i)),
    **{
        f"SparseSegment{kind}": ([floats(6, 3), whole(5, high=6), np.array([0, 0, 2, 3, 3], np.int32)],
                                 lambda x, i, s, kind=kind: getattr(raw, f"SparseSegment{kind}")(
                                     data=x, indices=i, segment_ids=s))
        for kind in ("Sum", "Mean", "SqrtN")
    },
    **{
        f"SparseSegment{kind}WithNumSegments": (
            [floats(6, 3), whole(5, high=6), np.array([0, 0, 2, 3, 3], np.int32)],
            lambda x, i, s, kind=kind: getattr(raw, f"SparseSegment{kind}WithNumSegments")(
                data=x, indices=i, segment_ids=s, num_segments=6))
        for kind in ("Sum", "Mean", "SqrtN")
    },
    "QuantizeAndDequantizeV2": ([X], lambda x: raw.QuantizeAndDequantizeV2(
        input=x, input_min=-1.0, input_max=0.7, range_given=True)),
    "QuantizeAndDequantizeV2 found": ([X], lambda x: raw.QuantizeAndDequantizeV2(
        input=x, input_min=0.0, input_max=0.0, num_bits=4, round_mode="HALF_UP", narrow_range=True)),
    "QuantizeAndDequantizeV3": ([X], lambda x: raw.QuantizeAndDequantizeV3(
        input=tf.nn.relu(x), input_min=0.0, input_max=1.5, num_bits=8, signed_input=False, range_given=True)),
    "QuantizeAndDequantizeV4": ([X], lambda x: raw.QuantizeAndDequantizeV4(
        input=x, input_min=-1.0, input_max=2.0, range_given=True)),
    "Identity__data": ([whole(2, 6)], lambda x: raw.Identity(input=x)),
    "StridedSlice__list": ([floats(4, 5)], lambda x: x[..., 1:3, ::2]),
    "Unique": ([np.array([3, 1, 3, 7, 1], np.int32)], lambda x: raw.Unique(x=x)),
    "UniqueV2": ([np.array([3, 1, 3, 7, 1], np.int32)], lambda x: raw.UniqueV2(x=x, axis=[0])),
    "UniqueWithCounts": ([np.array([3, 1, 3, 7, 1], np.int32)], lambda x: raw.UniqueWithCounts(x=x)),
    "BiasAddV1": ([X, floats(6)], lambda x, b: raw.BiasAddV1(value=x, bias=b)),
    "AccumulateNV2": ([X, X[::-1].copy()], lambda x, y: raw.AccumulateNV2(inputs=[x, y], shape=[2, 6])),
    "MulNoNan": ([ODD, np.array([[1.0, 0.0, 0.0, 0.0, 2.0, 3.0]], np.float32)], lambda x, y: raw.MulNoNan(x=x, y=y)),
    "ApproximateEqual": ([X, X + 1e-3], lambda x, y: raw.ApproximateEqual(x=x, y=y, tolerance=0.01)),
    "SparseMatMul": ([floats(2, 3), floats(4, 3)], lambda a, b: raw.SparseMatMul(a=a, b=b, transpose_b=True)),
    "MatrixDiag": ([floats(2, 4)], lambda d: raw.MatrixDiag(diagonal=d)),
    "MatrixDiagPart": ([floats(2, 4, 4)], lambda x: raw.MatrixDiagPart(input=x)),
    "MatrixSetDiag": ([floats(2, 4, 4), floats(2, 4)], lambda x, d: raw.MatrixSetDiag(input=x, diagonal=d)),
    "Diag": ([floats(4)], lambda d: raw.Diag(diagonal=d)),
    "DiagPart": ([floats(4, 4)], lambda x: raw.DiagPart(input=x)),
    "SpaceToBatch": ([IMAGE], lambda x: raw.SpaceToBatch(input=x, paddings=[[0, 0], [1, 1]], block_size=2)),
    "BatchToSpace": ([floats(4, 4, 3, 2)], lambda x: raw.BatchToSpace(input=x, crops=[[0, 1], [1, 0]], block_size=2)),
    **{
        f"Inplace{kind}": ([floats(5, 2, 3), np.array([3, 1], np.int32), floats(2, 2, 3)],
                           lambda x, i, v, kind=kind: getattr(raw, f"Inplace{kind}")(x=x + 0.0, i=i, v=v))
        for kind in ("Update", "Add", "Sub")
    },
    "Bincount": ([whole(7, high=4)], lambda i: raw.Bincount(arr=i, size=4, weights=tf.zeros([0], tf.float32))),
    "HistogramFixedWidth": ([floats(3, 9)], lambda x: raw.HistogramFixedWidth(
        values=x, value_range=[-1.0, 1.5], nbins=5)),
    "PopulationCount": ([whole(9, low=-99, high=2**30)], lambda x: tf.cast(raw.PopulationCount(x=x), tf.int32)),
    "NthElement": ([floats(3, 9)], lambda x: raw.NthElement(input=x, n=2)),
    "NthElement reverse": ([floats(3, 9)], lambda x: raw.NthElement(input=x, n=2, reverse=True)),
    "NonMaxSuppressionV2": ([floats(8, 4, low=0.0, high=1.0), floats(8, low=0.0, high=1.0)],
                            lambda b, s: raw.NonMaxSuppressionV2(
        boxes=b, scores=s, max_output_size=8, iou_threshold=1.0)),
    "NonMaxSuppressionV4": ([floats(12, 4, low=0.0, high=1.0), floats(12, low=0.0, high=1.0)],
                            lambda b, s: raw.NonMaxSuppressionV4(
        boxes=b, scores=s, max_output_size=9, iou_threshold=0.1, score_threshold=0.3, pad_to_max_output_size=True)),
    **{
        f"NonMaxSuppressionV5 {word}": ([floats(12, 4, low=0.0, high=1.0), floats(12, low=0.0, high=1.0)],
                                        lambda b, s, sigma=sigma, pad=pad: raw.NonMaxSuppressionV5(
            boxes=b, scores=s, max_output_size=9, iou_threshold=0.1, score_threshold=0.3, soft_nms_sigma=sigma,
            pad_to_max_output_size=pad))
        for word, sigma, pad in (("padded", 0.5, True), ("open", 0.5, False))
    },
    "SparseReshape": ([np.array([[0, 1, 0], [1, 0, 1], [1, 2, 0]], np.int32)], lambda i: raw.SparseReshape(
        input_indices=tf.cast(i, tf.int64), input_shape=[2, 3, 2], new_shape=[-1, 4])),
    "SparseFillEmptyRows": ([np.array([[1, 0], [1, 2], [3, 1]], np.int32), floats(3)], lambda i, v: (
        raw.SparseFillEmptyRows(
            indices=tf.cast(i, tf.int64), values=v, dense_shape=tf.constant([5, 3], tf.int64), default_value=0.5))),
    "SparseFillEmptyRows whole": ([np.array([[1], [0], [3]], np.int32), whole(3)], lambda i, v: (
        raw.SparseFillEmptyRows(
            indices=tf.cast(i, tf.int64), values=tf.cast(v, tf.int64), dense_shape=tf.constant([4], tf.int64),
            default_value=tf.constant(7, tf.int64)))),
    "TensorListConcatV2": ([floats(2, 3), floats(4, 3)], lambda x, y: raw.TensorListConcatV2(
        input_handle=tf.TensorArray(tf.float32, 2, infer_shape=False, element_shape=[None, 3]).write(0, x).write(1, y).flow,
        element_shape=[-1, 3], leading_dims=tf.zeros([0], tf.int64), element_dtype=tf.float32)),
    **{
        f"XlaGather {word}": ([floats(6, 4), whole(3, len(starts), high=5)], lambda x, i, how=how, sizes=sizes: (
            gen_xla_ops.xla_gather(x, i, sizes, how, False)))
        for word, starts, sizes, how in (
            ("rows", [0], [1, 4], gathering(offset_dims=[1], collapsed_slice_dims=[0], start_index_map=[0])),
            ("blocks", [0, 1], [2, 3], gathering(offset_dims=[0, 2], start_index_map=[1, 0])),
        )
    },
    "CTCGreedyDecoder": ([floats(9, 2, 4), np.array([9, 7], np.int32)], lambda x, n: raw.CTCGreedyDecoder(
        inputs=x, sequence_length=n, merge_repeated=True)),
    "Qr": ([floats(2, 5, 3)], lambda x: raw.Qr(input=x)),
    "Qr square": ([floats(2, 3, 3)], lambda x: raw.Qr(input=x)),
    "LogMatrixDeterminant": ([floats(2, 5, 5)], lambda x: raw.LogMatrixDeterminant(input=x)),
    "MatrixSolveLs": ([floats(6, 3), floats(6, 2)], lambda a, b: raw.MatrixSolveLs(
        matrix=a, rhs=b, l2_regularizer=tf.constant(0.1, tf.float64), fast=True)),
    "BatchMatMulV3": ([floats(2, 3, 4), floats(2, 4, 5)], lambda x, y: raw.BatchMatMulV3(x=x, y=y, Tout=tf.float32)),
}  # fmt: skip


def convert(graph_def: Any) -> Any:
    """Convert as a probe does, in float32; return the model, or the error in words."""
    private_api.reset()
    try:
        return ct.convert(
            private_api.FrozenGraph(graph_def), source="tensorflow", skip_model_load=True,
            compute_precision=ct.precision.FLOAT32,
        )  # fmt: skip
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]


def evaluated(model: Any, graph_def: Any, feed: dict[str, Any]) -> str | None:
    """Say where the converted program makes something else than its graph does; None where it does not."""
    names = [f"{n.name}:0" for n in graph_def.node if n.name.startswith("rewritten_")]
    expected = values(graph_def, names, feed)
    given = {name.removesuffix(":0"): value for name, value in feed.items()}
    try:
        made = evaluate(model, given, "float32")
    except Unevaluated as error:
        return f"not evaluated: {error}"
    for name, wanted in zip(names, expected, strict=True):
        got = np.asarray(made[name.removesuffix(":0")])
        if got.size != wanted.size or not np.allclose(got.reshape(-1), wanted.reshape(-1), 2e-3, 1e-4, equal_nan=True):
            return f"{name}: {got.shape} {got.reshape(-1)[:4]} for {wanted.shape} {wanted.reshape(-1)[:4]}"
    return None


def values(graph_def: Any, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return list(session.run(outputs, feed))


def check(sample: str) -> dict[str, Any]:
    """Convert original and rewrite, run both, and say what came of it; behind the recipe's name a sample may say which."""
    arrays, build = SAMPLES[sample]
    recipe = sample.partition(" ")[0]
    feed = {f"in{i}:0": a for i, a in enumerate(arrays)}
    with tf.Graph().as_default() as graph:
        shapes = OPEN.get(sample) or [None] * len(arrays)
        made = build(*[
            tf.compat.v1.placeholder(a.dtype, shape or a.shape, f"in{i}")
            for i, (a, shape) in enumerate(zip(arrays, shapes, strict=True))
        ])  # fmt: skip
        op = [o for o in graph.get_operations() if o.type == recipe.partition("__")[0]][-1]
        tensors = [t for t in op.outputs] if len(op.outputs) > 1 and recipe != "FusedBatchNormV3" else [op.outputs[0]]
        del made
        shown = [tf.abs(t) if t.dtype.is_complex else tf.identity(t) for t in tensors]
    original = graph.as_graph_def(add_shapes=True)
    refused = convert(tf.compat.v1.graph_util.extract_sub_graph(original, [t.op.name for t in shown]))
    changed = rewritten(original, op.name, recipe).graph_def
    equal = recipe in NOT_RUN or same(original, [t.name for t in tensors], changed, feed)
    model = convert(changed)
    if isinstance(model, str):
        return {"refused": isinstance(refused, str), "error": model, "equal": equal, "evaluated": None}
    told = None if recipe in NOT_RUN else evaluated(model, changed, feed)
    return {"refused": isinstance(refused, str), "error": None, "equal": equal, "evaluated": told}


def same(original: Any, tensors: list[str], changed: Any, feed: dict[str, Any]) -> bool:
    """Whether both graphs compute the same."""
    expected = values(original, tensors, feed)
    names = [n.name for n in changed.node if n.name.startswith("rewritten_")]
    found = values(changed, [f"{n}:0" for n in names], feed)
    if names[0].endswith("_re"):
        found = [r + 1j * i for r, i in zip(found[::2], found[1::2], strict=True)]
    return len(found) == len(expected) and all(
        f.shape == e.shape and np.allclose(f.astype(e.dtype), e, rtol=2e-3, atol=1e-4, equal_nan=True)
        for f, e in zip(found, expected, strict=True)
    )


def main() -> None:
    private_api.install()
    gc.collect()
    gc.freeze()
    rows = {}
    for recipe in sys.argv[1:] or SAMPLES:
        try:
            rows[recipe] = check(recipe)
        except Exception as error:
            rows[recipe] = {"refused": "", "error": f"{type(error).__name__}: {error}"[:600], "equal": False}
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
