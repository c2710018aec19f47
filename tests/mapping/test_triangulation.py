from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.mapping import sweep
from posenet.mapping.neighbors import pairs_from_poses
from posenet.mapping.rays import triangulate_rays
from posenet.mapping.triangulation import triangulate_blocks, triangulate_scene
from tests.helpers.planes import CAMERA, image_of_plane, painting, plane_scene

pytestmark = pytest.mark.slow


def test_rays_intersect_at_the_point():
    target = np.array([[0.3, -0.2, 4.0], [1.0, 1.0, 2.0]])
    center, other = np.array([0.0, 0, 0]), np.array([0.5, 0.1, 0])
    rays = target / np.linalg.norm(target, axis=1, keepdims=True)
    others = (target - other) / np.linalg.norm(target - other, axis=1, keepdims=True)
    distances, misses, parallax = triangulate_rays(center, rays, other, others)
    np.testing.assert_allclose(distances, np.linalg.norm(target, axis=1), rtol=1e-12)
    np.testing.assert_allclose(misses, 0, atol=1e-12)
    expected = np.linalg.norm(np.cross(rays, others), axis=1)
    np.testing.assert_allclose(parallax, expected, rtol=1e-9)


def test_ray_misses_the_point_by_its_angle():
    # seen from (1, 0, 0), the point (0, 0, 2) lies at distance sqrt(5); the ray passes 0.1 above it
    other, target = np.array([1.0, 0, 0]), np.array([0, 0.1, 2.0])
    ray = (target - other) / np.linalg.norm(target - other)
    distances, misses, _ = triangulate_rays(np.zeros(3), np.array([[0, 0, 1.0]]), other, ray[None])
    np.testing.assert_allclose(distances, 2.0, atol=0.02)
    np.testing.assert_allclose(np.arcsin(misses), np.arctan(0.1 / np.sqrt(5)), rtol=0.01)


def test_points_of_textured_plane_are_on_it(tmp_path):
    seen = triangulate_scene(plane_scene(tmp_path), 600, ranks=(0, 1, 3, 6))
    assert min(len(each.points) for each in seen) > 100
    points = np.concatenate([each.points for each in seen])
    assert np.median(np.abs(points[:, 2])) < 0.01  # the plane is z = 0, two meters away
    assert np.mean(np.abs(points[:, 2]) < 0.05) > 0.95
    for each in seen:
        assert len(each.points) == len(each.keypoints)


def test_images_without_intrinsics_are_not_counted_as_neighbors(tmp_path):
    scene = plane_scene(tmp_path, 4)
    beside = scene.poses[np.repeat([0, 1, 2, 3], 5)]  # four without focal length each
    cameras = tuple(CAMERA if row % 5 == 0 else None for row in range(20))
    paths = np.repeat(scene.names, 5)
    among = replace(
        scene,
        poses=beside,
        cameras=cameras,
        names=tuple(paths),
        splits=np.repeat(scene.splits, 5),
        sequences=np.repeat(scene.sequences, 5),
        numbers=None,
        points=None,
    )
    alone = triangulate_scene(scene, 300, ranks=(0, 1))
    found = triangulate_scene(among, 300, ranks=(0, 1))
    for row, each in enumerate(alone):
        assert len(found[5 * row].points) == len(each.points) > 50
    assert sum(len(each.points) for each in found) == sum(len(each.points) for each in alone)


def test_short_baseline_has_no_depth(tmp_path):
    # A centimeter apart and two meters away: a parallax of 0.3 degrees, less than the minimum of 1.
    scene = plane_scene(tmp_path, 2)
    position, rotation = np.array([0.0, 0, -2]), Rotation.identity()
    positions = np.array([position, position + [0.01, 0, 0]])
    for path, each in zip(scene.paths, positions, strict=True):
        cv2.imwrite(str(path), image_of_plane(painting(), CAMERA, each, rotation)[..., ::-1])
    beside = replace(scene, poses=Poses(positions, Rotation.identity(2)))
    seen = triangulate_scene(beside, 300, ranks=(0,))
    assert max(len(each.points) for each in seen) <= 3  # of 300, wrong matches


def test_images_without_intrinsics_or_damaged_ones_have_no_observations(tmp_path, caplog):
    scene = plane_scene(tmp_path, 5)
    scene = replace(scene, cameras=(None, *scene.cameras[1:]))
    (tmp_path / "001.png").write_bytes(b"no image")
    seen = triangulate_scene(scene, 300, ranks=(0, 1, 2))
    assert [len(each.points) > 0 for each in seen] == [False, False, True, True, True]
    assert "001.png" in caplog.text


def test_blocks_observe_the_same_and_keep_only_what_is_needed(tmp_path, monkeypatch):
    scene = plane_scene(tmp_path / "plane", 12)
    whole = triangulate_scene(scene, 300, ranks=(0, 1))
    monkeypatch.setattr(sweep, "BLOCK_IMAGES", 2)
    folder = tmp_path / "work"
    folder.mkdir()
    seen, stored = {}, []
    for block in triangulate_blocks(scene, 300, ranks=(0, 1), checkpoint=folder):
        assert len(block.rows) == 2
        seen.update(zip(block.rows.tolist(), block.observations, strict=True))
        stored.append(len(list(folder.glob("keypoints-*"))))
    for row, expected in enumerate(whole):
        np.testing.assert_array_equal(seen[row].points, expected.points)
    assert max(stored) < 12
    plan = sweep.plan_sweep(scene.poses, pairs_from_poses(scene.poses, (0, 1)))
    assert max(stored) == plan.max_stored_images
    assert list(folder.iterdir()) == []
