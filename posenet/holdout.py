"""Which training pictures are held out for choosing the best model. The test split is never touched."""

from __future__ import annotations

import numpy as np

from posenet.scene import Scene

BLOCKS = 4


def holdout_mask(scene: Scene, share: float) -> np.ndarray:
    """(n,) True where a training picture is held out: about `share` of them, in a few blocks in time.

    Four blocks spread evenly over the list stand for the whole scene; a block does not run on into the next
    sequence, and takes a shorter sequence whole. Never random pictures: neighbouring video frames are nearly
    equal, and a network that has seen one knows the other.
    """
    mask = np.zeros(len(scene), bool)
    length = share * len(scene) / BLOCKS
    if length * BLOCKS < 1:
        return mask
    for block in range(BLOCKS):
        middle = int((block + 0.5) / BLOCKS * len(scene))
        rows = np.flatnonzero(scene.sequences == scene.sequences[middle])
        size = min(max(1, round(length)), len(rows))
        start = int(np.clip(np.searchsorted(rows, middle) - size // 2, 0, len(rows) - size))
        mask[rows[start : start + size]] = True
    return mask
