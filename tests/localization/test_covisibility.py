"""Cameras that look at a wall, whose overlaps follow from where they stand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.mapping.keypoints import Keypoints
from posenet.mapping.triangulation import Observations
from tests.helpers.maps import covisibility_of, view_of

AHEAD = Rotation.identity()


def turned(degrees):
    return Rotation.from_euler("y", degrees, degrees=True)


def wall_view(x, z=0.0, rotation=AHEAD, half=1.0):
    """Return what a camera at (x, 0, z) sees of the wall z = 2, and its pose.

    It observes 60 points in two rows at y = -1 and 1, evenly spaced from `half` left of it to
    `half` right of it.
    """
    across = x + half * (2 * np.arange(30) - 29) / 29
    points = np.array([(a, y, 2.0) for a in across for y in (-1.0, 1.0)])
    position = np.array([x, 0.0, z])
    keypoints = view_of(points, np.zeros((60, 128), np.uint8), position, rotation)
    return Observations(keypoints, points), (position, rotation)


def overlaps(*views):
    """Return the overlaps of the first view with the others."""
    observations, poses = zip(*views, strict=True)
    covisibility = covisibility_of(observations, poses)
    return covisibility.overlaps(0, np.arange(1, len(views)))


def test_views_side_by_side_by_hand():
    # Each sees two meters of the wall: 1 / 29 of them is between neighboring points.
    found = overlaps(*(wall_view(x) for x in (0, 1.0, -1.0, 1.6, 2.5)))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.2, 0.0], atol=0.02)


def test_the_same_view_overlaps_fully():
    # The second is a little wider, so that no point is on the very edge of its view.
    near, far = wall_view(0, half=0.999), wall_view(0, z=-0.002)
    np.testing.assert_array_equal(overlaps(near, far), [1.0])


def test_the_larger_fraction_counts():
    # The first sees two of the eight meters that the second sees: a quarter of the second's
    # points, but all of its own.
    near, far = wall_view(0), wall_view(0, z=-6.0, half=4.0)
    np.testing.assert_array_equal(overlaps(near, far), [1.0])
    np.testing.assert_array_equal(overlaps(far, near), [1.0])


@pytest.mark.parametrize(("degrees", "is_near"), [(55, True), (65, False), (-65, False)])
def test_views_that_differ_by_more_than_60_degrees_do_not_overlap(degrees, is_near):
    # Both see the same narrow part of the wall, from the side and from the front.
    front = wall_view(0, half=0.2)
    angle = np.radians(degrees)
    position = np.array([-2 * np.sin(angle), 0, 2 - 2 * np.cos(angle)])
    keypoints = view_of(front[0].points, np.zeros((60, 128), np.uint8), position, turned(degrees))
    side = Observations(keypoints, front[0].points), (position, turned(degrees))
    (found,) = overlaps(front, side)
    assert (found > 0.9) == is_near
    assert (found == 0) == (not is_near)


def test_opposite_viewing_directions_do_not_overlap():
    # Both sides of a wall show the same points of it.
    front = wall_view(0)
    behind = np.array([0, 0, 4.0])
    keypoints = view_of(front[0].points, np.zeros((60, 128), np.uint8), behind, turned(180))
    back = Observations(keypoints, front[0].points), (behind, turned(180))
    np.testing.assert_array_equal(overlaps(front, back), [0.0])


def test_points_behind_a_camera_are_not_seen():
    # The second stands behind the wall, looks away from it and sees widely: mirrored, all points
    # of the wall would be in its view. Its own points are outside of the first view.
    first, behind = wall_view(0), np.array([0, 0, 4.0])
    points = first[0].points * [10, 10, 1] + behind
    keypoints = view_of(points, np.zeros((60, 128), np.uint8), behind)
    beyond = Observations(keypoints, points), (behind, AHEAD)
    np.testing.assert_array_equal(overlaps(first, beyond), [0.0])


def test_an_image_without_points_overlaps_with_none():
    empty = (
        Observations(
            Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), 0.01), np.zeros((0, 3))
        ),
        (np.zeros(3), AHEAD),
    )
    np.testing.assert_array_equal(overlaps(wall_view(0), empty), [0.0])
    np.testing.assert_array_equal(overlaps(empty, wall_view(0), empty), [0.0, 0.0])
    assert overlaps(wall_view(0)).shape == (0,)


def test_a_wall_far_behind_is_not_shared():
    # The second camera stands ten meters behind the first, whose wall is two meters away: it sees
    # all of it, but from six times the distance. From three times the distance it is shared.
    near = wall_view(0)
    assert overlaps(
        near, wall_view(0, z=-10.0, half=6.0), wall_view(0, z=-4.0, half=3.0)
    ).tolist() == [
        0.0,
        1.0,
    ]
