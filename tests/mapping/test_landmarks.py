from dataclasses import replace

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.mapping import landmarks, parallel
from posenet.mapping import triangulation as structure
from posenet.mapping.landmarks import load_or_build_landmarks
from posenet.mapping.triangulation import triangulate_scene
from tests.helpers.errors import refusal
from tests.helpers.planes import plane_scene


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "KEYPOINTS", 300)
    return plane_scene(tmp_path / "plane", 6)


def test_a_map_is_made_once_and_read_again(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    first = load_or_build_landmarks(tmp_path, scene)
    assert "making the map of 6 training images" in caplog.text
    caplog.clear()
    again = load_or_build_landmarks(tmp_path, scene)
    assert caplog.text == ""
    assert isinstance(again.descriptors, np.memmap)
    for row in range(6):
        ours, theirs = first.seen(row), again.seen(row)
        assert len(ours.points) > 30
        np.testing.assert_array_equal(ours.points, theirs.points)
        np.testing.assert_array_equal(ours.keypoints.descriptors, theirs.keypoints.descriptors)
        assert np.median(np.abs(ours.points[:, 2])) < 0.02  # the painted plane
    size = sum(file.stat().st_size for file in (tmp_path / "map").iterdir())
    assert first.megabytes == pytest.approx(size / 1e6, rel=0.05)


def test_a_map_of_other_images_or_a_damaged_one_is_made_anew(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    load_or_build_landmarks(tmp_path, scene)
    moved = replace(scene, poses=replace(scene.poses, positions=scene.poses.positions + 1.0))
    found = load_or_build_landmarks(tmp_path, moved)
    np.testing.assert_allclose(np.median(found.seen(0).points[:, 2]), 1.0, atol=0.02)
    np.save(tmp_path / "none.npy", np.zeros(0, int))
    for name, damage in (
        ("points", b"damaged"),
        ("rays", b""),
        ("starts", (tmp_path / "none.npy").read_bytes()),
    ):
        (tmp_path / "map" / f"{name}.npy").write_bytes(damage)
        caplog.clear()
        load_or_build_landmarks(tmp_path, moved)
        assert "making the map" in caplog.text


def test_what_cannot_be_mapped_is_said(scene, tmp_path):
    with pytest.raises(PoseNetError, match="--refine needs the intrinsics of the training images"):
        load_or_build_landmarks(tmp_path, replace(scene, cameras=(None,) * 6))
    for path in scene.paths:
        path.write_bytes(b"no image")
    line = refusal(load_or_build_landmarks, tmp_path, scene)
    assert line == (
        "--refine needs at least 10 points a image that other images see too, the 6 training images of "
        f"{scene.root} share 0"
    )
    assert not (tmp_path / "map").exists()
    (tmp_path / "file").write_text("no folder")
    line = refusal(load_or_build_landmarks, tmp_path / "file", scene)
    assert line.startswith(
        f"--refine needs to write {tmp_path / 'file' / 'map.unfinished'}, which cannot be made: "
    )


def test_a_scene_far_from_its_zero_has_as_exact_a_map(scene, tmp_path):
    far = np.array([4.5e5, 5.3e6, 300.0])  # meters, as surveyors count
    near = load_or_build_landmarks(tmp_path / "near", scene)
    moved = load_or_build_landmarks(tmp_path / "far", scene.moved(far))
    for row in range(6):
        np.testing.assert_allclose(moved.seen(row).points - far, near.seen(row).points, atol=1e-4)


def test_two_at_once_end_with_one_map(scene, tmp_path, monkeypatch):
    def beaten(*arguments):
        landmarks._write(
            tmp_path / "map",
            triangulate_scene(*arguments[:3]),
            np.zeros(3),
            landmarks._stamp(scene),
        )
        raise PoseNetError("map.unfinished cannot be written: No such file or directory")

    (tmp_path / "map").mkdir()
    monkeypatch.setattr(landmarks, "triangulate_scene", beaten)
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
    landmarks.shutil.rmtree(tmp_path / "map")
    monkeypatch.setattr(landmarks, "triangulate_scene", lambda *_: refusing())
    assert refusal(load_or_build_landmarks, tmp_path, scene) == "the disk is full"


def refusing():
    raise PoseNetError("the disk is full")


def test_a_stopped_map_goes_on(scene, tmp_path, monkeypatch):
    whole = load_or_build_landmarks(tmp_path / "whole", scene)
    monkeypatch.setattr(parallel, "CHUNK", 2)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(structure, "match", stop)
        with pytest.raises(KeyboardInterrupt):
            load_or_build_landmarks(tmp_path, scene)
    assert not (tmp_path / "map").exists()
    assert len(list((tmp_path / "map.unfinished").glob("keypoints-*.npz"))) == 3
    with monkeypatch.context() as patch:
        patch.setattr(structure, "detect_or_empty", stop)  # not needed again
        again = load_or_build_landmarks(tmp_path, scene)
    np.testing.assert_array_equal(again.points, whole.points)
    np.testing.assert_array_equal(again.descriptors, whole.descriptors)
    assert not (tmp_path / "map.unfinished").exists()


def test_what_was_begun_of_another_map_is_thrown_away(scene, tmp_path):
    (tmp_path / "map.unfinished").mkdir()
    (tmp_path / "map.unfinished" / "stamp").write_text("another")
    (tmp_path / "map.unfinished" / "keypoints-000000.npz").write_bytes(b"of another scene")
    assert len(load_or_build_landmarks(tmp_path, scene).points) > 180
