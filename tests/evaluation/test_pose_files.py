"""Pose files: TUM, and named lists."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.cambridge import read_list
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.evaluation.pose_files import PREDICTION_HEADER, read_poses, read_tum, write_tum
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow

HALF = 0.7071067811865476
TUM = "a TUM line must be 8 numbers, timestamp x y z qx qy qz qw"
NUMBER = "the timestamp must be the number of an image of the split, 0 to 2"
ROW = "a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns"


def make_scene(root, convention="world_from_camera"):
    names = ("s/0.png", "s/1.png", "s/2.png")
    poses = Poses(np.zeros((3, 3)), Rotation.identity(3))
    splits, sequences = np.array(["test"] * 3), np.array(["s"] * 3)
    return Scene(
        "three",
        root,
        names,
        poses,
        (None,) * 3,
        splits,
        sequences,
        quaternion_convention=convention,
    )


def given_file(tmp_path, text):
    (tmp_path / "poses.txt").write_text(text)
    return tmp_path / "poses.txt"


def refused(tmp_path, text):
    text = refusal(read_poses, given_file(tmp_path, text), make_scene(tmp_path))
    return text.removeprefix(str(tmp_path / "poses.txt"))


def test_written_line_by_hand(tmp_path):
    # wxyz (0.5, 0.5, -0.5, 0.5) is written x y z w.
    write_tum(
        tmp_path / "a.tum",
        Poses.from_quaternions([[1, -2.5, 1e-9]], [[0.5, 0.5, -0.5, 0.5]]),
        [3.0],
    )
    assert (tmp_path / "a.tum").read_text() == "3.0 1.0 -2.5 1e-09 0.5 -0.5 0.5 0.5\n"


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 5))
def test_written_poses_read_back_exactly(tmp_path_factory, seed, count):
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_quat(rng.normal(size=(count, 4)))
    poses = Poses(rng.normal(size=(count, 3)) * 10.0 ** rng.integers(-9, 9), rotations)
    path = tmp_path_factory.mktemp("tum") / "a.tum"
    write_tum(path, poses, np.arange(count) / 3)
    again, timestamps = read_tum(path)
    np.testing.assert_array_equal(timestamps, np.arange(count) / 3)
    np.testing.assert_array_equal(again.positions, poses.positions)
    np.testing.assert_allclose(again.quaternions_wxyz, poses.quaternions_wxyz, atol=4e-16)


def test_numpy_reads_eight_single_spaced_columns(tmp_path):
    write_tum(tmp_path / "a.tum", Poses(np.ones((4, 3)), Rotation.identity(4)), range(4))
    table = np.loadtxt(tmp_path / "a.tum", delimiter=" ")
    np.testing.assert_array_equal(table, [[i, 1, 1, 1, 0, 0, 0, 1] for i in range(4)])


def test_stamps_and_poses_must_agree(tmp_path):
    with pytest.raises(
        ValueError, match=r"as many timestamps as poses \(2\) are needed. Received: 1"
    ):
        write_tum(tmp_path / "a.tum", Poses(np.ones((2, 3)), Rotation.identity(2)), [0])


def test_writing_is_all_or_nothing(tmp_path):
    (tmp_path / "a.tum").mkdir()
    with pytest.raises(PoseNetError, match=r"a.tum cannot be written"):
        write_tum(tmp_path / "a.tum", Poses(np.ones((1, 3)), Rotation.identity(1)), [0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.tum"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 1 2 3 0 0 0", f"{TUM}, received 7 columns: '0 1 2 3 0 0 0'"),
        ("0 1 2 3 0 0 0 w", f"{TUM}, received 'w' where a number belongs"),
        ("0 1 nan 3 0 0 0 1", "a pose must be finite and its quaternion non-zero"),
        ("0 1 2 3 0 0 0 0", "a pose must be finite and its quaternion non-zero"),
    ],
)
def test_malformed_tum(tmp_path, line, says):
    with pytest.raises(PoseNetError) as refusal:
        read_tum(given_file(tmp_path, f"# stamp\n5 0 0 0 0 0 0 1\n{line}\n"))
    assert str(refusal.value) == f"{tmp_path / 'poses.txt'}:3: {says}"


@pytest.mark.parametrize("convention", ["world_from_camera", "camera_from_world"])
def test_tum_stamps_are_image_numbers_and_always_camera_to_world(tmp_path, convention):
    path = given_file(tmp_path, f"2 7 8 9 0 0 {HALF} {HALF}\n0.0 1 2 3 0 0 0 1\n")
    poses, found = read_poses(path, make_scene(tmp_path, convention))
    assert found.tolist() == [True, False, True]
    np.testing.assert_array_equal(poses.positions[found], [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_allclose(poses.rotations[2].apply([1, 0, 0]), [0, 1, 0], atol=1e-15)


def test_scenes_of_known_times_take_the_line_nearest_in_time(tmp_path, caplog):
    scene = replace(make_scene(tmp_path), times=np.array([100.0, 100.1, 100.2]))
    lines = [
        (100.095, 3),
        (100.004, 2),
        (99.99, 1),
        (100.15, 4),
        ("nan", 5),
    ]  # any order, other images' among them
    path = given_file(
        tmp_path, "".join(f"{stamp} {x} 0 0 0 0 {HALF} {HALF}\n" for stamp, x in lines)
    )
    poses, found = read_poses(path, scene)
    assert found.tolist() == [True, True, False]  # 100.15 is 0.05 s from the third
    np.testing.assert_array_equal(poses.positions[:2, 0], [2, 3])
    np.testing.assert_allclose(poses.rotations[1].apply([1, 0, 0]), [0, 1, 0], atol=1e-15)
    assert caplog.messages == []
    numbered = given_file(tmp_path, "".join(f"{row} {row} 0 0 0 0 0 1\n" for row in range(3)))
    assert read_poses(numbered, replace(scene, times=np.array([2.0, 3.0, 8.0])))[1].tolist() == [
        True,
        False,
        False,
    ]
    warning = "timestamps are read as seconds, not as numbers of test images"
    assert warning in caplog.text
    message = refusal(read_poses, given_file(tmp_path, "0 1 2 3 0 0 0 1\n"), scene)
    says = "a timestamp must be the time of an image, 100.000000 to 100.200000 seconds, received 0.000000"
    assert message == f"{tmp_path / 'poses.txt'}:1: {says}"


@pytest.mark.parametrize(("convention", "y"), [("world_from_camera", 1), ("camera_from_world", -1)])
@pytest.mark.parametrize(
    "header", ["", "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"]
)
def test_names_have_the_scenes_convention(tmp_path, convention, y, header):
    path = given_file(
        tmp_path, f"{header}s/1.png 1 2 3 {HALF} 0 0 {HALF} 0.5 9\n/s/0.jpg 4 5 6 1 0 0 0\n"
    )
    poses, found = read_poses(path, make_scene(tmp_path, convention))
    assert found.tolist() == [True, True, False]
    np.testing.assert_array_equal(poses.positions[:2], [[4, 5, 6], [1, 2, 3]])
    np.testing.assert_allclose(poses.rotations[1].apply([1, 0, 0]), [0, y, 0], atol=1e-15)


@pytest.mark.parametrize("before", ["", "\ufeff", "# mine\n"])
def test_what_predict_printed_is_camera_to_world(tmp_path, before):
    path = given_file(
        tmp_path,
        f"{before}{PREDICTION_HEADER}; then rotation_spread_deg\ns/1.png 1 2 3 {HALF} 0 0 {HALF} 0.5\n",
    )
    poses, _ = read_poses(path, make_scene(tmp_path, "camera_from_world"))
    np.testing.assert_allclose(poses.rotations[1].apply([1, 0, 0]), [0, 1, 0], atol=1e-15)


def test_poses_for_other_images_are_counted(tmp_path, caplog):
    text = "s/1.png 1 2 3 1 0 0 0\nt/1.png 1 2 3 1 0 0 0\nt/2.png 1 2 3 1 0 0 0\n"
    with caplog.at_level(logging.WARNING, "posenet"):
        found = read_poses(given_file(tmp_path, text), make_scene(tmp_path))[1]
    assert found.tolist() == [False, True, False]
    assert caplog.messages == [
        f"{tmp_path / 'poses.txt'}: ignored 2 poses of images outside the scene"
    ]


def test_unusable_predictions_count_as_missing(tmp_path, caplog):
    text = "s/0.png nan 2 3 1 0 0 0\ns/1.png 1 2 3 0 0 0 0\ns/2.png 1 2 3 1 0 0 0\n"
    with caplog.at_level(logging.WARNING, "posenet"):
        found = read_poses(given_file(tmp_path, text), make_scene(tmp_path))[1]
    assert found.tolist() == [False, False, True]
    assert "2 poses without finite numbers or rotation counted as missing" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ": a pose file must contain at least one pose, it is empty"),
        (
            "x.png 1 2 3 1 0 0 0\n",
            ": at least one pose must be of an image of the scene (names look like s/0.png), received x.png",
        ),
        (
            "3 1 2 3 0 0 0 1\n",
            ":1: the timestamp must be the number of an image of the split, 0 to 2, received 3",
        ),
        (
            "0 1 2 3 0 0 0 1\n7 1 2 3 0 0 0 1\n",
            ":2: the timestamp must be the number of an image of the split, 0 to 2, received 7",
        ),
        (
            "0.5 1 2 3 0 0 0 1\n",
            ":1: the timestamp must be the number of an image of the split, 0 to 2, received 0.5",
        ),
        (
            "nan 1 2 3 0 0 0 1\n",
            ":1: the timestamp must be the number of an image of the split, 0 to 2, received nan",
        ),
        (
            "0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1\n",
            ":2: an image must appear once, 0 is already at {file}:1",
        ),
        (
            "s/0.png 0 0 0 1 0 0 0\n/s/0.jpg 0 0 0 1 0 0 0\n",
            ":2: an image must appear once, s/0.png is already at {file}:1",
        ),
        ("s/0.png 0 0 0\n", f":1: {ROW}, received 4 columns: 's/0.png 0 0 0'"),
        ("\0", ":1: the file must be text, received binary content"),
    ],
)
def test_pose_files_that_are_refused(tmp_path, text, says):
    assert refused(tmp_path, text) == says.format(file=tmp_path / "poses.txt")


def test_absent_pose_file(tmp_path):
    with pytest.raises(
        PoseNetError, match=r"none.txt: the file cannot be read \(No such file or directory\)"
    ):
        read_poses(tmp_path / "none.txt", make_scene(tmp_path))


def test_names_may_hold_blanks(tmp_path):
    scene = replace(
        make_scene(tmp_path), names=("my walk/0.png", "my walk/pic 1.JPG", "my walk/2.png")
    )
    text = "my walk/0.png 1 2 3 1 0 0 0 0.5\nmy walk/pic 1.JPG 4 5 6 1 0 0 0\n"
    estimate, found = read_poses(given_file(tmp_path, text), scene)
    assert found.tolist() == [True, True, False]
    np.testing.assert_array_equal(estimate.positions[:2], [[1, 2, 3], [4, 5, 6]])
    line = refused(tmp_path, "s/0.png 1 x 3 1 0 0 0 9 9 9 9\n")
    assert line == f":1: {ROW}, received 'x' where a number belongs"


def test_paths_of_another_machine_and_other_unicode_forms(tmp_path, caplog):
    scene = replace(make_scene(tmp_path), names=("s\u00e9q/0.png", "t/0.png", "images/t/1.png"))
    lines = (
        "se\u0301q/0.png 1 2 3 1 0 0 0\n/ws/room/t/0.png 2 2 3 1 0 0 0\n"
        "C:\\room\\t\\1.jpg 3 2 3 1 0 0 0\n/ws/room/u/0.png 4 2 3 1 0 0 0\n"
    )
    estimate, found = read_poses(given_file(tmp_path, lines), scene)
    assert found.tolist() == [True] * 3
    np.testing.assert_array_equal(estimate.positions[:, 0], [1, 2, 3])
    assert caplog.messages == [
        f"{tmp_path}/poses.txt: 2 paths of another machine read as images of the scene that end "
        "alike, such as /ws/room/t/0.png as t/0.png",
        f"{tmp_path}/poses.txt: ignored 1 pose of images outside the scene",
    ]


def test_names_may_be_paths_to_the_images_or_their_ends(tmp_path, monkeypatch):
    scene = make_scene(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (
        "s/0.png",
        "/s/0.png",
        "./s/0.png",
        f"{tmp_path}/s/0.png",
        f"{tmp_path}/s/../s/0.jpg",
        "0.png",
    ):
        estimate, found = read_poses(given_file(tmp_path, f"{name} 1 2 3 1 0 0 0\n"), scene)
        assert found.tolist() == [True, False, False], name
        np.testing.assert_allclose(estimate.positions[0], [1, 2, 3])
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path / "results")  # the scene's own names, asked from a folder in it
    assert read_poses(given_file(tmp_path, "s/0.png 1 2 3 1 0 0 0\n"), scene)[1].tolist() == [
        True,
        False,
        False,
    ]
    assert read_poses(given_file(tmp_path, "../s/1.png 1 2 3 1 0 0 0\n"), scene)[1].tolist() == [
        False,
        True,
        False,
    ]
    monkeypatch.chdir(tmp_path)
    deep = replace(scene, names=("images/s/0.png", "images/t/0.png", "images/t/1.png"))
    assert read_poses(given_file(tmp_path, "t/0.jpg 1 2 3 1 0 0 0\n"), deep)[1].tolist() == [
        False,
        True,
        False,
    ]
    assert read_poses(given_file(tmp_path, "1.png 1 2 3 1 0 0 0\n"), deep)[1].tolist() == [
        False,
        False,
        True,
    ]
    twice = replace(scene, names=("s/0.png", "t/0.png", "t/1.png"))  # ambiguous
    assert "received 0.png" in refusal(
        read_poses, given_file(tmp_path, "0.png 1 2 3 1 0 0 0\n"), twice
    )


@pytest.mark.parametrize(
    ("name", "meters", "degrees"), [("KingsCollege", 2.26, 2.58), ("ShopFacade", 3.70, 10.06)]
)
def test_errors_of_real_predictions_agree_with_their_own_columns(real_data, name, meters, degrees):
    folder = real_data / "cambridge_predictions" / name
    scene = open_scene(folder, need_images=False).split("test")
    estimate, found = read_poses(folder / "dataset_test_predict.txt", scene)
    assert found.all()
    rows = {row.name: row.extra for row in read_list(folder / "dataset_test_predict.txt")}
    own = np.array([rows[name] for name in scene.names], float)
    errors, errors_deg = (
        position_errors(estimate, scene.poses),
        rotation_errors_deg(estimate, scene.poses),
    )
    # The file prints six digits of a pose whose coordinates are hundreds of meters: each is up to
    # 5e-4 m off.
    np.testing.assert_allclose(errors, own[:, 0], atol=5e-4 * 3**0.5 + 1e-4)
    np.testing.assert_allclose(errors_deg, own[:, 1], atol=5e-3)
    assert np.median(np.abs(errors_deg - own[:, 1])) < 1e-3
    assert round(float(np.median(errors)), 2) == meters
    assert round(float(np.median(errors_deg)), 2) == degrees
