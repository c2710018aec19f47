import json
from dataclasses import replace

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.mapping import keypoint_store, landmarks, sweep, triangulation
from posenet.mapping.landmark_writer import save_block
from posenet.mapping.landmarks import load_or_build_landmarks, read_map_points
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
    assert isinstance(again.descriptors.stored, np.memmap)
    for row in range(6):
        ours, theirs = first.observations(row), again.observations(row)
        assert len(ours.points) > 30
        np.testing.assert_array_equal(ours.points, theirs.points)
        np.testing.assert_array_equal(ours.keypoints.descriptors, theirs.keypoints.descriptors)
        assert np.median(np.abs(ours.points[:, 2])) < 0.02  # the textured plane
    size = sum(file.stat().st_size for file in (tmp_path / "landmarks").iterdir())
    assert first.megabytes == pytest.approx(size / 1e6, rel=0.05)


def test_points_of_a_map_are_read_to_be_drawn(scene, tmp_path, monkeypatch):
    assert read_map_points(tmp_path) is None
    built = load_or_build_landmarks(tmp_path, scene)
    points = read_map_points(tmp_path)
    np.testing.assert_allclose(points[: built.starts[1]], built.observations(0).points)
    monkeypatch.setattr(landmarks, "MAX_DRAWN", len(points) // 3 - 1)
    np.testing.assert_array_equal(read_map_points(tmp_path), points[::4])
    (tmp_path / "landmarks" / "distances.npy").write_bytes(b"damaged")
    assert read_map_points(tmp_path) is None


def test_outdated_or_damaged_map_is_built_again(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    load_or_build_landmarks(tmp_path, scene)
    moved = replace(scene, poses=replace(scene.poses, positions=scene.poses.positions + 1.0))
    found = load_or_build_landmarks(tmp_path, moved)
    np.testing.assert_allclose(np.median(found.observations(0).points[:, 2]), 1.0, atol=0.02)
    np.save(tmp_path / "none.npy", np.zeros(0, int))
    for name, damage in (
        ("distances", b"damaged"),
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
    load_or_build_landmarks(tmp_path / "other", scene)

    def overtaken(*_, **__):
        (tmp_path / "other" / "landmarks").rename(tmp_path / "landmarks")
        raise PoseNetError("landmarks.unfinished cannot be written: No such file or directory")

    monkeypatch.setattr(landmarks, "triangulate_blocks", overtaken)
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
    landmarks.shutil.rmtree(tmp_path / "landmarks")
    monkeypatch.setattr(landmarks, "triangulate_blocks", fail)
    assert refusal(load_or_build_landmarks, tmp_path, scene) == "the disk is full"


def fail(*_, **__):
    raise PoseNetError("the disk is full")


def stop(*_, **__):
    raise KeyboardInterrupt


def assert_same_map(ours, theirs):
    for name in ("starts", "points", "rays", "descriptors", "pixels"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_interrupted_map_resumes(scene, tmp_path, monkeypatch):
    whole = load_or_build_landmarks(tmp_path / "whole", scene)
    with monkeypatch.context() as patch:
        patch.setattr(triangulation, "match", stop)
        with pytest.raises(KeyboardInterrupt):
            load_or_build_landmarks(tmp_path, scene)
    assert not (tmp_path / "landmarks").exists()
    unfinished = tmp_path / "landmarks.unfinished"
    assert len(list(unfinished.glob("keypoints-*.npz"))) == 6
    (unfinished / "keypoints-0000003.npz").write_bytes(b"damaged")
    detected = []
    detect = triangulation.detect_or_empty

    def detect_again(path, *arguments, **options):
        detected.append(path)
        return detect(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(triangulation, "detect_or_empty", detect_again)
        again = load_or_build_landmarks(tmp_path, scene)
    assert detected == [scene.paths[3]]
    assert_same_map(again, whole)
    assert not unfinished.exists()


def test_map_in_blocks_is_the_same_and_resumes(scene, tmp_path, monkeypatch):
    whole = load_or_build_landmarks(tmp_path / "whole", scene)
    monkeypatch.setattr(sweep, "BLOCK_IMAGES", 2)
    monkeypatch.setattr(keypoint_store, "CHUNK", 1)
    saved = []

    def stop_at_third(folder, block, poses):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(block.number)
        save_block(folder, block, poses)

    with monkeypatch.context() as patch:
        patch.setattr(landmarks, "save_block", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            load_or_build_landmarks(tmp_path, scene)
    names = [file.name for file in (tmp_path / "landmarks.unfinished").glob("points-*")]
    assert sorted(names) == ["points-000000.npz", "points-000001.npz"]
    with monkeypatch.context() as patch:
        patch.setattr(triangulation, "match", stop)  # all pairs were matched
        patch.setattr(triangulation, "detect_or_empty", stop)
        again = load_or_build_landmarks(tmp_path, scene)
    assert_same_map(again, whole)


def test_map_with_unpacked_arrays_is_read(scene, tmp_path, caplog):
    packed = load_or_build_landmarks(tmp_path / "new", scene)
    folder = tmp_path / "landmarks"
    folder.mkdir()
    origin = np.array([0.5, 0, 0])
    points = (packed.points[:] + packed.origin - origin).astype(np.float32)
    arrays = {"points": points, "origin": origin}
    for name in ("starts", "rays", "descriptors", "pixels"):
        arrays[name] = np.asarray(getattr(packed, name))
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "map.json").write_text(json.dumps({"stamp": landmarks._stamps(scene)[1]}))
    caplog.set_level("INFO")
    old = load_or_build_landmarks(tmp_path, scene)
    assert caplog.text == ""
    for row in range(6):
        ours, theirs = old.observations(row), packed.observations(row)
        np.testing.assert_allclose(ours.points, theirs.points, atol=1e-6)
        np.testing.assert_array_equal(ours.keypoints.descriptors, theirs.keypoints.descriptors)


def test_checkpoint_of_another_map_is_discarded(scene, tmp_path):
    (tmp_path / "landmarks.unfinished").mkdir()
    (tmp_path / "landmarks.unfinished" / "stamp").write_text("another")
    (tmp_path / "landmarks.unfinished" / "keypoints-000000.npz").write_bytes(b"of another scene")
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
