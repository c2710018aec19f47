"""Predict a whole set of batch in batches of one size."""

from __future__ import annotations

import numpy as np

from posenet.geometry.cropping import Crop
from posenet.io.image_cache import release


def predict_in_batches(network, images, crop: Crop, batch_size: int = 32) -> dict[str, np.ndarray]:
    """The network's outputs on the middle cuts of stored images (n, h, w, 3), joined over all batches.

    Every batch has the same size (the last is filled up), so that nothing is compiled twice.
    """
    parts = []
    size = min(batch_size, len(images))
    for start in range(0, len(images), size):
        rows = np.minimum(np.arange(start, start + size), len(images) - 1)
        batch = crop.middle(images[rows]).astype(np.float32)
        outputs = network.predict_on_batch(batch)
        kept = min(size, len(images) - start)
        parts.append({name: np.asarray(value)[:kept] for name, value in outputs.items()})
        release(images)
    return {
        name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]
    }
