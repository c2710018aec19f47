"""Predict a whole set of images in batches of one size."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from posenet.geometry.cropping import Crop
from posenet.io.image_cache import release

BATCH = 32


class Network(Protocol):
    """A network that predicts batches: a Keras model, or an exported file in its own runtime."""

    def predict_on_batch(self, images: Any, /) -> dict[str, Any]:
        """Return the outputs by name, shape (n, ...).

        Args:
            images: raw RGB images 0-255, shape (n, h, w, 3), float32.
        """


def predict_in_batches(
    network: Network, images: Any, crop: Crop, *, batch_size: int | None = None
) -> dict[str, np.ndarray]:
    """Predict the central crops of resized images.

    Every batch has the same size (the last is filled up), so that nothing is compiled twice.

    Args:
        network: the network.
        images: n resized images, (n, h, w, 3) uint8, that are read by index.
        crop: how they are cropped.
        batch_size: images per batch. Default: 32, or the number of images if they are fewer.

    Returns:
        The outputs by name, shape (n, ...), float64.
    """
    parts = []
    size = batch_size or min(BATCH, len(images))
    for start in range(0, len(images), size):
        rows = np.minimum(np.arange(start, start + size), len(images) - 1)
        batch = crop.center(images[rows]).astype(np.float32)
        outputs = network.predict_on_batch(batch)
        filled = min(size, len(images) - start)
        parts.append({name: np.asarray(value)[:filled] for name, value in outputs.items()})
        release(images)
    return {
        name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]
    }
