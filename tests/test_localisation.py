"""Poses from points: pictures of a painted plane, whose poses are known exactly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.keypoints import Keypoints, detect_in
from posenet.localisation import locate
from posenet.scene import Camera
from posenet.structure import SeenPoints, triangulate_scene
from tests.planes import CAMERA, painting, picture_of_plane, plane_scene, towards_plane


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return triangulate_scene(plane_scene(tmp_path_factory.mktemp("plane"), 10), 800, ranks=(0, 1, 3, 6))


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_new_picture_is_placed_within_a_centimetre(seen, seed):
    position, rotation = towards_plane(np.random.default_rng(seed), 0.4)
    found = locate(detect_in(picture_of_plane(painting(), CAMERA, position, rotation), CAMERA, 800), seen[:6])
    assert found.inliers > 60
    assert np.linalg.norm(found.position - position) < 0.01  # two metres away
    assert np.degrees((found.rotation.inv() * rotation).magnitude()) < 0.2
    assert len(found.rows) == len(set(found.rows.tolist())) == len(found.points) >= found.inliers
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
    found = locate(ours, [SeenPoints(ours, points)])
    np.testing.assert_allclose(found.position, position, atol=1e-6)
    assert (found.rotation.inv() * rotation).magnitude() < 1e-6
    assert found.inliers == 60


def test_another_place_is_not_recognised(seen):
    rng = np.random.default_rng(5)
    for seed in range(1, 5):
        other = picture_of_plane(painting(seed), CAMERA, *towards_plane(rng))
        assert locate(detect_in(other, CAMERA, 800), seen[:6]) is None


def test_nothing_to_go_by():
    empty = Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), 0.01)
    nothing = SeenPoints(empty, np.zeros((0, 3)))
    assert locate(empty, [nothing]) is None
    assert locate(empty, []) is None
    grey = detect_in(np.full((240, 320, 3), 9, np.uint8), Camera(320, 240, 260, 260, 160, 120), 100)
    assert locate(grey, [nothing]) is None
