import numpy as np
import pytest

from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.training.validation_split import NUM_BLOCKS, validation_mask
from tests.helpers.errors import refusal


def scene_of(lengths):
    sequences = np.repeat([f"seq{i}" for i in range(len(lengths))], lengths)
    n = len(sequences)
    poses = Poses.from_quaternions(np.zeros((n, 3)), np.tile([1.0, 0, 0, 0], (n, 1)))
    return Scene(
        "s", None, tuple(map(str, range(n))), poses, (None,) * n, np.full(n, "train"), sequences
    )


@pytest.mark.parametrize("lengths", [[400], [100] * 4, [62] * 12, [5] * 40])
def test_blocks_in_time_of_the_requested_size(lengths):
    mask = validation_mask(scene_of(lengths), 0.1)
    assert 0.02 * len(mask) <= mask.sum() <= 0.12 * len(mask)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int)])) == 1)
    assert len(starts) <= NUM_BLOCKS  # never scattered over neighboring frames


@pytest.mark.parametrize(("count", "length"), [(300, 3), (900, 1)])
def test_very_many_short_sequences(count, length):
    mask = validation_mask(scene_of([length] * count), 0.08)
    assert 36 <= mask.sum() <= 72  # of 900; four blocks would be 12 and 4
    rows = np.flatnonzero(mask)
    assert (rows.min() < 100, rows.max() > 800) == (True, True)
    if length > 1:
        assert (
            mask.reshape(count, length).all(axis=1).sum() * length == mask.sum()
        )  # whole sequences


def test_blocks_stand_for_the_whole_list():
    rows = np.flatnonzero(validation_mask(scene_of([400]), 0.1))
    assert rows.min() < 100
    assert rows.max() > 300
    assert len(rows) == 40


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(13, 0.08, 1), (24, 0.08, 2), (40, 0.08, 3), (60, 0.08, 4)]
)
def test_small_scenes_lose_no_more_than_the_share(count, share, expected):
    assert validation_mask(scene_of([count]), share).sum() == expected


def test_something_is_left_to_train_on():
    assert validation_mask(scene_of([4]), 0.25).sum() == 1
    line = refusal(validation_mask, scene_of([2]), 0.89)
    assert line == "--validation-split 0.89 must leave images to train on, it holds out all 2"


def test_nothing_is_expected_when_not_asked_for():
    assert not validation_mask(scene_of([100]), 0.0).any()
    assert not validation_mask(scene_of([3]), 0.08).any()
