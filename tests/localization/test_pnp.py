"""Poses from exact points, with and without a known focal length."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import (
    CameraPose,
    Matches,
    estimate_focal_factor,
    ransac_pnp,
    refine_pose,
    reprojection_errors,
    reprojection_residuals,
)
from posenet.mapping.keypoints import Keypoints

POSITION, ROTATION = np.array([0.2, 0.1, -0.3]), Rotation.from_rotvec([0.1, -0.2, 0.3])
POSE = CameraPose(POSITION, ROTATION)


def matched(points):
    """Match each keypoint with the point of the same row."""
    return Matches(np.arange(len(points)), points, np.zeros(len(points), int))


def view(points, focal=1.0):
    """Return keypoints of points (60, 3) if 1 / focal of the focal length is assumed."""
    local = ROTATION.inv().apply(points - POSITION)
    return Keypoints(focal * local[:, :2] / local[:, 2:], np.zeros((60, 128), np.uint8), 1 / 500)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform((-1, -1, 3), (1, 1, 6), (60, 3))


def test_a_third_of_wrong_pairs_does_not_matter(points):
    seen = view(points)
    shown = points.copy()
    shown[:20] = shown[19::-1]  # wrongly paired
    (position, rotation), num_inliers = ransac_pnp(seen, matched(shown))
    np.testing.assert_allclose(position, POSITION, atol=1e-4)
    assert (rotation.inv() * ROTATION).magnitude() < 1e-4
    assert num_inliers == 40
    shuffled = points[np.random.default_rng(1).permutation(60)]
    assert ransac_pnp(seen, matched(shuffled)) is None
    assert ransac_pnp(seen, matched(points[:11])) is None


def test_several_matches_of_a_keypoint_count_once(points):
    twice = Matches(np.tile(np.arange(60), 2), np.tile(points, (2, 1)), np.repeat([0, 1], 60))
    assert ransac_pnp(view(points), twice).num_inliers == 60
    # 11 keypoints are too few, even if each has two matches.
    chosen = np.flatnonzero(twice.rows < 11)
    assert len(chosen) == 22
    assert ransac_pnp(view(points), twice.select(chosen)) is None
    chosen = np.flatnonzero(twice.rows < 12)
    assert ransac_pnp(view(points), twice.select(chosen)).num_inliers == 12


def test_nine_of_ten_matches_may_be_wrong():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        position, rotation = rng.uniform(-0.5, 0.5, 3), Rotation.from_rotvec(rng.normal(0, 0.3, 3))
        local = rng.uniform((-2, -1.5, 3), (2, 1.5, 6), (400, 3))
        points = rotation.apply(local) + position
        rays = local[:, :2] / local[:, 2:] + rng.normal(0, 1 / 500, (400, 2))  # one pixel
        points[40:] = points[rng.permutation(np.arange(40, 400))]  # wrongly paired
        keypoints = Keypoints(rays, np.zeros((400, 128), np.uint8), 1 / 500)
        (found, turned), num_inliers = ransac_pnp(keypoints, matched(points))
        assert np.linalg.norm(found - position) < 0.05, seed  # the points are 4.5 away
        assert np.degrees((turned.inv() * rotation).magnitude()) < 0.7, seed
        assert 36 <= num_inliers < 60, seed


def test_the_same_matches_give_the_same_pose(points):
    rng = np.random.default_rng(0)
    seen, shown = view(points), points + rng.normal(0, 0.01, points.shape)
    shown[:30] = rng.permutation(shown[:30])
    first, second = (ransac_pnp(seen, matched(shown)) for _ in range(2))
    np.testing.assert_array_equal(first.pose.position, second.pose.position)
    np.testing.assert_array_equal(first.pose.rotation.as_quat(), second.pose.rotation.as_quat())
    assert first.num_inliers == second.num_inliers


def test_a_place_far_from_the_worlds_zero_is_solved_as_exactly(points):
    # Like UTM coordinates, which float32 resolves to half a meter.
    far = np.array([4.5e5, 5.3e6, 300.0])
    (position, rotation), _ = ransac_pnp(view(points), matched(points + far))
    np.testing.assert_allclose(position - far, POSITION, atol=1e-4)
    assert (rotation.inv() * ROTATION).magnitude() < 1e-4


def test_least_squares_from_nearby(points):
    near = CameraPose(POSITION + 0.1, ROTATION * Rotation.from_rotvec([0.02, -0.03, 0.01]))
    position, rotation = refine_pose(view(points), matched(points), near)
    np.testing.assert_allclose(position, POSITION, atol=1e-8)
    assert (rotation.inv() * ROTATION).magnitude() < 1e-8


def test_residuals_are_pixels(points):
    seen = view(points)
    np.testing.assert_allclose(
        reprojection_residuals(np.zeros(6), seen, matched(points), POSE), 0, atol=1e-9
    )
    moved = replace(seen, rays=seen.rays + [0.01, 0])  # five pixels of 1 / 500
    residuals = reprojection_residuals(np.zeros(6), moved, matched(points), POSE)
    np.testing.assert_allclose(residuals, np.tile([-5.0, 0], 60), atol=1e-9)
    np.testing.assert_allclose(reprojection_errors(moved, matched(points), POSE), 5.0, atol=1e-9)
    change = np.array([0, 0, 0, 0, 0, 0, np.log(1.1)])
    longer = reprojection_residuals(change, seen.zoomed(1 / 1.1), matched(points), POSE)
    np.testing.assert_allclose(longer, 0, atol=1e-9)


@pytest.mark.parametrize("focal", [0.6, 1.0, 1.7])
def test_the_focal_length_is_found_with_the_pose(points, focal):
    seen = view(points, focal)
    assert estimate_focal_factor(seen, matched(points)) == pytest.approx(focal, rel=1e-4)


def test_a_wall_from_the_front_does_not_determine_the_focal_length():
    wall = np.random.default_rng(0).uniform((-1, -1, 4), (1, 1, 4), (60, 3))
    noise = np.random.default_rng(1).normal(0, 1e-3, (60, 2))
    facing = Keypoints(wall[:, :2] / 4 + noise, np.zeros((60, 128), np.uint8), 1 / 500)
    assert estimate_focal_factor(facing, matched(wall)) is None
    assert estimate_focal_factor(view(wall), matched(wall[:5])) is None
