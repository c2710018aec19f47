"""What the machine computes natively, and how TensorFlow should use it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import keras
import tensorflow as tf

from posenet.errors import PoseNetError


def configure_device(precision: str, halves: bool = True) -> str:
    """Set Keras' precision policy and TensorFlow's threads; returns "float32" or "bfloat16".

    precision: "auto", "float32" or "bfloat16". halves: whether bfloat16 makes the network faster
    on CPUs that compute it. Raises PoseNetError where Keras runs on another backend.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise PoseNetError(
            f"training needs Keras on TensorFlow: KERAS_BACKEND must be tensorflow, received {backend}"
        )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not on_gpu:
        with suppress(RuntimeError):  # TensorFlow may already run in this process
            # one operation after the other, each on all cores: a tenth faster to train
            tf.config.threading.set_inter_op_parallelism_threads(1)
    if precision == "auto":
        precision = (
            "bfloat16"
            if (_gpu_has_bfloat16() if on_gpu else halves and _cpu_has_bfloat16())
            else "float32"
        )
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
    details = [
        tf.config.experimental.get_device_details(gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
