# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Recipes for images: resizing by constant matrices, colours, pooling, patches, layouts."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def ResizeBicubic(images, size, *, align_corners, half_pixel_centers):
    """resize by two constant matrices, one for the rows and one for the columns"""
    how = dict(align_corners=align_corners, half_pixel_centers=half_pixel_centers)
    return _by_matrices(images, size, lambda image, to: tf.raw_ops.ResizeBicubic(images=image, size=to, **how))


def ResizeNearestNeighbor(images, size, *, align_corners, half_pixel_centers):
    """resize by two constant matrices, one for the rows and one for the columns"""
    how = dict(align_corners=align_corners, half_pixel_centers=half_pixel_centers)
    return _by_matrices(images, size, lambda image, to: tf.raw_ops.ResizeNearestNeighbor(images=image, size=to, **how))


def ResizeArea(images, size, *, align_corners):
    """resize by two constant matrices, one for the rows and one for the columns"""
    return _by_matrices(
        images, size, lambda image, to: tf.raw_ops.ResizeArea(images=image, size=to, align_corners=align_corners)
    )


def _by_matrices(x, size, resize):
    (height, width), (_, tall, wide, _) = _numbers(size), x.shape
    rows = resize(tf.eye(tall)[None, :, :, None], [height, tall])[0, :, :, 0]
    columns = resize(tf.eye(wide)[None, :, :, None], [width, wide])[0, :, :, 0]
    x = tf.einsum("hi,biwc->bhwc", rows, tf.cast(x, tf.float32))
    return tf.einsum("wj,bhjc->bhwc", columns, x)


def _numbers(constant):
    constant = tf.convert_to_tensor(constant)
    value = tf.get_static_value(constant)
    if value is None and constant.dtype == tf.int32 and len(constant.shape) == 1:
        sizes = tf.zeros(constant).shape  # what follows from shapes of which not all is known
        value = None if None in sizes else np.array(sizes.as_list())
    if value is None:
        raise ValueError("for constant numbers only")
    return value.reshape(-1).tolist()


def ResizeBilinear__const(images, size, *, align_corners, half_pixel_centers):
    """resize by two matrices made for the size at hand (within 1e-5 of scale: TensorFlow rounds the places otherwise)"""
    height, width = _numbers(size)
    rows = _bilinear(height, tf.shape(images)[1], align_corners, half_pixel_centers)
    columns = _bilinear(width, tf.shape(images)[2], align_corners, half_pixel_centers)
    tall = tf.matmul(rows, tf.transpose(tf.cast(images, tf.float32), [0, 3, 1, 2]))
    return tf.transpose(tf.matmul(tall, tf.transpose(columns)), [0, 2, 3, 1])


def _bilinear(count, size, corners, half):
    place, known = tf.cast(tf.range(count), tf.float32), tf.cast(size, tf.float32)
    scale = (known - 1.0) / (count - 1) if corners and count > 1 else known / count
    at = (place + 0.5) * scale - 0.5 if half else place * scale
    at = tf.minimum(tf.maximum(at, 0.0), known - 1.0)
    return tf.maximum(1.0 - tf.abs(at[:, None] - tf.cast(tf.range(size), tf.float32)[None, :]), 0.0)


def ScaleAndTranslate(images, size, scale, translation, *, kernel_type, antialias):
    """resize by two constant matrices, one for the rows and one for the columns"""
    if kernel_type == "gaussian":
        raise ValueError("a gaussian changes the other axis too")
    factors, shifts, matrices = _numbers(scale), _numbers(translation), []
    for axis, length in enumerate(_numbers(size)):
        matrices.append(tf.raw_ops.ScaleAndTranslate(
            images=tf.eye(images.shape[axis + 1])[None, :, :, None], size=[length, images.shape[axis + 1]],
            scale=[factors[axis], 1.0], translation=[shifts[axis], 0.0], kernel_type=kernel_type, antialias=antialias,
        )[0, :, :, 0])  # fmt: skip
    tall = tf.einsum("hi,biwc->bhwc", matrices[0], tf.cast(images, tf.float32))
    return tf.einsum("wj,bhjc->bhwc", matrices[1], tall)


def HSVToRGB(images):
    """compute the colours from hue, saturation and value"""
    return _rgb(images[..., 0:1], images[..., 1:2], images[..., 2:3])


def RGBToHSV(images):
    """compute hue, saturation and value from the colours"""
    return tf.concat(_hsv(images), -1)


def AdjustSaturation(image, saturation_factor):
    """go through hue, saturation and value by arithmetic"""
    h, s, v = _hsv(image)
    return _rgb(h, tf.clip_by_value(s * saturation_factor, 0.0, 1.0), v)


def AdjustHue(image, delta):
    """go through the hue by arithmetic, between the least and the greatest of the three colours"""
    h, _, v = _hsv(image)
    turned = h + delta
    return _coloured(
        turned - tf.floor(turned), v - tf.reduce_min(image, -1, keepdims=True), v
    )  # no floor division by 1


def _rgb(h, s, v):
    return _coloured(h, v * s, v)


def _coloured(h, spread, v):
    k = tf.math.floormod(tf.constant([5.0, 3.0, 1.0]) + 6.0 * h, 6.0)
    return v - spread * tf.maximum(0.0, tf.minimum(tf.minimum(k, 4.0 - k), 1.0))


def _hsv(rgb):
    r, g, b = rgb[..., 0:1], rgb[..., 1:2], rgb[..., 2:3]
    v = tf.reduce_max(rgb, -1, keepdims=True)
    spread = v - tf.reduce_min(rgb, -1, keepdims=True)
    grey, dark = tf.equal(spread, 0.0), tf.less_equal(v, 0.0)
    part = 1.0 / (6.0 * tf.where(grey, 1.0, spread))
    of_green, of_blue = part * (b - r) + 2.0 / 6.0, part * (r - g) + 4.0 / 6.0
    hue = tf.where(grey, 0.0, tf.where(tf.equal(v, r), part * (g - b), tf.where(tf.equal(v, g), of_green, of_blue)))
    return tf.where(hue < 0.0, hue + 1.0, hue), tf.where(dark, 0.0, spread / tf.where(dark, 1.0, v)), v


def AdjustContrastv2(images, contrast_factor):
    """stretch the distance from the mean of each channel"""
    mean = tf.reduce_mean(images, [-3, -2], keepdims=True)
    return (images - mean) * contrast_factor + mean


def MaxPool__explicit(input, *, ksize, strides, explicit_paddings, data_format):
    """pad with the lowest number, then pool without padding"""
    if data_format != "NHWC":
        raise ValueError("for the layout NHWC only")
    pads = [explicit_paddings[2 * i : 2 * i + 2] for i in range(4)]
    return tf.nn.max_pool2d(tf.pad(input, pads, constant_values=-65504.0), ksize, strides, "VALID")


def MaxPool__int32_int64_uint8_int8(input, *, ksize, strides, padding, data_format):
    """pool in float32"""
    pooled = tf.nn.max_pool2d(tf.cast(input, tf.float32), ksize, strides, padding, data_format)
    return tf.cast(pooled, input.dtype)


def MaxPoolWithArgmax(input, *, ksize, strides, padding):
    """stack the shifted images and take maximum and argmax over the stack (padding VALID, indices of one image)"""
    if padding != "VALID":
        raise ValueError("for padding VALID only")
    (_, kh, kw, _), (_, sh, sw, _), (_, h, w, c) = ksize, strides, input.shape.as_list()
    rows, columns = (h - kh) // sh + 1, (w - kw) // sw + 1
    stack = tf.stack([
        input[:, i : i + (rows - 1) * sh + 1 : sh, j : j + (columns - 1) * sw + 1 : sw]
        for i in range(kh) for j in range(kw)
    ], axis=1)  # fmt: skip
    best = tf.argmax(stack, 1, output_type=tf.int32)
    y = tf.range(rows)[:, None, None] * sh + best // kw
    at = (y * w + tf.range(columns)[:, None] * sw + best % kw) * c + tf.range(c)
    return tf.reduce_max(stack, 1), at


def CropAndResize(image, boxes, box_indices, crop_size, *, method, extrapolation_value):
    """gather the nearest pixels of each box by their numbers"""
    if method != "nearest":
        raise ValueError("for the nearest pixel only")
    (_, height, width, depth), (tall, wide) = image.shape.as_list(), _numbers(crop_size)
    boxes, numbers = tf.convert_to_tensor(boxes), tf.convert_to_tensor(box_indices)
    y, known_y = _nearest(boxes[:, 0:1], boxes[:, 2:3], height, tall)
    x, known_x = _nearest(boxes[:, 1:2], boxes[:, 3:4], width, wide)
    pixels = (numbers[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]
    crops = tf.gather(tf.reshape(image, [-1, depth]), pixels)
    known = tf.logical_and(known_y[:, :, None], known_x[:, None, :])[:, :, :, None]
    return tf.where(known, tf.cast(crops, tf.float32), extrapolation_value)


def _nearest(low, high, size, count):
    if count > 1:
        at = low * (size - 1.0) + tf.range(count, dtype=tf.float32) * ((high - low) * (size - 1.0) / (count - 1.0))
    else:
        at = 0.5 * (low + high) * (size - 1.0)
    known = tf.logical_and(at >= 0.0, at <= size - 1.0)
    return tf.cast(tf.floor(tf.clip_by_value(at, 0.0, size - 1.0) + 0.5), tf.int32), known


def ImageProjectiveTransformV3(images, transforms, output_shape, fill_value, *, interpolation, fill_mode):
    """read each pixel where its transform points to, by gathers"""
    if fill_mode != "CONSTANT" or images.dtype != tf.float32 or None in images.shape[1:]:
        raise ValueError("for float32 images of known sizes and a constant around them only")
    (height, width), transforms = _numbers(output_shape), tf.convert_to_tensor(transforms)
    y, x = tf.meshgrid(tf.range(float(height)), tf.range(float(width)), indexing="ij")
    y, x = tf.reshape(y, [1, -1]), tf.reshape(x, [1, -1])
    a, b, c, d, e, f, g, h = (transforms[:, n : n + 1] for n in range(8))
    below = g * x + h * y + 1.0
    at_x, at_y = (a * x + b * y + c) / below, (d * x + e * y + f) / below
    if interpolation == "NEAREST":
        at_x, at_y = (tf.sign(v) * tf.floor(tf.abs(v) + 0.5) for v in (at_x, at_y))
        made = _pixels(images, at_y, at_x, fill_value)
    else:
        left, top = tf.floor(at_x), tf.floor(at_y)
        upper = _between(images, top, left, at_x - left, fill_value)
        lower = _between(images, top + 1.0, left, at_x - left, fill_value)
        made = upper + (at_y - top)[..., None] * (lower - upper)
    return tf.reshape(made, [-1, height, width, images.shape[3]])


def _between(images, row, left, part, fill):
    one, other = _pixels(images, row, left, fill), _pixels(images, row, left + 1.0, fill)
    return one + part[..., None] * (other - one)


def _pixels(images, row, column, fill):
    (count, (_, height, width, depth)) = tf.shape(images)[0], images.shape
    inside = tf.logical_and(tf.logical_and(row >= 0.0, row < height), tf.logical_and(column >= 0.0, column < width))
    row = tf.cast(tf.minimum(tf.maximum(row, 0.0), height - 1.0), tf.int32)
    column = tf.cast(tf.minimum(tf.maximum(column, 0.0), width - 1.0), tf.int32)
    place = tf.range(count)[:, None] * (height * width) + row * width + column
    read = tf.gather(tf.reshape(images, [-1, depth]), tf.reshape(place, [-1]))
    return tf.where(inside[..., None], tf.reshape(read, [-1, place.shape[1], depth]), fill)


def Dilation2D(input, filters, *, strides, rates, padding):
    """take the maximum of the shifted images, each with its part of the filters added"""
    (_, sh, sw, _), (_, rh, rw, _), (_, h, w, _), x = strides, rates, input.shape.as_list(), input
    kh, kw = filters.shape[:2]
    high, wide = (kh - 1) * rh + 1, (kw - 1) * rw + 1
    if padding == "SAME":
        up, left = max((-(-h // sh) - 1) * sh + high - h, 0), max((-(-w // sw) - 1) * sw + wide - w, 0)
        x = tf.pad(x, [[0, 0], [up // 2, up - up // 2], [left // 2, left - left // 2], [0, 0]], constant_values=-6e4)
        h, w = h + up, w + left
    rows, columns, best = (h - high) // sh * sh + 1, (w - wide) // sw * sw + 1, None
    for i in range(kh):
        for j in range(kw):
            part = x[:, i * rh : i * rh + rows : sh, j * rw : j * rw + columns : sw] + filters[i, j]
            best = part if best is None else tf.maximum(best, part)
    return best


def ExtractImagePatches(images, *, ksizes, strides, rates, padding):
    """join the shifted images along the channels (padding VALID)"""
    if padding != "VALID":
        raise ValueError("for padding VALID only")
    (_, kh, kw, _), (_, sh, sw, _), (_, rh, rw, _), (_, h, w, _) = ksizes, strides, rates, images.shape.as_list()
    x, rows, columns = images, (h - (kh - 1) * rh - 1) // sh * sh + 1, (w - (kw - 1) * rw - 1) // sw * sw + 1
    parts = [x[:, i * rh : i * rh + rows : sh, j * rw : j * rw + columns : sw] for i in range(kh) for j in range(kw)]
    return tf.concat(parts, -1)


def DepthToSpace__int32_int64_uint8_int8(input, *, block_size, data_format):
    """move the numbers as float32"""
    return tf.cast(tf.nn.depth_to_space(tf.cast(input, tf.float32), block_size, data_format), input.dtype)


def DepthwiseConv2dNative(input, filter, *, strides, padding, data_format):
    """go through the layout NHWC"""
    if data_format != "NCHW":
        raise ValueError("for NCHW only")
    steps = [1, strides[2], strides[3], 1]
    y = tf.nn.depthwise_conv2d(tf.transpose(input, [0, 2, 3, 1]), filter, steps, padding)
    return tf.transpose(y, [0, 3, 1, 2])
