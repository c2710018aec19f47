"""LiteRT (.tflite), for phones and small computers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posenet.environment import available_cores, import_extra

if TYPE_CHECKING:
    import keras

FILE = "model.tflite"
COMPANIONS: tuple[str, ...] = ()
EXTRA = "export"
MODULES: tuple[str, ...] = ("ai_edge_litert",)


def write(network: keras.Model, path: Path) -> None:
    """Write a network.

    Args:
        network: the network.
        path: the file to write.
    """
    network.export(str(path), format="litert", verbose=False)


def load(path: Path) -> LiteRTNetwork:
    """Load an exported network.

    Args:
        path: the file.

    Returns:
        The network in LiteRT.

    Raises:
        PoseNetError: LiteRT is not installed.
    """
    return LiteRTNetwork(path)


class LiteRTNetwork:
    """A network in LiteRT, on the CPU."""

    def __init__(self, path: Path) -> None:
        module = import_extra("ai_edge_litert.interpreter", EXTRA, "LiteRT")
        interpreter = module.Interpreter(str(path), num_threads=available_cores())
        self.run = interpreter.get_signature_runner()

    def predict_on_batch(self, images: Any) -> dict[str, np.ndarray]:
        """Return the outputs by name, shape (n, ...), float32.

        Args:
            images: raw RGB images 0-255, shape (n, h, w, 3).

        Returns:
            The outputs.
        """
        outputs: dict[str, np.ndarray] = self.run(image=np.asarray(images, np.float32))
        return outputs
