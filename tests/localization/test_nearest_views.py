"""The tree of views, against sorting the measure of all images."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.localization.nearest_views import ViewIndex


def by_sorting(poses, depth, position, forward, count):
    angles = np.arccos(np.clip(poses.rotations.apply([0.0, 0, 1]) @ forward, -1, 1))
    distances = np.linalg.norm(poses.positions - position, axis=1)
    return np.argsort(distances / depth + angles, kind="stable")[:count]


def random_poses(rng, total, spread):
    return Poses(rng.normal(0, spread, (total, 3)), Rotation.random(total, rng=rng))


@pytest.mark.parametrize("origin", [0.0, 5e6])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("count", [1, 14])
def test_the_first_images_are_those_of_sorting(origin, spread, count):
    rng = np.random.default_rng(0)
    poses = random_poses(rng, 3000, spread)
    poses = Poses(poses.positions + origin, poses.rotations)
    queries = random_poses(rng, 20, spread)
    views = ViewIndex(poses, 2.5)
    for position, rotation in zip(queries.positions + origin, queries.rotations, strict=True):
        forward = rotation.apply([0.0, 0, 1])
        expected = by_sorting(poses, 2.5, position, forward, count)
        np.testing.assert_array_equal(views.nearest(position, forward, count), expected)


def test_two_images_by_hand():
    # The first is 1 m away and looks 90 degrees aside; the second is 2 m away. With a depth of
    # 1 m they differ by 1 + 1.57 and by 2, with one of 0.5 m by 2 + 1.57 and by 4.
    rotations = Rotation.from_euler("y", [[90], [0]], degrees=True)
    poses = Poses(np.array([[1.0, 0, 0], [0, 0, 2]]), rotations)
    ahead = np.array([0.0, 0, 1])
    assert ViewIndex(poses, 1.0).nearest(np.zeros(3), ahead, 2).tolist() == [1, 0]
    assert ViewIndex(poses, 0.5).nearest(np.zeros(3), ahead, 2).tolist() == [0, 1]


def test_only_usable_images_are_found():
    rng = np.random.default_rng(1)
    poses = random_poses(rng, 300, 1.0)
    usable = rng.random(300) < 0.1
    rows = np.flatnonzero(usable)
    forward = np.array([0.0, 0, 1])
    found = ViewIndex(poses, 1.0, usable).nearest(np.zeros(3), forward, 14)
    expected = rows[by_sorting(poses[rows], 1.0, np.zeros(3), forward, 14)]
    np.testing.assert_array_equal(found, expected)
    everything = ViewIndex(poses, 1.0, usable).nearest(np.zeros(3), forward, 999)
    np.testing.assert_array_equal(np.sort(everything), rows)


def test_equal_views_come_in_their_order():
    poses = Poses(np.zeros((50, 3)), Rotation.identity(50))
    found = ViewIndex(poses, 1.0).nearest(np.zeros(3), np.array([0.0, 0, 1]), 14)
    assert found.tolist() == list(range(14))
