"""Numeric precision and threads: what the machine computes natively."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import keras
import tensorflow as tf

from posenet.errors import PoseNetError

# NVIDIA compute capability from which GPUs compute bfloat16 (Ampere).
MIN_COMPUTE_CAPABILITY = (8, 0)
# Values of ONEDNN_MAX_CPU_ISA that exclude instructions for bfloat16 (oneDNN's guide, "CPU
# dispatcher control").
WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")


def configure_threads() -> None:
    """Run operations one by one on a CPU, each on all cores, which trains a tenth faster."""
    if tf.config.list_physical_devices("GPU"):
        return
    with suppress(RuntimeError):  # TensorFlow runs already, with the threads that it has
        tf.config.threading.set_inter_op_parallelism_threads(1)


def configure_device(precision: str, *, benefits_from_bfloat16: bool = True) -> str:
    """Set Keras' precision policy and TensorFlow's threads.

    Args:
        precision: "auto", "float32" or "bfloat16".
        benefits_from_bfloat16: whether bfloat16 makes the network faster on CPUs that compute it.

    Returns:
        "float32" or "bfloat16".

    Raises:
        PoseNetError: Keras does not run on TensorFlow, or has settings that the networks do not
            support.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise PoseNetError(
            f"training requires Keras on TensorFlow: KERAS_BACKEND must be tensorflow, "
            f"received {backend}"
        )
    image_format = keras.config.image_data_format()
    floatx = keras.config.floatx()
    if image_format != "channels_last" or floatx == "float16":
        raise PoseNetError(
            f"training requires Keras with image_data_format channels_last and floatx float32, "
            f"received {image_format} and {floatx}: change them by keras.config or in keras.json"
        )
    configure_threads()
    if precision == "auto":
        if tf.config.list_physical_devices("GPU"):
            has_bfloat16 = _gpu_has_bfloat16()
        else:
            has_bfloat16 = benefits_from_bfloat16 and _cpu_has_bfloat16()
        precision = "bfloat16" if has_bfloat16 else "float32"
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    keras.config.set_dtype_policy(policy)
    return precision


def _cpu_has_bfloat16() -> bool:
    """Return whether an x86 CPU has AVX512-BF16 or AMX-BF16, and oneDNN may use it.

    Others emulate bfloat16 slowly, or not at all.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in WITHOUT_BFLOAT16:
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _gpu_has_bfloat16() -> bool:
    """Return whether all GPUs are of the Ampere generation or later."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(
        detail.get("compute_capability", (0, 0)) >= MIN_COMPUTE_CAPABILITY for detail in details
    )
