"""Predict a whole set of images in batches of one size."""

from __future__ import annotations

import numpy as np

from posenet.geometry.cropping import Framing
from posenet.io.image_cache import release


def predict_in_batches(network, pictures, framing: Framing, batch_size: int = 32) -> dict[str, np.ndarray]:
    """The network's outputs on the middle cuts of stored pictures (n, h, w, 3), joined over all batches.

    Every batch has the same size (the last is filled up), so that nothing is compiled twice.
    """
    parts = []
    size = min(batch_size, len(pictures))
    for start in range(0, len(pictures), size):
        rows = np.minimum(np.arange(start, start + size), len(pictures) - 1)
        images = framing.middle(pictures[rows]).astype(np.float32)
        outputs = network.predict_on_batch(images)
        kept = min(size, len(pictures) - start)
        parts.append({name: np.asarray(value)[:kept] for name, value in outputs.items()})
        release(pictures)
    return {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]}
