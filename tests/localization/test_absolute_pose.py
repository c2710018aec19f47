"""Absolute poses of images of a painted plane, which are known exactly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.localization.absolute_pose import clustered_covariance, estimate_absolute_pose
from posenet.localization.hypotheses import Hypothesis, strongest_rival
from posenet.localization.pnp import CameraPose
from posenet.localization.query_matches import QueryMatcher, cached_landmarks
from posenet.mapping.keypoints import Keypoints, detect_in
from posenet.mapping.triangulation import Observations, triangulate_scene
from tests.helpers.maps import covisibility_of
from tests.helpers.planes import CAMERA, image_of_plane, painting, plane_scene, towards_plane

pytestmark = pytest.mark.slow


FRONT = np.zeros(3), Rotation.identity()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return what ten images of the plane observe, and their poses."""
    scene = plane_scene(tmp_path_factory.mktemp("plane"), 10)
    poses = list(zip(scene.poses.positions, scene.poses.rotations, strict=True))
    return triangulate_scene(scene, 800, ranks=(0, 1, 3, 6)), poses


def estimate(keypoints, observations, poses, *, depth, images=None, **options):
    """Match keypoints with training images, all by default, and estimate their pose."""
    matcher = QueryMatcher(keypoints, cached_landmarks(observations.__getitem__))
    images = range(len(observations)) if images is None else images
    covisibility = covisibility_of(observations, poses)
    return estimate_absolute_pose(matcher, images, covisibility, depth=depth, **options)


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_new_image_is_placed_within_a_centimeter(seen, seed):
    position, rotation = towards_plane(np.random.default_rng(seed), 0.4)
    query = detect_in(image_of_plane(painting(), CAMERA, position, rotation), CAMERA, 800)
    found = estimate(query, *seen, depth=2.0, images=range(6))
    assert found.num_inliers > 60
    assert np.linalg.norm(found.position - position) < 0.01  # two meters away
    assert np.degrees((found.rotation.inv() * rotation).magnitude()) < 0.2
    assert (
        len(found.rows) == len(set(found.rows.tolist())) == len(found.points) >= found.num_inliers
    )
    assert np.median(np.abs(found.points[:, 2])) < 0.02  # the points lie on the plane
    deviations = np.sqrt(np.diag(found.covariance))
    assert 1e-5 < deviations[:3].max() < 0.02
    assert np.linalg.norm(found.position - position) < 12 * deviations[:3].max()


def test_the_pose_is_exact_for_exact_points():
    rng = np.random.default_rng(0)
    points = rng.uniform((-1, -1, 3), (1, 1, 6), (60, 3))
    rotation, position = Rotation.from_rotvec([0.1, -0.2, 0.3]), np.array([0.2, 0.1, -0.3])
    local = rotation.inv().apply(points - position)
    descriptors = rng.integers(0, 255, (60, 128)).astype(np.uint8)
    ours = Keypoints(local[:, :2] / local[:, 2:], descriptors, 1 / 500)
    found = estimate(ours, [Observations(ours, points)], [(position, rotation)], depth=4.5)
    np.testing.assert_allclose(found.position, position, atol=1e-6)
    assert (found.rotation.inv() * rotation).magnitude() < 1e-6
    assert found.num_inliers == 60
    assert found.rival is None
    assert found.focal_factor == 1.0


def noisy(rng, pixel, ahead, noise=0.0, right=0.0):
    """Return 200 noisy keypoints of points between two depths, and their landmarks.

    The points are right of the center from x = right on.
    """
    depth = rng.uniform(*ahead, 200)
    rays = rng.uniform((right, -0.2), (0.3, 0.2), (200, 2))
    points = np.column_stack([rays * depth[:, None], depth])
    descriptors = rng.integers(0, 255, (200, 128)).astype(np.uint8)
    seen = Keypoints(rays + rng.normal(0, noise * pixel, rays.shape), descriptors, pixel)
    return seen, Observations(Keypoints(rays, descriptors, pixel), points)


def test_an_estimated_focal_length_makes_the_pose_less_certain():
    ratios = []
    for seed in range(6):
        ours, known = noisy(np.random.default_rng(seed), 1 / 500, (10, 14), 1.0, -0.3)
        found = estimate(ours, [known], [FRONT], depth=12.0, has_known_focal_length=False)
        ratios.append(np.linalg.norm(found.position) / found.standard_deviations[0])
    assert (
        0.3 < np.median(ratios) < 1.7
    )  # as if the length were known, deviations would be a third of the errors
    certain = estimate(ours, [known], [FRONT], depth=12.0)
    assert certain.standard_deviations[0] < 0.6 * found.standard_deviations[0]


def test_a_scene_that_exists_twice_has_a_rival_with_the_same_focal_length():
    # The keypoints of the first camera fit 20 m further right as well.
    ours, known = noisy(np.random.default_rng(0), 1 / 500, (6, 14), right=-0.3)
    aside = np.array([20.0, 0, 0])
    both = [known, Observations(known.keypoints, known.points + aside)]
    found = estimate(
        ours.zoomed(0.8),
        both,
        [FRONT, (aside, Rotation.identity())],
        depth=10.0,
        has_known_focal_length=False,
    )
    positions = sorted([found.position, found.rival.position], key=lambda each: each[0])
    np.testing.assert_allclose(positions, [np.zeros(3), aside], atol=1e-3)
    assert found.num_inliers == found.rival.num_inliers == 200
    assert found.focal_factor == pytest.approx(1 / 0.8, rel=1e-4)
    assert found.rival.focal_factor == found.focal_factor


def test_a_hypothesis_that_becomes_the_same_pose_is_not_a_rival(monkeypatch):
    # Turned by 11 degrees about the middle of a narrow view, all projections are within 12 pixels:
    # a different pose as a hypothesis, but not once it is fitted.
    rng = np.random.default_rng(0)
    ours, known = noisy(rng, 1 / 500, (9.8, 10.2))
    rays = ours.rays / 4
    points = np.column_stack([rays * known.points[:, 2:], known.points[:, 2]])
    ours = Keypoints(rays, ours.descriptors, ours.pixel)
    turn = Rotation.from_euler("y", 11, degrees=True)
    middle = points.mean(axis=0)
    turned = CameraPose(middle - turn.apply(middle), turn)
    hypotheses = [
        Hypothesis(CameraPose(*FRONT), (0,), 200),
        Hypothesis(turned, (0,), 150),
    ]
    assert strongest_rival(hypotheses, 10.0) is hypotheses[1]
    monkeypatch.setattr("posenet.localization.absolute_pose.solve_groups", lambda *_: hypotheses)
    found = estimate(ours, [Observations(ours, points)], [FRONT], depth=10.0)
    np.testing.assert_allclose(found.position, 0, atol=1e-6)
    assert found.rival is None


def test_covariance_of_grouped_errors():
    # The mean of 1, 1, 1 of one group and -1, -1, -1 of another, by hand: 1 / 6 if all were
    # independent; the sums of the groups are 3 and -3, which adds 2 / (2 - 1) * (9 + 9) / 6 ** 2.
    errors, slopes = np.array([1.0, 1, 1, -1, -1, -1]), np.ones((6, 1))
    apart = clustered_covariance(slopes, errors, np.array([4, 4, 4, 7, 7, 7]))
    np.testing.assert_allclose(apart, [[1 / 6 + 1.0]])
    mixed = clustered_covariance(
        slopes, errors, np.array([4, 7, 9, 4, 7, 9])
    )  # each group has both: they agree
    np.testing.assert_allclose(mixed, [[1 / 6]])


def test_inliers_in_a_quarter_of_a_telephoto_image_are_enough():
    rng = np.random.default_rng(0)
    ours, known = noisy(rng, 1 / 4000, (10, 14), 0.3)
    narrow = 0.25  # degrees: the image is 9 wide
    ours = Keypoints(ours.rays * narrow, ours.descriptors, ours.pixel)
    points = np.column_stack([known.points[:, :2] * narrow, known.points[:, 2]])
    others = Keypoints(
        rng.uniform(-0.08, 0.08, (300, 2)),
        rng.integers(0, 255, (300, 128)).astype(np.uint8),
        1 / 4000,
    )
    both = Keypoints(
        np.concatenate([ours.rays, others.rays]),
        np.concatenate([ours.descriptors, others.descriptors]),
        1 / 4000,
    )
    narrowed = Keypoints(known.keypoints.rays * narrow, known.keypoints.descriptors, 1 / 4000)
    found = estimate(both, [Observations(narrowed, points)], [FRONT], depth=12.0)
    assert found.num_inliers > 150


def test_another_place_is_not_recognized(seen):
    rng = np.random.default_rng(5)
    for seed in range(1, 5):
        other = image_of_plane(painting(seed), CAMERA, *towards_plane(rng))
        query = detect_in(other, CAMERA, 800)
        assert estimate(query, *seen, depth=2.0, images=range(6)) is None


def test_no_keypoints_or_landmarks():
    empty = Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), 0.01)
    nothing = Observations(empty, np.zeros((0, 3)))
    assert estimate(empty, [nothing], [FRONT], depth=1.0) is None
    assert estimate(empty, [nothing], [FRONT], depth=1.0, images=[]) is None
    gray = detect_in(np.full((240, 320, 3), 9, np.uint8), Camera(320, 240, 260, 260, 160, 120), 100)
    assert estimate(gray, [nothing], [FRONT], depth=1.0) is None
