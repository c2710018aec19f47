"""Starting TensorFlow without the dozen lines it writes about itself."""

from __future__ import annotations

import contextlib
import os
import sys


def start_tensorflow() -> None:
    """Import TensorFlow and run one operation with stderr put aside; errors still arrive as exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        with contextlib.suppress(
            RuntimeError
        ):  # TensorFlow runs already, with the threads that it has
            tf.config.threading.set_inter_op_parallelism_threads(
                1 if not tf.config.list_physical_devices("GPU") else 0
            )
        tf.constant(0.0) + 1.0
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
