"""Which training images are held out for choosing the best model. The test split is never touched."""

from __future__ import annotations

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError

BLOCKS = 4


def validation_mask(scene: Scene, share: float) -> np.ndarray:
    """(n,) True where a training image is held out: about `share` of them, in a few blocks in time.

    Four blocks (fewer, where there would be less than a image for each) spread evenly over the list stand for the
    whole scene; a block does not run on into the next sequence, and takes a shorter sequence whole. Where sequences are
    so short that half of the share is not found, there are more blocks. Never random images: neighboring video
    frames are nearly equal, and a network that has seen one knows the other.
    Raises PoseNetError where no image would be left to train on.
    """
    wanted = share * len(scene)
    blocks = min(BLOCKS, round(wanted) if wanted >= 1 else 0)
    mask = _blocks(scene, blocks, wanted)
    while mask.sum() < wanted / 2 and 0 < 2 * blocks <= wanted:
        blocks *= 2
        mask = _blocks(scene, blocks, wanted)
    if mask.all():
        raise PoseNetError(
            f"--validation-split {share} must leave images to train on, it holds out all {len(scene)}"
        )
    return mask


def _blocks(scene: Scene, blocks: int, wanted: float) -> np.ndarray:
    """(n,) True in so many blocks, of so many images in all, or fewer where sequences are shorter."""
    mask = np.zeros(len(scene), bool)
    length = wanted / max(blocks, 1)
    for block in range(blocks):
        middle = int((block + 0.5) / blocks * len(scene))
        rows = np.flatnonzero(scene.sequences == scene.sequences[middle])
        size = min(max(1, round(length)), len(rows))
        start = int(np.clip(np.searchsorted(rows, middle) - size // 2, 0, len(rows) - size))
        mask[rows[start : start + size]] = True
    return mask
