"""The 7-Scenes layout."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.registry import open_scene, open_scene_with_issues
from posenet.geometry.camera import Camera
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

# +90 degrees about z: the camera's x axis is the world's y; the center is 1 2 3.
POSE = "0 -1 0 1\n1 0 0 2\n0 0 1 3\n0 0 0 1\n"


@pytest.fixture
def scene(tmp_path):
    """Two training frames in seq-01 and one test frame in seq-12, 640 x 480."""
    for name in ("seq-01/frame-000000", "seq-01/frame-000001", "seq-12/frame-000000"):
        write_image(tmp_path / f"{name}.color.png", size=(480, 640))
        (tmp_path / f"{name}.pose.txt").write_text(POSE)
    (tmp_path / "TrainSplit.txt").write_text("sequence1\n")
    (tmp_path / "TestSplit.txt").write_text("sequence12 \n")
    return tmp_path


refused = partial(refusal, open_scene)


def test_camera_to_world_matrices(scene):
    opened = open_scene(scene)
    assert opened.names == (
        "seq-01/frame-000000.color.png",
        "seq-01/frame-000001.color.png",
        "seq-12/frame-000000.color.png",
    )
    assert opened.splits.tolist() == ["train", "train", "test"]
    assert opened.sequences.tolist() == ["seq-01", "seq-01", "seq-12"]
    np.testing.assert_array_equal(opened.poses.positions, [[1, 2, 3]] * 3)
    np.testing.assert_allclose(opened.poses.rotations.apply([1, 0, 0]), [[0, 1, 0]] * 3, atol=1e-15)
    assert (opened.unit, opened.quaternion_convention) == ("m", "world_from_camera")


@pytest.mark.parametrize("before", ["\ufeff", "# camera to world\n"])
def test_byte_order_mark_and_comments_are_accepted(scene, before):
    (scene / "seq-01/frame-000000.pose.txt").write_text(before + POSE)
    np.testing.assert_array_equal(open_scene(scene).poses.positions, [[1, 2, 3]] * 3)


def test_default_intrinsics_are_scaled_to_each_image(scene):
    write_image(scene / "seq-01/frame-000001.color.png", size=(240, 320))
    cameras = open_scene(scene).cameras
    assert cameras[:2] == (
        Camera(640, 480, 585, 585, 320, 240),
        Camera(320, 240, 292.5, 292.5, 160, 120),
    )


def test_intrinsics_of_the_file(scene):
    (scene / "camera-intrinsics.txt").write_text("500 0 310\n0 510 250\n0 0 1\n")
    assert open_scene(scene).cameras[0] == Camera(640, 480, 500, 510, 310, 250)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "500 0 310\n0 510\n0 0 1\n",
            ":2: 3 lines of 3 numbers are needed, received '0 510' as line 2",
        ),
        (
            "500 0 310\n0 510 x\n",
            ":2: 3 lines of 3 numbers are needed, received 'x' where a number belongs",
        ),
        ("500 0 310\n", ":2: 3 lines of 3 numbers are needed, the file ends after 1"),
        (
            "0 0 310\n0 510 250\n0 0 1\n",
            ":1: intrinsics must be finite and focal lengths above 0, received 0.0 and 510.0",
        ),
    ],
)
def test_malformed_intrinsics(scene, text, message):
    (scene / "camera-intrinsics.txt").write_text(text)
    assert refused(scene) == f"{scene / 'camera-intrinsics.txt'}{message}"


def test_splits_may_contain_folder_names(scene):
    (scene / "TrainSplit.txt").write_text("seq-01\n\nseq-12\n")
    (scene / "TestSplit.txt").unlink()
    assert len(open_scene(scene).split("train")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sequence1\nkitchen\n",
            ":2: a line must name a sequence like 'sequence1', received 'kitchen'",
        ),
        ("sequence3\n", ":1: sequence folder not found: {folder}/seq-03"),
    ],
)
def test_malformed_split(scene, text, message):
    (scene / "TrainSplit.txt").write_text(text)
    assert refused(scene) == f"{scene / 'TrainSplit.txt'}{message.format(folder=scene)}"


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        (POSE.replace("3\n", "nan\n"), "pose that is missing or not finite"),
        (POSE.replace("3\n", "-1.#IND\n"), "pose that is missing or not finite"),
        ("inf " * 15 + "inf", "pose that is missing or not finite"),
        (POSE.replace("0 -1 0", "0 -1.02 0"), "rotation with shear or unequal scales"),
        (POSE.replace("0 0 1 3", "0 0 -1 3"), "mirrored rotation"),
        (POSE.replace("0 0 0 1", "0 0 0.1 1"), "matrix whose last row is not 0 0 0 x"),
        ("1e300 " * 15 + "1", "matrix whose last row is not 0 0 0 x"),
    ],
)
def test_invalid_matrix_is_reported(scene, matrix, kind):
    (scene / "seq-01/frame-000001.pose.txt").write_text(matrix)
    opened, issues = open_scene_with_issues(scene)
    place = f"{scene / 'seq-01/frame-000001.pose.txt'}:1 seq-01/frame-000001.color.png"
    assert [(issue.kind, issue.first) for issue in issues] == [(kind, place)]
    assert len(opened) == 2


def test_rounded_matrix_is_a_pose(scene):
    (scene / "seq-01/frame-000001.pose.txt").write_text(POSE.replace("0 -1 0", "0.001 -1.001 0"))
    assert open_scene_with_issues(scene)[1] == []


def test_frames_without_pose_or_image_are_reported(scene):
    (scene / "seq-01/frame-000000.pose.txt").unlink()
    (scene / "seq-01/frame-000001.color.png").unlink()
    issues = open_scene_with_issues(scene)[1]
    assert [(issue.kind, issue.count) for issue in issues] == [
        ("pose that is missing or not finite", 1),
        ("missing image", 1),
    ]


def test_scene_without_images_can_be_opened(scene):
    for path in scene.glob("seq-*/*.png"):
        path.unlink()
    opened = open_scene(scene, need_images=False)
    assert opened.names[0] == "seq-01/frame-000000.color.png"
    assert opened.cameras == (None,) * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0 0\n0 1 0\n", ":2: 4 lines of 4 numbers are needed, received '0 1 0' as line 2"),
        ("1 0 0 up\n", ":1: 4 lines of 4 numbers are needed, received 'up' where a number belongs"),
        ("", ":1: 4 lines of 4 numbers are needed, the file ends after 0"),
        (POSE + "1 0 0 0\n", ":5: 4 lines of 4 numbers are needed, received '1 0 0 0' as line 5"),
        ("\0", ":1: the file must be text, received binary content"),
    ],
)
def test_malformed_pose(scene, text, message):
    (scene / "seq-01/frame-000001.pose.txt").write_text(text)
    assert refused(scene) == f"{scene / 'seq-01/frame-000001.pose.txt'}{message}"


def test_pose_that_is_a_folder(scene):
    (scene / "seq-01/frame-000001.pose.txt").unlink()
    (scene / "seq-01/frame-000001.pose.txt").mkdir()
    assert refused(scene).endswith(
        "frame-000001.pose.txt: the pose cannot be read (Is a directory)"
    )


def test_real_kitchen(real_data):
    scene, issues = open_scene_with_issues(real_data / "redkitchen")
    assert issues == []
    assert ((scene.splits == "train").sum(), (scene.splits == "test").sum()) == (752, 248)
    assert len(set(scene.sequences)) == 16
    assert set(scene.cameras) == {Camera(640, 480, 585, 585, 320, 240)}
    steps = np.linalg.norm(
        np.diff(scene.subset(scene.sequences == "seq-01").poses.positions, axis=0), axis=1
    )
    assert steps.max() < 0.1  # meters from frame to frame: rows are in the order of time


@pytest.mark.parametrize("suffix", ["tif", "webp", "jpeg"])
def test_every_kind_of_image_is_found(scene, suffix):
    for path in scene.glob("seq-*/*.png"):
        write_image(path.with_suffix(f".{suffix}"), size=(48, 64))
        path.unlink()
    assert open_scene(scene).names[0] == f"seq-01/frame-000000.color.{suffix}"
