from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.saved_scene import load_scene, save_scene, saved_digest, with_saved_stats
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from tests.helpers.scenes import make_scene


@pytest.fixture
def scene(tmp_path):
    other = Camera(640, 480, 500.1, 500.2, 320, 240, "OPENCV", (0.1, -0.2, 0.001, 1 / 3), "EXIF")
    scene = make_scene(tmp_path / "scene", unit="scene units")
    cameras = (None, other, *scene.cameras[2:])
    return replace(scene, cameras=cameras, points=None, times=np.arange(12) / 3, split_rule="own")


def test_a_scene_without_its_images_is_the_same(scene, tmp_path):
    digests = scene.digest(), scene.subset([3, 5]).digest(), scene.files_digest()
    save_scene(tmp_path / "saved.npz", scene)
    (tmp_path / "scene").rename(tmp_path / "away")
    loaded = load_scene(tmp_path / "saved.npz", tmp_path / "scene")
    assert (loaded.digest(), loaded.subset([3, 5]).digest(), loaded.files_digest()) == digests
    assert saved_digest(tmp_path / "saved.npz") == digests[0]
    assert scene.digest() != digests[0]  # without its images
    for name in ("name", "names", "cameras", "unit", "split_rule", "paths"):
        assert getattr(loaded, name) == getattr(scene, name)
    for name in ("splits", "sequences", "times"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(scene, name))
    assert loaded.moments is None
    assert loaded.numbers is None
    np.testing.assert_array_equal(loaded.poses.positions, scene.poses.positions)
    assert not loaded.has_images
    with pytest.raises(
        PoseNetError, match=r"^making a map requires the images of the scene, .*scene not found$"
    ):
        loaded.require_images("making a map")
    save_scene(tmp_path / "again.npz", loaded)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "saved.npz").read_bytes()


def test_rotations_keep_all_bits_but_one_in_a_thousand(scene, tmp_path):
    wanted = Rotation.random(12000, random_state=4)
    scene = replace(
        scene.subset(np.arange(12000) % 12), poses=Poses(np.zeros((12000, 3)), wanted), times=None
    )
    save_scene(tmp_path / "saved.npz", replace(scene, file_stats=np.zeros((12000, 2), int)))
    loaded = load_scene(tmp_path / "saved.npz", scene.root).poses.rotations
    differences = np.abs(loaded.as_quat() - wanted.as_quat()).max(axis=1)
    assert (differences > 0).sum() < 24
    assert differences.max() < 3e-16


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_missing_and_damaged_files_are_none(tmp_path, content):
    if content is not None:
        (tmp_path / "saved.npz").write_bytes(content)
    assert load_scene(tmp_path / "saved.npz", tmp_path) is None
    assert saved_digest(tmp_path / "saved.npz") is None


def test_a_file_with_python_objects_is_refused(tmp_path):
    np.savez(tmp_path / "saved.npz", json=np.array([{"format": 1}], object))
    assert load_scene(tmp_path / "saved.npz", tmp_path) is None


def test_changed_content_is_refused(scene, tmp_path):
    save_scene(tmp_path / "saved.npz", scene)
    with np.load(tmp_path / "saved.npz") as saved:
        arrays = dict(saved)
    arrays["positions"] = arrays["positions"] + 1
    np.savez(tmp_path / "saved.npz", **arrays)
    assert load_scene(tmp_path / "saved.npz", scene.root) is None


def test_copied_images_are_recognized_by_their_sizes(scene, tmp_path):
    save_scene(tmp_path / "saved.npz", scene)
    saved = load_scene(tmp_path / "saved.npz", scene.root)
    digest = scene.digest()
    scene.paths[0].touch()
    assert scene.digest() != digest
    assert with_saved_stats(scene, saved).digest() == digest
    moved = replace(scene, poses=Poses(scene.poses.positions + 1e-6, scene.poses.rotations))
    assert with_saved_stats(moved, saved) is moved
    scene.paths[0].write_bytes(scene.paths[0].read_bytes() + b"more")
    assert with_saved_stats(scene, saved) is scene
