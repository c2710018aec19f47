"""Cambridge Landmarks lists."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.formats import cambridge
from posenet.datasets.formats.cambridge import read_list
from posenet.datasets.registry import open_scene, open_scene_with_issues
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

HEADER = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
HALF = 0.7071067811865476


@pytest.fixture
def scene(tmp_path):
    """Shuffled rows of two training sequences and one test sequence, with their images."""
    write_lists(
        tmp_path,
        [
            "seq2/frame1.png 9 0 0 1 0 0 0",
            "seq1/frame10.png 3 0 0 1 0 0 0",
            "seq1/frame9.png 2 0 0 1 0 0 0",
        ],
        [f"seq3/frame2.png 1 2 3 {HALF} 0 0 {HALF}"],
    )
    for name in ("seq2/frame1.png", "seq1/frame10.png", "seq1/frame9.png", "seq3/frame2.png"):
        write_image(tmp_path / name)
    return tmp_path


def write_lists(folder, train, test=None):
    (folder / "dataset_train.txt").write_text(HEADER + "".join(line + "\n" for line in train))
    if test is not None:
        (folder / "dataset_test.txt").write_text(HEADER + "".join(line + "\n" for line in test))


refused = partial(refusal, open_scene, need_images=False)


def test_world_to_camera_quaternion_is_inverted(scene):
    # q rotates world to camera axes by +90 degrees about z, so the camera's x axis is the world's -y.
    test = open_scene(scene).split("test")
    np.testing.assert_allclose(test.poses.rotations.apply([1, 0, 0]), [[0, -1, 0]], atol=1e-12)
    np.testing.assert_array_equal(test.poses.positions, [[1, 2, 3]])
    assert test.quaternion_convention == "camera_from_world"


def test_rows_of_each_sequence_are_in_frame_order(scene):
    opened = open_scene(scene)
    assert opened.names == (
        "seq2/frame1.png",
        "seq1/frame9.png",
        "seq1/frame10.png",
        "seq3/frame2.png",
    )
    assert opened.sequences.tolist() == ["seq2", "seq1", "seq1", "seq3"]
    assert opened.splits.tolist() == ["train"] * 3 + ["test"]
    assert (opened.unit, opened.name, {camera.source for camera in opened.cameras}) == (
        "m",
        scene.name,
        {"assumed"},
    )
    np.testing.assert_array_equal(opened.poses.positions[:3, 0], [9, 2, 3])


def test_sources_are_lines_of_the_file(scene):
    lines = [source.rsplit(":", 1)[1] for source in cambridge.read(scene).sources]
    assert lines == ["4", "6", "5", "4"]


def test_scene_without_test_list_has_training_images(scene):
    (scene / "dataset_test.txt").unlink()
    opened = open_scene(scene)
    assert len(opened.split("train")) == 3
    with pytest.raises(
        PoseNetError,
        match=r"the test split of .* must contain at least one usable image, it is empty",
    ):
        opened.split("test")


def test_empty_list_counts_as_missing(scene):
    (scene / "dataset_train.txt").write_text("")
    opened = open_scene(scene)
    assert len(opened.split("test")) == 1
    with pytest.raises(
        PoseNetError, match=r"the train split of .* must contain at least one usable image"
    ):
        opened.split("train")


def test_two_empty_lists(tmp_path):
    write_lists(tmp_path, [], [])
    assert refused(tmp_path).endswith("must contain at least one usable image: no image is listed")


@pytest.mark.parametrize(
    ("line", "received"),
    [
        ("seq1/a.png 1 2 3 1 0 0", "received 7 columns: 'seq1/a.png 1 2 3 1 0 0'"),
        ("seq1/a.png 1 2 3 1 0 0 0 5", "received 9 columns: 'seq1/a.png 1 2 3 1 0 0 0 5'"),
        ("seq1/a.png 1 2 three 1 0 0 0", "received 'three' where a number belongs"),
        ("seq1/" + "a" * 90, f"received 1 column: '{('seq1/' + 'a' * 90)[:57]}...'"),
    ],
)
def test_malformed_line_is_named(tmp_path, line, received):
    write_lists(tmp_path, ["seq1/b.png 1 2 3 1 0 0 0", line])
    must = "a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns"
    assert refused(tmp_path) == f"{tmp_path / 'dataset_train.txt'}:5: {must}, {received}"


def test_text_that_is_not_utf_8(tmp_path):
    (tmp_path / "dataset_train.txt").write_bytes(HEADER.encode() + "seq1/é.png".encode("latin-1"))
    expected = (
        f"{tmp_path / 'dataset_train.txt'}:4: the file must be text in UTF-8, received other bytes"
    )
    assert refused(tmp_path) == expected


def test_binary_content(tmp_path):
    (tmp_path / "dataset_train.txt").write_bytes(b"a\n\0\0\0")
    expected = f"{tmp_path / 'dataset_train.txt'}:2: the file must be text, received binary content"
    assert refused(tmp_path) == expected


def test_nan_and_zero_quaternions_are_reported(scene):
    text = (scene / "dataset_train.txt").read_text().replace("9 0 0 1 0 0 0", "nan 0 0 1 0 0 0")
    (scene / "dataset_train.txt").write_text(text.replace("2 0 0 1 0 0 0", "2 0 0 0 0 0 0"))
    opened, issues = open_scene_with_issues(scene)
    path = scene / "dataset_train.txt"
    assert [(issue.kind, issue.first) for issue in issues] == [
        ("pose that is missing or not finite", f"{path}:4 seq2/frame1.png"),
        ("quaternion of length zero", f"{path}:6 seq1/frame9.png"),
    ]
    assert len(opened) == 2


@pytest.mark.parametrize("name", ["/seq1/a.png", "../a.png"])
def test_names_outside_the_folder(tmp_path, name):
    write_lists(tmp_path, [f"{name} 1 2 3 1 0 0 0"])
    assert "dataset_train.txt:4: the name of an image must stay inside the scene folder" in refused(
        tmp_path
    )


def test_names_are_normalized(tmp_path):
    write_lists(tmp_path, ["./seq1\\a.png 1 2 3 1 0 0 0", "b.png 1 2 3 1 0 0 0"])
    opened = open_scene(tmp_path, need_images=False)
    assert opened.names == ("seq1/a.png", "b.png")
    assert opened.sequences.tolist() == ["seq1", "all"]


def test_jpg_files_of_a_png_list_are_found(scene):
    (scene / "seq3/frame2.png").unlink()
    write_image(scene / "seq3/frame2.jpg")
    assert open_scene(scene).split("test").names == ("seq3/frame2.jpg",)


def test_reconstruction_contains_cameras_and_points(scene):
    (scene / "reconstruction.nvm").write_text(
        "NVM_V3\n\n3\nseq9/other.jpg 1 1 0 0 0 0 0 0 0 0\nseq1/frame10.jpg 70 1 0 0 0 0 0 0 0 0\n"
        "seq3/frame2.jpg 80 1 0 0 0 0 0 0 0 0\n\n2\n0 0 5 0 0 0 2 0 0 0 0 2 0 0 0\n"
        "0 1 5 0 0 0 1 1 0 0 0\n0\n"
    )
    opened = open_scene(scene)
    assert [camera.source for camera in opened.cameras[:2]] == ["assumed"] * 2
    assert opened.cameras[2:] == (Camera(64, 48, 70, 70, 32, 24), Camera(64, 48, 80, 80, 32, 24))
    np.testing.assert_array_equal(opened.points.positions, [[0, 0, 5], [0, 1, 5]])
    np.testing.assert_array_equal(opened.points.observations, [[3, 0], [2, 1]])
    (scene / "seq3/frame2.png").unlink()
    assert open_scene(scene, need_images=False).cameras[3] is None


def test_list_without_header_and_with_more_columns(tmp_path):
    (tmp_path / "poses.txt").write_text(
        "a.png 1 2 3 1 0 0 0 0.5 7\n\n# a comment\nb.png 4 5 6 0 1 0 0\n"
    )
    first, second = read_list(tmp_path / "poses.txt")
    assert (first.name, first.numbers, first.extra) == (
        "a.png",
        (1, 2, 3, 1, 0, 0, 0),
        ("0.5", "7"),
    )
    assert (second.extra, second.source) == ((), f"{tmp_path / 'poses.txt'}:4")


def test_missing_list(tmp_path):
    with pytest.raises(
        PoseNetError, match=r"poses.txt: the file cannot be read \(No such file or directory\)"
    ):
        read_list(tmp_path / "poses.txt")


def test_list_with_byte_order_mark_and_crlf(tmp_path):
    (tmp_path / "dataset_train.txt").write_bytes(
        ("\ufeff" + HEADER + "a.png 1 2 3 1 0 0 0\n").replace("\n", "\r\n").encode()
    )
    assert open_scene(tmp_path, need_images=False).names == ("a.png",)


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("KingsCollege", 1220, 343),
        ("OldHospital", 895, 182),
        ("ShopFacade", 231, 103),
        ("GreatCourt", 1531, 760),
    ],
)
def test_published_counts_and_level_cameras(real_data, name, train, test):
    scene, issues = open_scene_with_issues(real_data / "cambridge_lists" / name, need_images=False)
    assert ((scene.splits == "train").sum(), (scene.splits == "test").sum()) == (train, test)
    expected = (
        f"{real_data / 'cambridge_lists' / name / 'dataset_train.txt'}:300 seq5/frame00297.png"
    )
    assert [(issue.kind, issue.first) for issue in issues] == (
        [("camera far outside the scene", expected)] if train == 1531 else []
    )
    # People hold cameras level: the camera's right axis is in the plane they walk in.
    centered = scene.poses.positions - scene.poses.positions.mean(axis=0)
    up = np.linalg.svd(centered, full_matrices=False)[2][2]
    tilt = np.degrees(np.arcsin(scene.poses.rotations.apply([1, 0, 0]) @ up))
    assert np.sqrt((tilt**2).mean()) < 6
