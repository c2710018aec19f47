"""Start TensorFlow quietly."""

from __future__ import annotations

import os
import sys


def start_tensorflow() -> None:
    """Import TensorFlow and run one operation without its dozen start-up messages on stderr.

    Errors still arrive as exceptions.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    sys.stderr.flush()
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        import tensorflow as tf

        from posenet.training.device import configure_threads

        configure_threads()
        tf.constant(0.0) + 1.0
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
