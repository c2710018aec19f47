"""What the machine computes natively, and how TensorFlow should use it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import keras
import tensorflow as tf

from posenet.errors import PoseNetError


def set_up(precision: str, halves: bool = True) -> str:
    """Set Keras' precision policy and TensorFlow's threads; returns "float32" or "bfloat16".

    precision: "auto", "float32" or "bfloat16". halves: whether bfloat16 makes the network faster
    on CPUs that compute it. Raises PoseNetError where Keras runs on another backend.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise PoseNetError(f"training needs Keras on TensorFlow: KERAS_BACKEND must be tensorflow, received {backend}")
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not on_gpu:
        with suppress(RuntimeError):  # TensorFlow may already run in this process
            # one operation after the other, each on all cores: a tenth faster to train
            tf.config.threading.set_inter_op_parallelism_threads(1)
    if precision == "auto":
        precision = "bfloat16" if (_gpu_has_bfloat16() if on_gpu else halves and _cpu_has_bfloat16()) else "float32"
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    return precision


def _cpu_has_bfloat16() -> bool:
    """AVX512-BF16 or AMX-BF16 on x86; elsewhere bfloat16 is emulated and slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _gpu_has_bfloat16() -> bool:
    """NVIDIA compute capability 8.0 (Ampere) or later."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)


def fused_batch_norm(x, gamma, beta, epsilon: float, moving=None):
    """TensorFlow's fused batch normalisation of (b, h, w, c); None where Keras runs on another backend.

    moving: (mean, variance) to normalise by; without them, those of the batch.
    Returns (outputs, mean, variance), the variance being that of the batch itself (not the unbiased estimate).
    """
    if keras.backend.backend() != "tensorflow":
        return None
    gamma, beta = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
    if moving is not None:
        mean, variance = (tf.convert_to_tensor(value) for value in moving)
        outputs, *_ = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, epsilon, is_training=False)
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

        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, strides=strides, padding="SAME"), gradient

    return convolution(tf.convert_to_tensor(x), tf.convert_to_tensor(kernel))


def _kernel_gradient(x, shape, dy, stride: int):
    """The gradient of a depthwise kernel, three of its columns at a time."""
    rows, columns = shape[:2]
    sizes, outputs = x.shape[1:3], dy.shape[1:3]
    missing = [max((o - 1) * stride + k - n, 0) for n, o, k in zip(sizes, outputs, (rows, columns), strict=True)]
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
