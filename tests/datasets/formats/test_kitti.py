"""KITTI odometry sequences."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.formats import kitti
from posenet.datasets.registry import open_scene
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

# The second has turned right, to look along x.
POSES = "1 0 0 0 0 1 0 0 0 0 1 0\n0 0 1 5 0 1 0 0 -1 0 0 7\n"
# camera 2 stands 0.06 m right of camera 0 in KITTI: P = K [1 | t] with t_x = +0.06 puts it at -0.06
CALIB = "P0: 70 0 31.5 0 0 70 23.5 0 0 0 1 0\nP2: 70 0 31.5 4.2 0 70 23.5 0 0 0 1 0\nTr: 1 0 0 0 0 1 0 0 0 0 1 0\n"


def write(folder, poses=POSES, calib=CALIB, pose_file="poses.txt"):
    for row in range(2):
        write_image(folder / f"image_2/{row:06d}.png", (48, 64), seed=row)
    (folder / pose_file).resolve().parent.mkdir(parents=True, exist_ok=True)
    (folder / pose_file).write_text(poses)
    (folder / "calib.txt").write_text(calib)
    return folder


refused = partial(refusal, open_scene, strict=True)


def check(scene):
    np.testing.assert_allclose(
        scene.poses.positions, [[-0.06, 0, 0], [5, 0, 7.06]]
    )  # camera 2's own center
    np.testing.assert_allclose(scene.poses.rotations[1].apply([0, 0, 1]), [1, 0, 0], atol=1e-12)
    camera = scene.cameras[0]
    assert (camera.fx, camera.cx, camera.cy) == (70, 32, 24)


def test_sequence_with_its_poses(tmp_path):
    folder = write(tmp_path / "drive")
    assert kitti.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names == ("image_2/000000.png", "image_2/000001.png")
    check(scene)


def test_layout_of_the_benchmark(tmp_path):
    folder = write(tmp_path / "sequences/07", pose_file="../../poses/07.txt")
    check(open_scene(folder))
    scene = open_scene(tmp_path)
    assert scene.names[0] == "sequences/07/image_2/000000.png"
    assert list(scene.sequences) == ["07", "07"]
    check(scene)
    write(tmp_path / "sequences/08", pose_file="../../poses/08.txt")
    message = refused(tmp_path)
    assert message == (
        f"{tmp_path} must be one sequence, because each has its own world frame: "
        f"use {tmp_path}/sequences/NN, NN one of 07, 08"
    )


def test_sequence_without_poses(tmp_path):
    write_image(tmp_path / "drive/image_2/000000.png", (48, 64))
    message = refusal(kitti.read, tmp_path / "drive")
    assert message == f"{tmp_path / 'drive'} must have poses, in poses.txt or ../../poses/NN.txt"


def test_default_camera_is_camera_0(tmp_path):
    folder = write(tmp_path / "drive", calib="")
    scene = open_scene(folder)
    np.testing.assert_allclose(scene.poses.positions[1], [5, 0, 7])
    assert scene.cameras[0].source == "assumed"


def test_a_pose_without_an_image_is_reported(tmp_path):
    folder = write(tmp_path / "drive", POSES + POSES.split("\n")[0] + "\n")
    assert "1 x missing image, dropped (first: " in refused(folder)
    assert "poses.txt:3 image_2/000002.png" in refused(folder)


@pytest.mark.parametrize(
    ("poses", "calib", "message"),
    [
        (
            "1 0 0 0\n",
            CALIB,
            "poses.txt:1: a pose must be 12 numbers, a 3 x 4 matrix row by row, received 4 columns",
        ),
        (POSES.replace("5", "x"), CALIB, "poses.txt:2: a pose must be 12 numbers"),
        (POSES, "P2: 1 2 3\n", "calib.txt:1: P2: must be followed by 12 numbers"),
        (POSES, CALIB.replace("70", "-70"), "focal lengths above 0"),
        (
            POSES.replace("1 0 0 0 0 1", "2 0 0 0 0 1"),
            CALIB,
            "1 x rotation with shear or unequal scales",
        ),
    ],
)
def test_malformed(tmp_path, poses, calib, message):
    assert message in refused(write(tmp_path / "drive", poses, calib))
