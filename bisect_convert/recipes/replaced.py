"""Which function of TensorFlow each recipe takes the place of, with its parameters, so that it is called like it.

Parameters of a recipe that the function has not (attributes of the op) stand behind the star, with what the op has by
default; where both say the same in other words, lines before the recipe's own say it in the op's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["REPLACED", "Replaced"]


class Replaced(NamedTuple):
    """A function of TensorFlow's interface, its parameters, and the lines that tell a recipe's own from them."""

    path: str
    parameters: str
    lines: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]


def _of(path: str, parameters: str, *lines: str) -> Replaced:
    return Replaced(path, parameters, lines)


_RESIZE = "preserve_aspect_ratio=False, antialias=False, name=None, *, align_corners=False"
_HALF = "half_pixel_centers=True"
_NARROW = "num_bits=8, narrow_range=False, name=None"
_POOL = 'padding, data_format="NHWC"'
_SQUARE = (
    "ksize, strides = ([1, n, n, 1] if isinstance(n, int) else [1, *n, 1] if len(n) == 2 else n for n in (ksize, strides))",
)
_DIAGONAL = 'k=0, align="RIGHT_LEFT"'

REPLACED: Mapping[str, Replaced] = {
    **{
        op: _of(f"tf.math.{name}", "x, name=None")
        for op, name in {
            "Erfc": "erfc", "Erfinv": "erfinv", "Ndtri": "ndtri", "Expm1": "expm1", "Asinh": "asinh", "Acosh": "acosh",
            "Lgamma": "lgamma", "Digamma": "digamma", "Rint": "rint", "IsNan": "is_nan", "IsInf": "is_inf",
            "IsFinite": "is_finite",
        }.items()
    },
    **{
        op: _of(path, "x, y, name=None")
        for op, path in {
            "Xlogy": "tf.math.xlogy", "Xlog1py": "tf.math.xlog1py", "Xdivy": "tf.math.xdivy", "Equal__bool": "tf.math.equal",
            "NotEqual__bool": "tf.math.not_equal", "TruncateDiv": "tf.truncatediv", "TruncateMod": "tf.truncatemod",
            "Mod": "tf.raw_ops.Mod", "LeftShift": "tf.bitwise.left_shift", "RightShift": "tf.bitwise.right_shift",
            "BitwiseAnd": "tf.bitwise.bitwise_and", "BitwiseOr": "tf.bitwise.bitwise_or",
            "BitwiseXor": "tf.bitwise.bitwise_xor", "Mul__complex64": "tf.math.multiply",
            "RealDiv__complex64": "tf.math.divide", "AddV2__complex64": "tf.math.add", "Sub__complex64": "tf.math.subtract",
        }.items()
    },
    "Atan2": _of("tf.math.atan2", "y, x, name=None"),
    "Inv": _of("tf.raw_ops.Inv", "x, name=None"),
    "Invert": _of("tf.bitwise.invert", "x, name=None"),
    "OnesLike": _of("tf.ones_like", "input, dtype=None, name=None",
                    "input = input if dtype is None else tf.cast(input, dtype)"),
    "Cast__bool": _of("tf.cast", "x, dtype, name=None"),
    "Cast__uint8_int8_uint16_int16_uint32": _of("tf.cast", "x, dtype, name=None", "DstT = tf.as_dtype(dtype)"),
    "Cast__bfloat16": _of("tf.cast", "x, dtype, name=None"),
    "Cast__complex64": _of("tf.cast", "x, dtype, name=None"),
    "Bucketize": _of("tf.raw_ops.Bucketize", "input, boundaries, name=None"),
    "LinSpace": _of("tf.raw_ops.LinSpace", "start, stop, num, name=None"),
    **{
        f"{kind}Grad": _of(f"tf.raw_ops.{kind}Grad", "y, dy, name=None")
        for kind in ("Sigmoid", "Tanh", "Sqrt", "Rsqrt", "Reciprocal", "Inv")
    },
    **{
        f"{kind}Grad": _of(f"tf.raw_ops.{kind}Grad", "gradients, features, name=None")
        for kind in ("Relu", "Relu6", "Softplus", "Softsign")
    },
    **{
        f"{kind}Grad": _of(f"tf.raw_ops.{kind}Grad", "gradients, outputs, name=None") for kind in ("Elu", "Selu")
    },
    "LeakyReluGrad": _of("tf.raw_ops.LeakyReluGrad", "gradients, features, alpha=0.2, name=None"),
    "BiasAddGrad": _of("tf.raw_ops.BiasAddGrad", 'out_backprop, data_format="NHWC", name=None'),
    "StridedSliceGrad": _of(
        "tf.raw_ops.StridedSliceGrad",
        "shape, begin, end, strides, dy, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0, "
        "name=None"),
    "BroadcastGradientArgs": _of("tf.raw_ops.BroadcastGradientArgs", "s0, s1, name=None"),
    **{
        f"QuantizeAndDequantize{version}": _of(
            f"tf.raw_ops.QuantizeAndDequantize{version}",
            f"input, input_min, input_max, {bits}signed_input=True, {more}range_given=False, {mode}narrow_range=False, "
            "axis=-1, name=None")
        for version, bits, more, mode in (
            ("V2", "", "num_bits=8, ", 'round_mode="HALF_TO_EVEN", '), ("V3", "num_bits, ", "", ""),
            ("V4", "", "num_bits=8, ", 'round_mode="HALF_TO_EVEN", '))
    },
    "Identity__data": _of("tf.identity", "input, name=None"),
    "StridedSlice__list": _of(
        "tf.strided_slice",
        "input_, begin, end, strides=None, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0, "
        "var=None, name=None", "strides = [1] * len(begin) if strides is None else strides",
        "begin, end, strides = map(tf.convert_to_tensor, (begin, end, strides))"),
    "Unique": _of("tf.unique", "x, out_idx=tf.int32, name=None"),
    "UniqueV2": _of("tf.raw_ops.UniqueV2", "x, axis, out_idx=tf.int32, name=None"),
    "UniqueWithCounts": _of("tf.unique_with_counts", "x, out_idx=tf.int32, name=None"),
    **{
        f"Stateless{kind}": _of(f"tf.raw_ops.Stateless{kind}", parameters)
        for kind, parameters in {
            "RandomUniformV2": "shape, key, counter, alg, dtype=tf.float32, name=None",
            "RandomUniform": "shape, seed, dtype=tf.float32, name=None",
            "RandomNormalV2": "shape, key, counter, alg, dtype=tf.float32, name=None",
            "RandomNormal": "shape, seed, dtype=tf.float32, name=None",
            "TruncatedNormalV2": "shape, key, counter, alg, dtype=tf.float32, name=None",
            "TruncatedNormal": "shape, seed, dtype=tf.float32, name=None",
            "RandomGammaV3": "shape, key, counter, alg, alpha, name=None",
            "RandomGammaV2": "shape, seed, alpha, name=None",
            "RandomUniformIntV2": "shape, key, counter, alg, minval, maxval, name=None",
            "RandomUniformInt": "shape, seed, minval, maxval, name=None",
        }.items()
    },
    "TruncatedNormal": _of("tf.raw_ops.TruncatedNormal", "shape, dtype=tf.float32, seed=0, seed2=0, name=None"),
    "RandomGamma": _of("tf.raw_ops.RandomGamma", "shape, alpha, seed=0, seed2=0, name=None"),
    "RandomUniformInt": _of("tf.raw_ops.RandomUniformInt", "shape, minval, maxval, seed=0, seed2=0, name=None"),
    "RandomShuffle": _of("tf.random.shuffle", "value, seed=None, name=None"),
    "BiasAddV1": _of("tf.raw_ops.BiasAddV1", "value, bias, name=None"),
    "AccumulateNV2": _of("tf.math.accumulate_n", "inputs, shape=None, tensor_dtype=None, name=None"),
    "MulNoNan": _of("tf.math.multiply_no_nan", "x, y, name=None"),
    "ApproximateEqual": _of("tf.raw_ops.ApproximateEqual", "x, y, tolerance=1e-05, name=None"),
    "SparseMatMul": _of("tf.raw_ops.SparseMatMul", "a, b, transpose_a=False, transpose_b=False, name=None"),
    "MatrixDiag": _of("tf.raw_ops.MatrixDiag", "diagonal, name=None"),
    "MatrixDiagPart": _of("tf.raw_ops.MatrixDiagPart", "input, name=None"),
    "MatrixSetDiag": _of("tf.raw_ops.MatrixSetDiag", "input, diagonal, name=None"),
    "Diag": _of("tf.linalg.tensor_diag", "diagonal, name=None"),
    "DiagPart": _of("tf.linalg.tensor_diag_part", "input, name=None"),
    "SpaceToBatch": _of("tf.raw_ops.SpaceToBatch", "input, paddings, block_size, name=None"),
    "BatchToSpace": _of("tf.raw_ops.BatchToSpace", "input, crops, block_size, name=None"),
    "InplaceUpdate": _of("tf.raw_ops.InplaceUpdate", "x, i, v, name=None"),
    "InplaceAdd": _of("tf.raw_ops.InplaceAdd", "x, i, v, name=None"),
    "InplaceSub": _of("tf.raw_ops.InplaceSub", "x, i, v, name=None"),
    "Bincount": _of("tf.raw_ops.Bincount", "arr, size, weights, name=None"),
    "HistogramFixedWidth": _of("tf.histogram_fixed_width", "values, value_range, nbins=100, dtype=tf.int32, name=None"),
    "PopulationCount": _of("tf.raw_ops.PopulationCount", "x, name=None"),
    "NthElement": _of("tf.raw_ops.NthElement", "input, n, reverse=False, name=None"),
    "NonMaxSuppressionV2": _of("tf.raw_ops.NonMaxSuppressionV2", "boxes, scores, max_output_size, iou_threshold, name=None"),
    "NonMaxSuppressionV4": _of(
        "tf.raw_ops.NonMaxSuppressionV4",
        "boxes, scores, max_output_size, iou_threshold, score_threshold, pad_to_max_output_size=False, name=None"),
    "NonMaxSuppressionV5": _of(
        "tf.raw_ops.NonMaxSuppressionV5",
        "boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma, pad_to_max_output_size=False, "
        "name=None"),
    "SparseReshape": _of("tf.raw_ops.SparseReshape", "input_indices, input_shape, new_shape, name=None"),
    "SparseFillEmptyRows": _of("tf.raw_ops.SparseFillEmptyRows", "indices, values, dense_shape, default_value, name=None"),
    "TensorListConcatV2": _of(
        "tf.raw_ops.TensorListConcatV2", "input_handle, element_shape, leading_dims, element_dtype, name=None"),
    "XlaGather": _of("jax.lax.gather", "operand, start_indices, slice_sizes, dimension_numbers"),
    "CTCGreedyDecoder": _of(
        "tf.raw_ops.CTCGreedyDecoder", "inputs, sequence_length, merge_repeated=False, blank_index=-1, name=None"),
    "Qr": _of("tf.linalg.qr", "input, full_matrices=False, name=None"),
    "Svd": _of("tf.linalg.svd", "input, full_matrices=False, compute_uv=True, name=None"),
    "SelfAdjointEigV2": _of("tf.raw_ops.SelfAdjointEigV2", "input, compute_v=True, name=None"),
    "LogMatrixDeterminant": _of("tf.linalg.slogdet", "input, name=None"),
    "MatrixSolveLs": _of("tf.raw_ops.MatrixSolveLs", "matrix, rhs, l2_regularizer, fast=True, name=None"),
    "L2Loss": _of("tf.nn.l2_loss", "t, name=None"),
    "FakeQuantWithMinMaxVars": _of("tf.quantization.fake_quant_with_min_max_vars", f"inputs, min, max, {_NARROW}"),
    "FakeQuantWithMinMaxVarsPerChannel": _of(
        "tf.quantization.fake_quant_with_min_max_vars_per_channel", f"inputs, min, max, {_NARROW}"),
    "FakeQuantWithMinMaxArgs": _of("tf.quantization.fake_quant_with_min_max_args", f"inputs, min=-6, max=6, {_NARROW}",
                                   "min, max = float(min), float(max)"),
    "FusedBatchNormV3": _of(
        "tf.raw_ops.FusedBatchNormV3",
        'x, scale, offset, mean, variance, epsilon=0.0001, data_format="NHWC", is_training=False'),
    "Roll": _of("tf.roll", "input, shift, axis, name=None"),
    "ShapeN": _of("tf.shape_n", "input, out_type=tf.int32, name=None"),
    "EnsureShape": _of("tf.ensure_shape", "x, shape, name=None"),
    "BroadcastTo": _of("tf.broadcast_to", "input, shape, name=None"),
    **{
        f"UnsortedSegment{kind}": _of(f"tf.math.unsorted_segment_{kind.lower()}", "data, segment_ids, num_segments, name=None")
        for kind in ("Sum", "Max", "Min", "Prod")
    },
    **{
        f"Segment{kind}": _of(f"tf.math.segment_{kind.lower()}", "data, segment_ids, name=None")
        for kind in ("Sum", "Mean", "Max", "Min", "Prod")
    },
    **{
        f"SparseSegment{kind}": _of(name, "data, indices, segment_ids, name=None")
        for kind, name in {
            "Sum": "tf.sparse.segment_sum", "Mean": "tf.sparse.segment_mean", "SqrtN": "tf.sparse.segment_sqrt_n"}.items()
    },
    **{
        f"SparseSegment{kind}WithNumSegments": _of(name, "data, indices, segment_ids, num_segments, name=None")
        for kind, name in {
            "Sum": "tf.sparse.segment_sum", "Mean": "tf.sparse.segment_mean", "SqrtN": "tf.sparse.segment_sqrt_n"}.items()
    },
    "XlaDynamicUpdateSlice": _of("jax.lax.dynamic_update_slice", "x, update, indices"),
    **{
        f"TensorScatter{kind}": _of(f"tf.tensor_scatter_nd_{kind.lower()}", "tensor, indices, updates, name=None")
        for kind in ("Update", "Sub", "Max", "Min")
    },
    "SparseTensorDenseMatMul": _of(
        "tf.raw_ops.SparseTensorDenseMatMul", "a_indices, a_values, a_shape, b, adjoint_a=False, adjoint_b=False, name=None"),
    "SparseToDense": _of(
        "tf.compat.v1.sparse_to_dense",
        "sparse_indices, output_shape, sparse_values, default_value=0, validate_indices=True, name=None"),
    "MatrixSetDiagV3": _of("tf.linalg.set_diag", f'input, diagonal, name="set_diag", {_DIAGONAL}'),
    "MatrixDiagV3": _of(
        "tf.linalg.diag", 'diagonal, name="diag", k=0, num_rows=-1, num_cols=-1, padding_value=0, align="RIGHT_LEFT"'),
    "MatrixDiagPartV3": _of("tf.linalg.diag_part", 'input, name="diag_part", k=0, padding_value=0, align="RIGHT_LEFT"'),
    "MatrixBandPart": _of("tf.linalg.band_part", "input, num_lower, num_upper, name=None"),
    "UnravelIndex": _of("tf.unravel_index", "indices, dims, name=None"),
    "TensorStridedSliceUpdate": _of(
        "tf.raw_ops.TensorStridedSliceUpdate",
        "input, begin, end, strides, value, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, "
        "shrink_axis_mask=0, name=None"),
    "DenseBincount": _of("tf.raw_ops.DenseBincount", "input, size, weights, binary_output=False, name=None"),
    "LowerBound": _of("tf.searchsorted", 'sorted_sequence, values, side="left", out_type=tf.int32, name=None'),
    "UpperBound": _of("tf.searchsorted", 'sorted_sequence, values, side="right", out_type=tf.int32, name=None'),
    "DynamicPartition": _of("tf.dynamic_partition", "data, partitions, num_partitions, name=None"),
    "DynamicStitch": _of("tf.dynamic_stitch", "indices, data, name=None", "lists = [*indices, *data]"),
    "Cumprod": _of("tf.math.cumprod", "x, axis=0, exclusive=False, reverse=False, name=None"),
    "CumulativeLogsumexp": _of("tf.math.cumulative_logsumexp", "x, axis=0, exclusive=False, reverse=False, name=None"),
    "InvertPermutation": _of("tf.math.invert_permutation", "x, name=None"),
    "Einsum": _of("tf.einsum", "equation, *inputs, **kwargs"),
    "MirrorPad": _of("tf.pad", 'tensor, paddings, mode="REFLECT", constant_values=0, name=None'),
    "PadV2__bool": _of("tf.pad", 'tensor, paddings, mode="CONSTANT", constant_values=0, name=None'),
    "OneHot__uint8_int8": _of(
        "tf.one_hot", "indices, depth, on_value=1, off_value=0, axis=-1, dtype=None, name=None"),
    "GatherV2__bool": _of("tf.gather", "params, indices, validate_indices=None, axis=0, batch_dims=0, name=None"),
    "GatherNd__bool": _of("tf.gather_nd", "params, indices, batch_dims=0, name=None"),
    "ResizeBilinear__const": _of("tf.image.resize", f'images, size, method="bilinear", {_RESIZE}, {_HALF}'),
    "ResizeBicubic": _of("tf.image.resize", f'images, size, method="bicubic", {_RESIZE}, {_HALF}'),
    "ResizeNearestNeighbor": _of("tf.image.resize", f'images, size, method="nearest", {_RESIZE}, {_HALF}'),
    "ResizeArea": _of("tf.image.resize", f'images, size, method="area", {_RESIZE}'),
    "ScaleAndTranslate": _of(
        "tf.image.resize",
        'images, size, method="bilinear", preserve_aspect_ratio=False, antialias=True, name=None, *, scale=None, '
        "translation=(0.0, 0.0), kernel_type=None",
        'kernel_type = kernel_type or {"bilinear": "triangle", "bicubic": "keyscubic"}.get(method, method)',
        "scale = scale or [to / of for to, of in zip(_numbers(size), images.shape[1:3], strict=True)]"),
    "HSVToRGB": _of("tf.image.hsv_to_rgb", "images, name=None"),
    "RGBToHSV": _of("tf.image.rgb_to_hsv", "images, name=None"),
    "AdjustSaturation": _of("tf.image.adjust_saturation", "image, saturation_factor, name=None"),
    "AdjustHue": _of("tf.image.adjust_hue", "image, delta, name=None"),
    "AdjustContrastv2": _of("tf.image.adjust_contrast", "images, contrast_factor"),
    "MaxPool__explicit": _of("tf.nn.max_pool2d", f"input, ksize, strides, {_POOL}, name=None",
                             "explicit_paddings = [n for pair in padding for n in pair]"),
    "MaxPool__int32_int64_uint8_int8": _of("tf.nn.max_pool2d", f"input, ksize, strides, {_POOL}, name=None"),
    "MaxPoolWithArgmax": _of(
        "tf.nn.max_pool_with_argmax",
        f"input, ksize, strides, {_POOL}, output_dtype=tf.int64, include_batch_in_index=False, name=None", *_SQUARE),
    "CropAndResize": _of(
        "tf.image.crop_and_resize",
        'image, boxes, box_indices, crop_size, method="bilinear", extrapolation_value=0.0, name=None'),
    "ImageProjectiveTransformV3": _of(
        "tf.raw_ops.ImageProjectiveTransformV3",
        'images, transforms, output_shape, fill_value, interpolation, fill_mode="CONSTANT", name=None'),
    "CombinedNonMaxSuppression": _of(
        "tf.image.combined_non_max_suppression",
        "boxes, scores, max_output_size_per_class, max_total_size, iou_threshold=0.5, "
        'score_threshold=float("-inf"), pad_per_class=False, clip_boxes=True, name=None'),
    "Dilation2D": _of("tf.nn.dilation2d", "input, filters, strides, padding, data_format, dilations, name=None",
                      "rates = dilations"),
    "ExtractImagePatches": _of(
        "tf.image.extract_patches", "images, sizes, strides, rates, padding, name=None", "ksizes = sizes"),
    "DepthToSpace__int32_int64_uint8_int8": _of(
        "tf.nn.depth_to_space", 'input, block_size, data_format="NHWC", name=None'),
    "DepthwiseConv2dNative": _of(
        "tf.nn.depthwise_conv2d", "input, filter, strides, padding, data_format=None, dilations=None, name=None"),
    "ComplexAbs": _of("tf.math.abs", "x, name=None"),
    "Angle": _of("tf.math.angle", "input, name=None"),
    "Conj": _of("tf.math.conj", "x, name=None"),
    "FFT": _of("tf.signal.fft", "input, name=None"),
    "IFFT": _of("tf.signal.ifft", "input, name=None"),
    "RFFT": _of("tf.signal.rfft", "input_tensor, fft_length=None, name=None",
                "fft_length = input_tensor.shape[-1:] if fft_length is None else fft_length"),
    "IRFFT": _of("tf.signal.irfft", "input_tensor, fft_length=None, name=None",
                 "fft_length = [2 * input_tensor.shape[-1] - 2] if fft_length is None else fft_length"),
    "FFT2D": _of("tf.signal.fft2d", "input, name=None"),
    "IFFT2D": _of("tf.signal.ifft2d", "input, name=None"),
    "RFFT2D": _of("tf.signal.rfft2d", "input_tensor, fft_length=None, name=None",
                  "fft_length = input_tensor.shape[-2:] if fft_length is None else fft_length"),
    "IRFFT2D": _of(
        "tf.signal.irfft2d", "input_tensor, fft_length=None, name=None",
        "height, width = input_tensor.shape[-2:]",
        "fft_length = [height, 2 * width - 2] if fft_length is None else fft_length"),
    "Neg__complex64": _of("tf.math.negative", "x, name=None"),
    "Transpose__complex64": _of("tf.transpose", 'a, perm=None, conjugate=False, name="transpose"',
                                "perm = list(range(len(a.shape)))[::-1] if perm is None else perm"),
    "StridedSlice__complex64": _of(
        "tf.strided_slice",
        "input_, begin, end, strides=None, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0, "
        "var=None, name=None", "strides = [1] * len(begin) if strides is None else strides"),
    "Slice__complex64": _of("tf.slice", "input_, begin, size, name=None"),
    "GatherV2__complex64": _of("tf.gather", "params, indices, validate_indices=None, axis=0, batch_dims=0, name=None"),
    "Sum__complex64": _of("tf.math.reduce_sum", "input_tensor, axis=None, keepdims=False, name=None", "keep_dims = keepdims"),
    "ExpandDims__complex64": _of("tf.expand_dims", "input, axis, name=None"),
    "Squeeze__complex64": _of("tf.squeeze", "input, axis=None, name=None",
                              "squeeze_dims = [] if axis is None else [axis] if isinstance(axis, int) else axis"),
    "Reshape__complex64": _of("tf.reshape", "tensor, shape, name=None"),
    "ConcatV2__complex64": _of("tf.concat", 'values, axis, name="concat"', "values = [*values, axis]"),
    "Pack__complex64": _of("tf.stack", 'values, axis=0, name="stack"'),
    "Cholesky": _of("tf.linalg.cholesky", "input, name=None"),
    "MatrixTriangularSolve": _of("tf.linalg.triangular_solve", "matrix, rhs, lower=True, adjoint=False, name=None"),
    "MatrixInverse": _of("tf.linalg.inv", "input, adjoint=False, name=None"),
    "MatrixSolve": _of("tf.linalg.solve", "matrix, rhs, adjoint=False, name=None"),
    "MatrixDeterminant": _of("tf.linalg.det", "input, name=None"),
    "BatchMatMulV3": _of("tf.raw_ops.BatchMatMulV3", "x, y, adj_x=False, adj_y=False"),
}  # fmt: skip
