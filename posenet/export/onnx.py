"""ONNX, for ONNX Runtime and most other runtimes. Loading it imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posenet.environment import available_cores, import_extra

if TYPE_CHECKING:
    import keras

FILE = "model.onnx"
# Files that belong to it, by their suffix.
COMPANIONS: tuple[str, ...] = ()
EXTRA = "export"
MODULES: tuple[str, ...] = ("tf2onnx", "onnxruntime")
# ONNX Runtime logs errors only.
LOG_ERRORS = 3


def write(network: keras.Model, path: Path) -> None:
    """Write a network.

    Args:
        network: the network.
        path: the file to write.
    """
    network(network.input)  # Keras refuses networks that were never called
    network.export(str(path), format="onnx", verbose=False)


def load(path: Path) -> OnnxNetwork:
    """Load an exported network.

    Args:
        path: the file.

    Returns:
        The network in ONNX Runtime.

    Raises:
        PoseNetError: ONNX Runtime is not installed.
    """
    return OnnxNetwork(path)


class OnnxNetwork:
    """A network in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path) -> None:
        runtime = import_extra("onnxruntime", "onnx", "ONNX")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        options.log_severity_level = LOG_ERRORS
        self.session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.names = [output.name for output in self.session.get_outputs()]

    def predict_on_batch(self, images: Any) -> dict[str, np.ndarray]:
        """Return the outputs by name, shape (n, ...), float32.

        Args:
            images: raw RGB images 0-255, shape (n, h, w, 3).

        Returns:
            The outputs.
        """
        values = self.session.run(self.names, {"image": np.asarray(images, np.float32)})
        return dict(zip(self.names, values, strict=True))
