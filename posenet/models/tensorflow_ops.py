"""TensorFlow kernels that are faster than those of Keras; None on other backends."""

from __future__ import annotations

import keras
import tensorflow as tf


def fused_batch_norm(x, gamma, beta, epsilon: float, moving=None):
    """TensorFlow's fused batch normalization of (b, h, w, c); None where Keras runs on another backend.

    moving: (mean, variance) to normalize by; without them, those of the batch.
    Returns (outputs, mean, variance), the variance being that of the batch itself (not the unbiased estimate).
    """
    if keras.backend.backend() != "tensorflow":
        return None
    gamma, beta = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
    if moving is not None:
        mean, variance = (tf.convert_to_tensor(value) for value in moving)
        outputs, *_ = tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, mean, variance, epsilon, is_training=False
        )
        return outputs, mean, variance
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon)
    count = tf.cast(tf.size(x) / tf.shape(x)[-1], variance.dtype)
    return outputs, mean, variance * (count - 1) / count


def depthwise_conv(x, kernel, stride: int):
    """TensorFlow's depthwise convolution of (b, h, w, c) by (k, k, c, 1), padding "same", with a gradient that is fast
    on CPUs too; None where Keras runs on another backend, or on a GPU.

    oneDNN's own gradients of kernels wider than three columns, and in bfloat16 also those of strides, take five to
    twenty times as long as they need.
    """
    if keras.backend.backend() != "tensorflow" or tf.config.list_physical_devices("GPU"):
        return None

    @tf.custom_gradient
    def convolution(x, kernel):
        strides = [1, stride, stride, 1]

        def gradient(dy):
            wide = tf.float32 if stride > 1 else x.dtype
            dx = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=tf.cast(kernel, wide), out_backprop=tf.cast(dy, wide),
                strides=strides, padding="SAME",
            )  # fmt: skip
            return tf.cast(dx, x.dtype), _kernel_gradient(x, kernel.shape, dy, stride)

        return tf.raw_ops.DepthwiseConv2dNative(
            input=x, filter=kernel, strides=strides, padding="SAME"
        ), gradient

    return convolution(tf.convert_to_tensor(x), tf.convert_to_tensor(kernel))


def _kernel_gradient(x, shape, dy, stride: int):
    """The gradient of a depthwise kernel, three of its columns at a time."""
    rows, columns = shape[:2]
    sizes, outputs = x.shape[1:3], dy.shape[1:3]
    missing = [
        max((o - 1) * stride + k - n, 0)
        for n, o, k in zip(sizes, outputs, (rows, columns), strict=True)
    ]
    padded = tf.pad(x, [[0, 0], *([m // 2, m - m // 2] for m in missing), [0, 0]])
    width, count, parts = (outputs[1] - 1) * stride, min(3, columns), []
    for done in range(0, columns, 3):
        first = min(done, columns - count)  # the last three may overlap those before
        part = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=padded[:, :, first : first + width + count], filter_sizes=[rows, count, *shape[2:]],
            out_backprop=dy, strides=[1, stride, stride, 1], padding="VALID",
        )  # fmt: skip
        parts.append(part[:, done - first :])
    return tf.concat(parts, axis=1)
