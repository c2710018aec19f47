"""Settings of the process: memory of the C library, and imports of matplotlib and Keras.

Notebooks set MPLBACKEND, other programs write ~/.keras/keras.json. Both libraries read them on
import and fail, or compute something else. They are imported independently of these; `os.environ`
is restored afterwards. Of Keras' settings, only KERAS_BACKEND counts.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from posenet.errors import MissingExtraError, PoseNetError, first_line

# Backends of Keras, which are also names of packages and of extras that install them. The first
# that is installed is the default: they are in the order of their speed on CPUs (docs/backends.md).
BACKENDS = ("tensorflow", "torch", "jax")
# The settings of Keras that the networks are written for.
IMAGE_DATA_FORMAT = "channels_last"
FLOATX = "float32"
# Keras' default of the small number that prevents divisions by zero.
EPSILON = 1e-7
# The module in which Keras reads its configuration file.
KERAS_CONFIG = os.path.join("keras", "src", "backend", "config.py")
# Variables with which Keras shortens every training of a process; for debugging only.
KERAS_LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
# Parameters of glibc's mallopt, from malloc.h, and their values in bytes. SIFT's pyramid has arrays
# of 5 MB, 70 MB in all for an image of 640 x 480 pixels.
MALLOC_PARAMETERS = {
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD: size from which blocks are always returned when freed
    -1: 128 * 2**20,  # M_TRIM_THRESHOLD: free memory that is kept for the next request
}


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let the C library keep up to 128 MB of freed memory instead of returning it at once.

    Otherwise every detection of keypoints in the main thread gets its memory from the kernel again,
    page by page, which takes two fifths of its time. Only glibc can be set so.
    """
    with suppress(AttributeError, OSError, TypeError):  # other systems
        set_parameter = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC_PARAMETERS.items():
            set_parameter(parameter, value)


def import_extra(module: str, extra: str, needed_by: str) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: name of the module.
        extra: the extra of this package that installs it.
        needed_by: what requires it, the start of the message.

    Returns:
        The module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise missing_extra(extra, needed_by) from None


def missing_extra(extra: str, needed_by: str) -> MissingExtraError:
    """Return the error about an optional dependency that is not installed.

    Args:
        extra: the extra of this package that installs it.
        needed_by: what requires it, the start of the message.

    Returns:
        The error.
    """
    return MissingExtraError(
        f"{needed_by} requires the extra `{extra}`: pip install 'camera-posenet[{extra}]'"
    )


@contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide what libraries in C++ write to stderr during a block.

    Errors still arrive as exceptions.

    Yields:
        Nothing.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def import_matplotlib() -> None:
    """Import matplotlib, even if MPLBACKEND names a backend that is not installed here.

    A valid backend remains in use for the figures of the user's own program.
    """
    backend = os.environ.get("MPLBACKEND")
    if not backend or "matplotlib" in sys.modules:
        return
    with _changed_variables({"MPLBACKEND": None}), _ignored_warnings():
        import matplotlib
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend  # as matplotlib does at the end of its import


def choose_backend(wanted: str = "auto", needed_by: str | None = None) -> str:
    """Choose the backend of Keras.

    Args:
        wanted: one of `BACKENDS`, or "auto": that of KERAS_BACKEND, or the first that is installed.
        needed_by: what requires it, the start of the message. Default: the option or variable.

    Returns:
        One of `BACKENDS`.

    Raises:
        PoseNetError: there is no such backend.
        MissingExtraError: it is not installed, or none is.
    """
    source = "--backend"
    if wanted == "auto":
        source = "KERAS_BACKEND"
        wanted = os.environ.get(source) or "auto"
    if wanted == "auto":
        for name in BACKENDS:
            if is_installed(name):
                return name
        raise MissingExtraError(
            "posenet requires TensorFlow, PyTorch or JAX: pip install 'camera-posenet[torch]'"
        )
    if wanted not in BACKENDS:
        raise PoseNetError(f"{source} must be tensorflow, torch or jax, received {wanted}")
    if not is_installed(wanted):
        raise missing_extra(wanted, needed_by or f"{source} {wanted}")
    return wanted


def is_installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it.

    Args:
        module: name of a module at the top level.

    Returns:
        Whether Python finds it.
    """
    return importlib.util.find_spec(module) is not None


def import_keras(backend: str = "auto", needed_by: str | None = None) -> None:
    """Import Keras with the settings that the networks are written for.

    Args:
        backend: as for `choose_backend`.
        needed_by: as for `choose_backend`.

    Raises:
        PoseNetError: the backend cannot be used, Keras runs on another one already, or its
            configuration file is invalid.
    """
    if "keras" in sys.modules:  # with the settings of the user's program, see configure_device
        current = sys.modules["keras"].config.backend()
        if backend not in ("auto", current):
            raise PoseNetError(
                f"--backend must be {current}, on which Keras runs in this process already, "
                f"received {backend}"
            )
        return
    variables = dict.fromkeys(KERAS_LIMITS) | {"KERAS_BACKEND": choose_backend(backend, needed_by)}
    import_matplotlib()  # Keras imports it too
    with _changed_variables(variables), _ignored_warnings():
        try:
            import keras
        except (ValueError, AttributeError, TypeError) as error:
            if traceback.extract_tb(error.__traceback__)[-1].filename.endswith(KERAS_CONFIG):
                raise _invalid_keras_file(error) from None
            raise
    keras.config.set_image_data_format(IMAGE_DATA_FORMAT)
    keras.config.set_floatx(FLOATX)
    keras.config.set_epsilon(EPSILON)


def _invalid_keras_file(error: Exception) -> PoseNetError:
    """Return the error about the configuration file that Keras reads."""
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    path = os.path.join(os.environ.get("KERAS_HOME", os.path.join(home, ".keras")), "keras.json")
    return PoseNetError(f"{path} must be a valid configuration of Keras: {first_line(error)}")


@contextmanager
def _changed_variables(values: dict[str, str | None]) -> Iterator[None]:
    """Set or remove (None) environment variables for the duration of a block."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set_variables(values)
        yield
    finally:
        _set_variables(before)


def _set_variables(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Do not let warnings of other libraries' imports become errors (PYTHONWARNINGS=error)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def available_cores() -> int:
    """Return the number of cores that this process may use.

    Returns:
        Those that the scheduler grants it (as `taskset` restricts), on Linux; otherwise all.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
