"""What the machine computes natively, and how TensorFlow should use it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import keras
import tensorflow as tf


def set_up(precision: str, dense: bool = True) -> str:
    """Set Keras' precision policy and TensorFlow's threads; returns "float32" or "bfloat16".

    precision: "auto", "float32" or "bfloat16". dense: whether the network is of whole convolutions; those that filter
    each channel by itself are faster in float32 on a CPU (EfficientNet-Lite0: 45 pictures/s against 31).
    """
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not on_gpu:
        with suppress(RuntimeError):  # TensorFlow may already run in this process
            # one operation after the other, each on all cores: a tenth faster to train
            tf.config.threading.set_inter_op_parallelism_threads(1)
    if precision == "auto":
        precision = "bfloat16" if (_gpu_has_bfloat16() if on_gpu else dense and _cpu_has_bfloat16()) else "float32"
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
