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
    position, rotation = ransac_pnp(seen, matched(shown))
    np.testing.assert_allclose(position, POSITION, atol=1e-4)
    assert (rotation.inv() * ROTATION).magnitude() < 1e-4
    shuffled = points[np.random.default_rng(1).permutation(60)]
    assert ransac_pnp(seen, matched(shuffled)) is None
    assert ransac_pnp(seen, matched(points[:11])) is None


def test_a_place_far_from_the_worlds_zero_is_solved_as_exactly(points):
    # Like UTM coordinates, which float32 resolves to half a meter.
    far = np.array([4.5e5, 5.3e6, 300.0])
    position, rotation = ransac_pnp(view(points), matched(points + far))
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
