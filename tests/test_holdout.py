import numpy as np
import pytest

from posenet.holdout import BLOCKS, holdout_mask
from posenet.poses import Poses
from posenet.scene import Scene


def scene_of(lengths):
    sequences = np.repeat([f"seq{i}" for i in range(len(lengths))], lengths)
    n = len(sequences)
    poses = Poses.from_quaternions(np.zeros((n, 3)), np.tile([1.0, 0, 0, 0], (n, 1)))
    return Scene("s", None, tuple(map(str, range(n))), poses, (None,) * n, np.full(n, "train"), sequences)


@pytest.mark.parametrize("lengths", [[400], [100] * 4, [62] * 12, [5] * 40])
def test_blocks_in_time_of_the_asked_size(lengths):
    mask = holdout_mask(scene_of(lengths), 0.1)
    assert 0.02 * len(mask) <= mask.sum() <= 0.12 * len(mask)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int)])) == 1)
    assert len(starts) <= BLOCKS  # never scattered over neighbouring frames


def test_blocks_stand_for_the_whole_list():
    rows = np.flatnonzero(holdout_mask(scene_of([400]), 0.1))
    assert rows.min() < 100
    assert rows.max() > 300
    assert len(rows) == 40


def test_nothing_is_held_out_when_not_asked_for():
    assert not holdout_mask(scene_of([100]), 0.0).any()
    assert not holdout_mask(scene_of([3]), 0.08).any()
