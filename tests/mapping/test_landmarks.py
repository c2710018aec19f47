from dataclasses import replace

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.mapping import landmarks, parallel, triangulation
from posenet.mapping.landmarks import load_or_build_landmarks, read_map_points
from posenet.mapping.triangulation import triangulate_scene
from tests.helpers.errors import refusal
from tests.helpers.planes import plane_scene

pytestmark = pytest.mark.slow


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "MAX_KEYPOINTS", 300)
    return plane_scene(tmp_path / "plane", 6)


def test_map_is_built_once_and_read_again(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    first = load_or_build_landmarks(tmp_path, scene)
    assert "building the map of 6 training images" in caplog.text
    caplog.clear()
    again = load_or_build_landmarks(tmp_path, scene)
    assert caplog.text == ""
    assert isinstance(again.descriptors, np.memmap)
    for row in range(6):
        ours, theirs = first.observations(row), again.observations(row)
        assert len(ours.points) > 30
        np.testing.assert_array_equal(ours.points, theirs.points)
        np.testing.assert_array_equal(ours.keypoints.descriptors, theirs.keypoints.descriptors)
        assert np.median(np.abs(ours.points[:, 2])) < 0.02  # the textured plane
    size = sum(file.stat().st_size for file in (tmp_path / "landmarks").iterdir())
    assert first.megabytes == pytest.approx(size / 1e6, rel=0.05)


def test_points_of_a_map_are_read_to_be_drawn(scene, tmp_path):
    assert read_map_points(tmp_path) is None
    built = load_or_build_landmarks(tmp_path, scene)
    points = read_map_points(tmp_path)
    np.testing.assert_allclose(points[: built.starts[1]], built.observations(0).points)
    (tmp_path / "landmarks" / "points.npy").write_bytes(b"damaged")
    assert read_map_points(tmp_path) is None


def test_outdated_or_damaged_map_is_built_again(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    load_or_build_landmarks(tmp_path, scene)
    moved = replace(scene, poses=replace(scene.poses, positions=scene.poses.positions + 1.0))
    found = load_or_build_landmarks(tmp_path, moved)
    np.testing.assert_allclose(np.median(found.observations(0).points[:, 2]), 1.0, atol=0.02)
    np.save(tmp_path / "none.npy", np.zeros(0, int))
    for name, damage in (
        ("points", b"damaged"),
        ("rays", b""),
        ("starts", (tmp_path / "none.npy").read_bytes()),
    ):
        (tmp_path / "landmarks" / f"{name}.npy").write_bytes(damage)
        caplog.clear()
        load_or_build_landmarks(tmp_path, moved)
        assert "building the map of 6 training images" in caplog.text


def test_map_of_an_old_run_is_read(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    new = load_or_build_landmarks(tmp_path, scene)
    (tmp_path / "landmarks").rename(tmp_path / "map")
    caplog.clear()
    old = load_or_build_landmarks(tmp_path, scene)
    assert caplog.text == ""
    np.testing.assert_array_equal(old.points, new.points)
    moved = replace(scene, poses=replace(scene.poses, positions=scene.poses.positions + 1.0))
    load_or_build_landmarks(tmp_path, moved)
    assert (tmp_path / "landmarks" / "map.json").is_file()


def test_impossible_maps_raise_errors(scene, tmp_path):
    with pytest.raises(
        PoseNetError, match="--refine requires the intrinsics of the training images"
    ):
        load_or_build_landmarks(tmp_path, replace(scene, cameras=(None,) * 6))
    for path in scene.paths:
        path.write_bytes(b"no image")
    line = refusal(load_or_build_landmarks, tmp_path, scene)
    assert line == (
        "refinement requires at least 10 shared 3-D points per training image; the "
        f"6 images in {scene.root} share only 0"
    )
    assert not (tmp_path / "landmarks").exists()
    (tmp_path / "file").write_text("no folder")
    line = refusal(load_or_build_landmarks, tmp_path / "file", scene)
    folder = tmp_path / "file" / "landmarks.unfinished"
    assert line.startswith(f"refinement must write {folder}, which cannot be made: ")


def test_scene_far_from_the_origin_has_an_equally_accurate_map(scene, tmp_path):
    far = np.array([4.5e5, 5.3e6, 300.0])  # meters, as surveyors count
    near = load_or_build_landmarks(tmp_path / "near", scene)
    moved = load_or_build_landmarks(tmp_path / "far", scene.translated(far))
    for row in range(6):
        np.testing.assert_allclose(
            moved.observations(row).points - far, near.observations(row).points, atol=1e-4
        )


def test_concurrent_processes_share_one_map(scene, tmp_path, monkeypatch):
    def overtaken(training, max_keypoints, *, ranks, checkpoint, cache):
        observations = triangulate_scene(training, max_keypoints, ranks=ranks)
        folder = tmp_path / "landmarks"
        landmarks._write(folder, observations, np.zeros(3), landmarks._stamp(training))
        raise PoseNetError("landmarks.unfinished cannot be written: No such file or directory")

    (tmp_path / "landmarks").mkdir()
    monkeypatch.setattr(landmarks, "triangulate_scene", overtaken)
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
    landmarks.shutil.rmtree(tmp_path / "landmarks")
    monkeypatch.setattr(landmarks, "triangulate_scene", fail)
    assert refusal(load_or_build_landmarks, tmp_path, scene) == "the disk is full"


def fail(*_, **__):
    raise PoseNetError("the disk is full")


def test_interrupted_map_resumes(scene, tmp_path, monkeypatch):
    whole = load_or_build_landmarks(tmp_path / "whole", scene)
    monkeypatch.setattr(parallel, "CHUNK", 2)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(triangulation, "match", stop)
        with pytest.raises(KeyboardInterrupt):
            load_or_build_landmarks(tmp_path, scene)
    assert not (tmp_path / "landmarks").exists()
    assert len(list((tmp_path / "landmarks.unfinished").glob("keypoints-*.npz"))) == 3
    with monkeypatch.context() as patch:
        patch.setattr(triangulation, "detect_or_empty", stop)  # not needed again
        again = load_or_build_landmarks(tmp_path, scene)
    np.testing.assert_array_equal(again.points, whole.points)
    np.testing.assert_array_equal(again.descriptors, whole.descriptors)
    assert not (tmp_path / "landmarks.unfinished").exists()


def test_checkpoint_of_another_map_is_discarded(scene, tmp_path):
    (tmp_path / "landmarks.unfinished").mkdir()
    (tmp_path / "landmarks.unfinished" / "stamp").write_text("another")
    (tmp_path / "landmarks.unfinished" / "keypoints-000000.npz").write_bytes(b"of another scene")
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
