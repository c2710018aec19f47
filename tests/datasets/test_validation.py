"""Label hygiene: every issue is counted, its first place named, and refused when strict."""

import logging
from dataclasses import replace

import cv2
import numpy as np
import pytest

from posenet.datasets.scene import ScenePoints
from posenet.datasets.validation import LabelIssue, RawScene, validate_scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from tests.helpers.images import write_image

COUNT = 8


@pytest.fixture
def raw(tmp_path):
    """Eight faultless rows, camera i at (i, 0, 0), images on disk."""
    names = [f"s/{number}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        write_image(tmp_path / name, seed=number)
    return RawScene(
        name="eight",
        root=tmp_path,
        names=names,
        positions=np.array([[number, 0.0, 0.0] for number in range(COUNT)]),
        quaternions_wxyz=np.tile([1.0, 0, 0, 0], (COUNT, 1)),
        splits=["train"] * 6 + ["test"] * 2,
        sequences=["s"] * COUNT,
        sources=[f"list.txt:{number + 4}" for number in range(COUNT)],
        cameras=[None] * COUNT,
        quaternion_convention="camera_from_world",
    )


def only_fault(raw, kind, rows, action="dropped", **options):
    """Assert that just this issue is found at these rows, and that strict refuses it; returns the
    scene.
    """
    scene, issues = validate_scene(raw, **options)
    assert [(issue.kind, issue.count, issue.action) for issue in issues] == [
        (kind, len(rows), action)
    ]
    assert issues[0].first == f"{raw.sources[rows[0]]} {raw.names[rows[0]]}"
    with pytest.raises(PoseNetError) as refusal:
        validate_scene(raw, strict=True, **options)
    assert str(refusal.value) == f"{raw.root}: {issues[0]} (refused by --strict)"
    kept = [name for row, name in enumerate(raw.names) if row not in rows or action != "dropped"]
    assert list(scene.names) == kept
    return scene


def test_faultless_scene_passes_whole(raw):
    scene, issues = validate_scene(raw, strict=True)
    assert issues == []
    assert len(scene) == COUNT
    assert (scene.splits == "test").sum() == 2
    assert scene.quaternion_convention == "camera_from_world"
    np.testing.assert_array_equal(scene.poses.positions, raw.positions)


def test_fault_reads_as_one_line(raw, caplog):
    raw.positions[2, 1] = np.nan
    with caplog.at_level(logging.WARNING, "posenet"):
        validate_scene(raw)
    expected = "1 x pose that is missing or not finite, dropped (first: list.txt:6 s/2.png)"
    assert caplog.messages == [f"eight: {expected}"]
    assert (
        str(LabelIssue("pose that is missing or not finite", 1, "list.txt:6 s/2.png", "dropped"))
        == expected
    )


def test_poses_that_are_not_finite(raw):
    raw.positions[5, 2] = np.inf
    raw.quaternions_wxyz[3, 0] = np.nan
    scene = only_fault(raw, "pose that is missing or not finite", [3, 5])
    np.testing.assert_array_equal(scene.poses.positions[:, 0], [0, 1, 2, 4, 6, 7])


def test_quaternion_of_length_zero(raw):
    raw.quaternions_wxyz[[1, 2]] = 0
    only_fault(raw, "quaternion of length zero", [1, 2])


def test_quaternion_that_is_not_of_unit_length_is_normalized(raw):
    raw.quaternions_wxyz[4] = [0, 0, 3, 4]
    scene = only_fault(raw, "quaternion that is not of unit length", [4], action="normalized")
    np.testing.assert_allclose(scene.poses.quaternions_wxyz[4], [0, 0, 0.6, 0.8])


def test_printed_quaternions_are_no_fault(raw):
    raw.quaternions_wxyz[4] = [0.7071, 0, 0.7071, 0]
    assert validate_scene(raw)[1] == []


def test_camera_far_outside(raw):
    raw.positions[6] = [3e9, -1e8, -1e9]
    only_fault(raw, "camera far outside the scene", [6])


def test_a_still_camera_has_no_outliers(raw):
    raw.positions[:] = 1
    assert validate_scene(raw)[1] == []


def test_image_listed_twice_keeps_the_first(raw):
    raw.names[7] = raw.names[0]
    scene = validate_scene(raw)[0]
    assert [(issue.kind, issue.count, issue.first) for issue in validate_scene(raw)[1]] == [
        ("image listed more than once", 1, "list.txt:11 s/0.png")
    ]
    assert scene.splits.tolist() == ["train"] * 6 + ["test"]
    with pytest.raises(PoseNetError, match="1 x image listed more than once, dropped"):
        validate_scene(raw, strict=True)


def test_missing_image(raw):
    raw.root.joinpath("s/1.png").unlink()
    only_fault(raw, "missing image", [1])


def test_images_are_not_looked_at_unless_needed(raw):
    for path in raw.root.glob("s/*.png"):
        path.unlink()
    scene, issues = validate_scene(raw, need_images=False)
    assert (len(scene), issues) == (COUNT, [])


def test_folder_in_the_place_of_an_image(raw):
    raw.root.joinpath("s/1.png").unlink()
    raw.root.joinpath("s/1.png").mkdir()
    only_fault(raw, "image that is not a file", [1])


def test_image_of_zero_bytes(raw):
    for number in (2, 3):
        raw.root.joinpath(f"s/{number}.png").write_bytes(b"")
    only_fault(raw, "empty image file", [2, 3])


def test_text_called_png(raw):
    raw.root.joinpath("s/5.png").write_text("404 not found")
    only_fault(raw, "file that is not an image", [5])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("size", [(48, 64), (700, 900)])
def test_truncated_image(raw, suffix, size):
    raw.names[4] = f"s/cut.{suffix}"
    path = raw.root / raw.names[4]
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    cv2.imwrite(str(path), noise)
    assert validate_scene(raw)[1] == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    only_fault(raw, "truncated image", [4])


def test_several_faults_are_reported_together(raw):
    raw.positions[0] = np.nan
    raw.root.joinpath("s/2.png").write_bytes(b"")
    scene, issues = validate_scene(raw)
    assert [issue.kind for issue in issues] == [
        "pose that is missing or not finite",
        "empty image file",
    ]
    assert len(scene) == COUNT - 2
    with pytest.raises(
        PoseNetError, match=r"not finite, dropped .*; 1 x empty image file, dropped .*--strict"
    ):
        validate_scene(raw, strict=True)


def test_a_name_may_hold_the_time_of_day(raw):
    raw.names[3] = "2024-05-01_12:30:10.png"
    write_image(raw.root / raw.names[3])
    assert validate_scene(raw)[1] == []


@pytest.mark.parametrize(
    "name", ["../a.png", "s/../../a.png", "/etc/a.png", "..\\a.png", "C:/a.png", "", "."]
)
def test_names_that_leave_the_folder_are_refused(raw, name):
    raw.names[3] = name
    with pytest.raises(PoseNetError) as refusal:
        validate_scene(raw)
    assert (
        str(refusal.value)
        == f"list.txt:7: the name of an image must stay inside the scene folder, received {name!r}"
    )


def test_nothing_left_says_why(raw):
    raw.quaternions_wxyz[:] = 0
    with pytest.raises(
        PoseNetError, match="must contain at least one usable image: 8 x quaternion of length zero"
    ):
        validate_scene(raw)


def test_empty_list_is_refused(tmp_path):
    nothing = RawScene("none", tmp_path, [], np.zeros((0, 3)), np.zeros((0, 4)), [], [], [], [])
    with pytest.raises(
        PoseNetError, match="must contain at least one usable image: no image is listed"
    ):
        validate_scene(nothing)


def test_points_follow_the_rows_that_are_kept(raw):
    raw.points = ScenePoints(np.zeros((1, 3)), np.array([[0, 0], [1, 0], [7, 0]]))
    raw.positions[0] = np.nan
    scene = validate_scene(raw)[0]
    np.testing.assert_array_equal(scene.points.observations, [[0, 0], [6, 0]])
    assert isinstance(scene.poses, Poses)


def test_points_that_nobody_sees_are_none(raw):
    raw.points = ScenePoints(
        np.zeros((1, 3)), np.zeros((0, 2), int)
    )  # as of a model that has only poses
    assert validate_scene(raw)[0].points is None


def test_equal_cameras_become_one_object(raw):
    cameras = [Camera(64, 48, 50.0 + number % 2, 50, 32, 24) for number in range(COUNT)]
    scene, _ = validate_scene(replace(raw, cameras=cameras))
    assert scene.cameras == tuple(cameras)
    assert len({id(camera) for camera in scene.cameras}) == 2
