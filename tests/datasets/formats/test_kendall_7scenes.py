"""Kendall's 7-Scenes lists."""

import numpy as np
import pytest

from posenet.datasets.formats import cambridge, kendall_7scenes
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from tests.helpers.images import write_image

HEADER = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
HALF = 0.7071067811865476
ROWS = (
    f"/seq-01/frame-000001.color.png 1 2 3 {HALF} 0 0 {HALF}\n"
    "/seq-01/frame-000000.color.png 4 5 6 1 0 0 0\n"
)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("heads_train.txt", "heads_val.txt"),
        ("heads_train.txt", "heads_test.txt"),
        ("dataset_train.txt", "dataset_test.txt"),
    ],
)
def test_camera_to_world_quaternion_is_not_inverted(tmp_path, train, test):
    (tmp_path / train).write_text(HEADER + ROWS)
    (tmp_path / test).write_text(HEADER + "/seq-02/frame-000000.color.png 7 8 9 1 0 0 0\n")
    assert kendall_7scenes.recognizes(tmp_path)
    assert not cambridge.recognizes(tmp_path)
    scene = open_scene(tmp_path, need_images=False)
    assert scene.names[:2] == ("seq-01/frame-000000.color.png", "seq-01/frame-000001.color.png")
    assert scene.splits.tolist() == ["train", "train", "test"]
    assert scene.sequences.tolist() == ["seq-01", "seq-01", "seq-02"]
    assert scene.quaternion_convention == "world_from_camera"
    # +90 degrees about z takes the camera's x axis to the world's +y.
    np.testing.assert_allclose(scene.poses[1].rotations.apply([1, 0, 0]), [[0, 1, 0]], atol=1e-12)
    np.testing.assert_array_equal(scene.poses.positions, [[4, 5, 6], [1, 2, 3], [7, 8, 9]])


def test_kinect_camera_is_scaled_to_the_images(tmp_path):
    (tmp_path / "heads_train.txt").write_text(HEADER + ROWS)
    write_image(tmp_path / "seq-01/frame-000000.color.png", size=(240, 320))
    scene = open_scene(tmp_path, need_images=False)
    assert scene.cameras == (Camera(320, 240, 292.5, 292.5, 160, 120), None)


@pytest.mark.parametrize("order", [1, -1])
def test_mixed_conventions_are_refused(tmp_path, order):
    rows = ["/seq-01/frame-000000.color.png 4 5 6 1 0 0 0", "seq1/frame00001.png 4 5 6 1 0 0 0"][
        ::order
    ]
    (tmp_path / "dataset_train.txt").write_text(HEADER + "\n".join(rows))
    with pytest.raises(PoseNetError) as refusal:
        open_scene(tmp_path, need_images=False)
    assert str(refusal.value) == (
        f"{tmp_path / 'dataset_train.txt'}:5: either all names must be like "
        "/seq-01/frame-000000.color.png (camera to world) or none, "
        f"received {rows[1].split()[0]} and {rows[0].split()[0]}"
    )


def test_lists_of_two_scenes_are_refused(tmp_path):
    for name in ("fire_train.txt", "heads_train.txt"):
        (tmp_path / name).write_text(HEADER + ROWS)
    with pytest.raises(PoseNetError) as refusal:
        open_scene(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path}: the folder must contain one train list, "
        "received fire_train.txt, heads_train.txt"
    )


def test_malformed_line_is_named(tmp_path):
    (tmp_path / "heads_train.txt").write_text(
        HEADER + ROWS + "/seq-01/frame-000002.color.png 1 2 3\n"
    )
    with pytest.raises(
        PoseNetError, match=r"heads_train.txt:6: a line must be a name .* received 4 columns"
    ):
        open_scene(tmp_path)


def test_real_lists_match_the_pose_files_of_the_same_frames(real_data):
    lists = open_scene(real_data / "kendall_7scenes", need_images=False)
    assert ((lists.splits == "train").sum(), (lists.splits == "test").sum()) == (7000, 5000)
    lists = lists.subset(lists.sequences == "seq-01")
    files = open_scene(real_data / "redkitchen", need_images=False)
    files = files.subset(np.argsort(files.sequences, kind="stable"))
    assert len(lists) == len(files) == 1000
    assert position_errors(lists.poses, files.poses).max() < 2e-6
    assert rotation_errors_deg(lists.poses, files.poses).max() < 3e-3
