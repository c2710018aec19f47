"""TensorFlow SavedModel, a folder, for TensorFlow Serving and TensorFlow's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

FILE = "saved_model"
COMPANIONS: tuple[str, ...] = ()
EXTRA = "export"
MODULES: tuple[str, ...] = ()


def write(network: keras.Model, path: Path) -> None:
    """Write a network.

    Args:
        network: the network.
        path: the folder to write.
    """
    network.export(str(path), format="tf_saved_model", verbose=False)


def load(path: Path) -> SavedModelNetwork:
    """Load an exported network.

    Args:
        path: the folder.

    Returns:
        The network in TensorFlow.
    """
    return SavedModelNetwork(path)


class SavedModelNetwork:
    """The serving signature of a SavedModel."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        self.loaded = tf.saved_model.load(str(path))
        self.serve = self.loaded.signatures["serving_default"]

    def predict_on_batch(self, images: Any) -> dict[str, np.ndarray]:
        """Return the outputs by name, shape (n, ...), float32.

        Args:
            images: raw RGB images 0-255, shape (n, h, w, 3).

        Returns:
            The outputs.
        """
        import tensorflow as tf

        outputs = self.serve(image=tf.constant(np.asarray(images, np.float32)))
        return {name: np.asarray(value) for name, value in outputs.items()}
