"""Which training pictures are held out for choosing the best model. The test split is never touched."""

from __future__ import annotations

import numpy as np

from posenet.errors import PoseNetError
from posenet.scene import Scene

BLOCKS = 4


def holdout_mask(scene: Scene, share: float) -> np.ndarray:
    """(n,) True where a training picture is held out: about `share` of them, in a few blocks in time.

    Four blocks (fewer, where there would be less than a picture for each) spread evenly over the list stand for the
    whole scene; a block does not run on into the next sequence, and takes a shorter sequence whole. Never random
    pictures: neighbouring video frames are nearly equal, and a network that has seen one knows the other.
    Raises PoseNetError where no picture would be left to train on.
    """
    mask = np.zeros(len(scene), bool)
    blocks = min(BLOCKS, round(share * len(scene)) if share * len(scene) >= 1 else 0)
    length = share * len(scene) / max(blocks, 1)
    for block in range(blocks):
        middle = int((block + 0.5) / blocks * len(scene))
        rows = np.flatnonzero(scene.sequences == scene.sequences[middle])
        size = min(max(1, round(length)), len(rows))
        start = int(np.clip(np.searchsorted(rows, middle) - size // 2, 0, len(rows) - size))
        mask[rows[start : start + size]] = True
    if mask.all():
        raise PoseNetError(f"--validation {share} must leave pictures to train on, it holds out all {len(scene)}")
    return mask
