"""Numeric precision and threads: what the machine computes natively."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import keras

from posenet.environment import BACKENDS
from posenet.errors import PoseNetError
from posenet.io.user_folders import cache_folder

# NVIDIA compute capability from which GPUs compute bfloat16 (Ampere).
MIN_COMPUTE_CAPABILITY = (8, 0)
# Backends that train faster in bfloat16 on CPUs that compute it (docs/backends.md).
FAST_BFLOAT16_ON_CPU = ("tensorflow",)
# Values of ONEDNN_MAX_CPU_ISA that exclude instructions for bfloat16 (oneDNN's guide, "CPU
# dispatcher control").
WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")


def configure_backend() -> None:
    """Set the threads of TensorFlow, and let JAX keep compiled networks in the cache folder."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        _configure_tensorflow()
    elif backend == "jax":
        _keep_compiled()


def _configure_tensorflow() -> None:
    """Run operations one by one on a CPU, each on all cores, which trains a tenth faster."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return
    with suppress(RuntimeError):  # TensorFlow runs already, with the threads that it has
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _keep_compiled() -> None:
    """Let JAX keep compiled networks, unless the user has chosen another folder or none."""
    import jax

    name = "jax_compilation_cache_dir"
    if getattr(jax.config, name) is None:
        jax.config.update(name, str(cache_folder() / "jax"))


def configure_device(precision: str, *, benefits_from_bfloat16: bool = True) -> str:
    """Set Keras' precision policy and the backend's threads.

    Args:
        precision: "auto", "float32" or "bfloat16".
        benefits_from_bfloat16: whether bfloat16 makes the network faster on CPUs that compute it.

    Returns:
        "float32" or "bfloat16".

    Raises:
        PoseNetError: Keras runs on another backend than `BACKENDS`, or has settings that the
            networks do not support.
    """
    if (backend := keras.backend.backend()) not in BACKENDS:
        raise PoseNetError(f"training requires Keras on {_listed()}, received {backend}")
    image_format = keras.config.image_data_format()
    floatx = keras.config.floatx()
    if image_format != "channels_last" or floatx == "float16":
        raise PoseNetError(
            f"training requires Keras with image_data_format channels_last and floatx float32, "
            f"received {image_format} and {floatx}: change them by keras.config or in keras.json"
        )
    configure_backend()
    if precision == "auto":
        has_bfloat16 = accelerator_has_bfloat16(backend)
        if has_bfloat16 is None:
            has_bfloat16 = (
                benefits_from_bfloat16 and backend in FAST_BFLOAT16_ON_CPU and _cpu_has_bfloat16()
            )
        precision = "bfloat16" if has_bfloat16 else "float32"
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    keras.config.set_dtype_policy(policy)
    return precision


def compiles_by_xla() -> bool:
    """Return whether networks are compiled by XLA.

    Returns:
        True on JAX, which would otherwise run operations one by one. TensorFlow trains slower with
        XLA on CPUs, and Keras does not support it on PyTorch.
    """
    return keras.backend.backend() == "jax"


def _listed() -> str:
    """Return the names of the backends."""
    return f"{', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"


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


def accelerator_has_bfloat16(backend: str) -> bool | None:
    """Return whether all GPUs are of the Ampere generation or later; TPUs always compute bfloat16.

    Args:
        backend: one of `BACKENDS`.

    Returns:
        Whether they compute it natively; None if the backend runs on the CPU.
    """
    capabilities = _capabilities(backend)
    if not capabilities:
        return None
    return min(capabilities) >= MIN_COMPUTE_CAPABILITY


def _capabilities(backend: str) -> list[tuple[int, ...]]:
    """Return the compute capability of each accelerator, as (major, minor); (0, 0) if unknown."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return [detail.get("compute_capability", (0, 0)) for detail in details]
    if backend == "jax":
        import jax

        devices = [device for device in jax.local_devices() if device.platform != "cpu"]
        return [_jax_capability(device.platform, device) for device in devices]
    import torch

    if torch.backends.mps.is_available():
        return [(0, 0)]
    count = torch.cuda.device_count()
    return [torch.cuda.get_device_capability(number) for number in range(count)]


def _jax_capability(platform: str, device: object) -> tuple[int, ...]:
    """Return the compute capability of a device of JAX; TPUs count as the minimum for bfloat16."""
    if platform == "tpu":
        return MIN_COMPUTE_CAPABILITY
    stated = str(getattr(device, "compute_capability", "0.0"))
    numbers = stated.split(".")
    return tuple(map(int, numbers)) if all(map(str.isdigit, numbers)) else (0, 0)
