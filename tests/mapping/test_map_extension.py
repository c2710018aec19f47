"""A map of some images that is extended by others."""

from dataclasses import replace

import numpy as np
import pytest

from posenet.mapping import keypoints, landmarks
from posenet.mapping.frame_check import check_world_frame
from posenet.mapping.landmarks import load_or_build_landmarks
from tests.helpers.planes import plane_scene

pytestmark = pytest.mark.slow


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "MAX_KEYPOINTS", 300)
    return plane_scene(tmp_path / "plane", 8)


def test_only_new_images_are_detected_and_old_ones_keep_their_landmarks(
    scene, tmp_path, monkeypatch, caplog
):
    old = load_or_build_landmarks(tmp_path, scene.subset(np.arange(5)))
    before = [old.observations(row) for row in range(5)]
    read, read_image = [], keypoints.read_image
    monkeypatch.setattr(keypoints, "read_image", lambda path: read.append(path) or read_image(path))
    caplog.set_level("INFO")
    extended = load_or_build_landmarks(tmp_path, scene)
    assert "extending the map by 3 training images" in caplog.text
    assert sorted(read) == sorted(scene.paths[5:])
    assert len(extended.pixels) == 8
    for row, observed in enumerate(before):
        again = extended.observations(row)
        np.testing.assert_allclose(again.points, observed.points, atol=1e-6)
        np.testing.assert_array_equal(again.keypoints.descriptors, observed.keypoints.descriptors)
    for row in range(5, 8):
        observed = extended.observations(row)
        assert len(observed.points) > 30
        assert np.median(np.abs(observed.points[:, 2])) < 0.02  # on the plane
    read.clear()
    load_or_build_landmarks(tmp_path, scene)
    assert not read
    assert not (tmp_path / "landmarks.new").exists()


def test_a_map_of_other_images_is_not_extended(scene, tmp_path, caplog):
    load_or_build_landmarks(tmp_path, scene.subset([1, 2, 3, 4, 5]))
    caplog.set_level("INFO")
    load_or_build_landmarks(tmp_path, scene)
    assert "building the map of 8 training images" in caplog.text


def test_the_world_frame_of_new_poses_is_checked(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("posenet.mapping.frame_check.MIN_MATCHES", 20)
    built = load_or_build_landmarks(tmp_path, scene.subset(np.arange(5)))
    folder = tmp_path / "landmarks"
    new = scene.subset([5, 6, 7])
    right = check_world_frame(new, built, folder)
    assert right.num_recognized == right.num_images == 3
    assert right.agreement > 0.8
    assert not right.is_wrong
    assert str(right).startswith("3 of 3 images show the mapped place, ")
    moved = replace(new, poses=replace(new.poses, positions=new.poses.positions + [2.0, 0, 0]))
    wrong = check_world_frame(moved, built, folder)
    assert wrong.num_recognized == 3
    assert wrong.agreement < 0.1
    assert wrong.is_wrong
    # Images of another place say nothing about the frame.
    elsewhere = plane_scene(tmp_path / "other", 3, seed=5)
    unknown = check_world_frame(elsewhere, built, folder)
    assert (unknown.num_recognized, unknown.is_wrong) == (0, False)
    assert str(unknown) == "none of 3 images shows the mapped place"
