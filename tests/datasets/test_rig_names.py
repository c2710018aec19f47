"""Images of one moment, recognized by names and poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.rig_names import camera_word, rig_from_names
from posenet.geometry.poses import Poses, concatenate
from tests.helpers.rigs import rig_names, rig_poses
from tests.helpers.scenes import walk


def found(names, poses):
    images = rig_from_names(names, poses.positions, poses.quaternions_wxyz)
    return images and [image.moment for image in images]


def sets(moments):
    """The rows of each moment."""
    return sorted(
        [row for row, other in enumerate(moments) if other == moment] for moment in set(moments)
    )


def columns(cameras, moments):
    return sorted(np.arange(cameras * moments).reshape(cameras, moments).T.tolist())


@pytest.mark.parametrize(
    "pattern",
    [
        "pano_camera{camera}/{moment:06d}.jpg",
        "images/cam{camera}/{moment}.png",
        "mav0/cam{camera}/data/14036{moment:05d}.png",
        "day1/rig-{camera}/a/frame_{moment:05d}.jpg",
        "images/frame_{moment:05d}_{camera}.jpg",
        "{camera}_{moment:03d}.jpg",
        "cam{camera}_{moment:03d}.jpg",
        "frame-{moment:06d}.cam{camera}.png",
    ],
)
@pytest.mark.parametrize("cameras", [2, 3, 5, 12])
def test_a_rigid_rig_that_turns(pattern, cameras):
    names = rig_names(cameras, 20, pattern)
    assert sets(found(names, rig_poses(cameras, 20))) == columns(cameras, 20)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left/{:06d}.jpg", "right/{:06d}.jpg"),
        ("left_{:06d}.jpg", "right_{:06d}.jpg"),
        ("left{:06d}.jpg", "right{:06d}.jpg"),
        ("{:06d}_left.jpg", "{:06d}_right.png"),
        ("image_2/{:06d}.png", "image_3/{:06d}.png"),
        ("frame-{:06d}.left.png", "frame-{:06d}.right.png"),
        ("cam_front/{:06d}.png", "cam_back/{:06d}.png"),
    ],
)
def test_stereo_by_names_alone_if_the_cameras_do_not_turn(left, right):
    straight = Poses(np.arange(30.0).reshape(10, 3), Rotation.identity(10))
    names = [pattern.format(row) for pattern in (left, right) for row in range(10)]
    assert sets(found(names, rig_poses(2, 10, walk_poses=straight))) == columns(2, 10)


def test_equal_names_of_several_walks_are_several_moments():
    there, back = walk(30), walk(30)[np.arange(30)[::-1]]
    names = rig_names(2, 30, "seq-0{camera}/frame-{moment:06d}.color.png")
    assert found(names, concatenate([there, back])) is None
    # Walks along a line, without a turn, are not a rig either.
    line = Poses(np.arange(90.0).reshape(30, 3), Rotation.identity(30))
    shifted = Poses(line.positions + 1, line.rotations)
    assert found(names, concatenate([line, shifted])) is None
    # Cameras that move relative to each other are not one, whatever they are called.
    assert found(rig_names(2, 30), concatenate([there, back])) is None


def test_a_video_has_no_moments():
    for pattern in ("{:06d}.jpg", "frame_{:05d}.jpg", "IMG_20250101_{:06d}.jpg", "left_{:05d}.jpg"):
        assert found([pattern.format(row) for row in range(40)], walk(40)) is None
    # Minutes and seconds.
    names = [f"{row // 60:02d}_{row % 60:02d}.jpg" for row in range(180)]
    assert found(names, walk(180)) is None


def test_missing_and_invalid_images():
    poses = rig_poses(3, 20)
    quaternions = poses.quaternions_wxyz.copy()
    quaternions[5] = 0
    rows = [row for row in range(60) if row not in (0, 1, 21, 59)]
    names = np.array(rig_names(3, 20))[rows].tolist()
    images = rig_from_names(names, poses.positions[rows], quaternions[rows])
    moments = [int(image.moment.split()[0][-6:]) for image in images]
    assert moments == [row % 20 for row in rows]


def test_another_camera_beside_a_rig():
    poses = concatenate([rig_poses(2, 20), walk(20)[np.arange(20)[::-1]]])
    names = [
        *rig_names(2, 20, "cam{camera}/{moment:04d}.jpg"),
        *rig_names(1, 20, "a/{moment:04d}.jpg"),
    ]
    moments = found(names, poses)
    assert sets(moments) == sorted([*columns(2, 20), *([row] for row in range(40, 60))])


def test_more_cameras_than_are_compared():
    poses = rig_poses(40, 4)
    assert sets(found(rig_names(40, 4, "cam{camera}/{moment}.jpg"), poses)) == columns(40, 4)
    assert found(rig_names(40, 4, "walk{camera}/{moment}.jpg"), poses) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a/left_000001.jpg", "left"),
        ("000001_cam3.png", "cam3"),
        ("right000001.png", "right"),
        ("campus_1.jpg", ""),
        ("frame_00001_3.jpg", ""),
    ],
)
def test_word_of_a_camera(name, word):
    assert camera_word(name) == word
