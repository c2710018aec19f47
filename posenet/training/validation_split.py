"""Which training images are held out for validation. The test split is never used."""

from __future__ import annotations

import numpy as np

from posenet.datasets.moments import merge_sequences
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError

# Number of blocks that represent the whole scene.
NUM_BLOCKS = 4


def validation_mask(scene: Scene, fraction: float) -> np.ndarray:
    """Choose the validation images: a few blocks of time, spread evenly over the scene.

    There are four blocks, fewer if there would be less than an image for each. A block does not
    extend into the next sequence, and includes a shorter sequence as a whole. If sequences are so
    short that less than half of the fraction is found, there are more blocks. Images are never
    chosen at random: neighboring video frames are nearly equal, and a network that has seen one
    knows the other. Images that the cameras of a rig took at one moment stay together.

    Args:
        scene: n training images.
        fraction: fraction of the images to hold out.

    Returns:
        A mask of the validation images, shape (n,).

    Raises:
        PoseNetError: no image would be left to train on.
    """
    moments = scene.dense_moments
    # One image for each moment, in the order of time.
    rows = np.unique(moments, return_index=True)[1]
    # As numbers, since they are compared for each block.
    sequences = np.unique(merge_sequences(scene.sequences, moments)[rows], return_inverse=True)[1]
    wanted = fraction * len(sequences)
    num_blocks = min(NUM_BLOCKS, round(wanted) if wanted >= 1 else 0)
    chosen = _choose_blocks(sequences, num_blocks, wanted)
    while chosen.sum() < wanted / 2 and 0 < 2 * num_blocks <= wanted:
        num_blocks *= 2
        chosen = _choose_blocks(sequences, num_blocks, wanted)
    mask: np.ndarray = chosen[moments]
    if mask.all():
        raise PoseNetError(
            f"--validation-split {fraction} must leave images to train on, it holds out all "
            f"{len(scene)}"
        )
    return mask


def _choose_blocks(sequences: np.ndarray, num_blocks: int, wanted: float) -> np.ndarray:
    """Return a mask of blocks with `wanted` moments in all, fewer if sequences are shorter."""
    mask = np.zeros(len(sequences), bool)
    length = wanted / max(num_blocks, 1)
    for block in range(num_blocks):
        middle = int((block + 0.5) / num_blocks * len(sequences))
        rows = np.flatnonzero(sequences == sequences[middle])
        size = min(max(1, round(length)), len(rows))
        start = int(np.clip(np.searchsorted(rows, middle) - size // 2, 0, len(rows) - size))
        mask[rows[start : start + size]] = True
    return mask
