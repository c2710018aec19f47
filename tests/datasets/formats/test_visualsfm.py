"""VisualSFM folders."""

import numpy as np
import pytest
from PIL import Image

from posenet.datasets.formats import visualsfm
from posenet.datasets.formats.nvm_writer import write_nvm
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

NVM = """NVM_V3

2
b/frame10.jpg 50 0.5 0.5 -0.5 0.5 1 2 3 -0.1 0
b/frame9.png 60 1 0 0 0 4 5 6 0 0

1
7 8 9 255 0 0 2 0 0 1.5 2.5 1 3 -1 0
"""


def write(folder):
    folder.mkdir()
    (folder / "model.nvm").write_text(NVM)
    for name in ("frame9", "frame10"):
        write_image(folder / f"b/{name}.jpg", (48, 64))
    return folder


def test_centers_rotations_and_cameras(tmp_path):
    folder = write(tmp_path / "scene")
    assert visualsfm.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names == ("b/frame9.jpg", "b/frame10.jpg")  # the file contains .png
    np.testing.assert_array_equal(scene.poses.positions, [[4, 5, 6], [1, 2, 3]])
    np.testing.assert_allclose(
        scene.poses.rotations[1].apply([0, 0, 1]), [1, 0, 0], atol=1e-12
    )  # forward
    first, second = scene.cameras
    assert (first.fx, first.model, first.cx) == (60, "PINHOLE", 32)
    assert (second.fx, second.model, second.distortion) == (50, "SIMPLE_RADIAL", (0.1,))  # -r
    assert scene.unit == "scene units"
    np.testing.assert_array_equal(scene.points.observations, [[1, 0], [0, 0]])


def test_focal_lengths_scale_with_downsized_images(tmp_path):
    folder = write(tmp_path / "scene")  # 64 x 48
    # Pixels from the middle of 256 x 192.
    measured = "0 0 -127.5 3 0 1 120 -94.9 1 0 -127.5 3 1 1 120 -94.9"
    (folder / "model.nvm").write_text(
        NVM.replace("0 0 2 0 0 1.5 2.5 1 3 -1 0", f"0 0 4 {measured}")
    )
    scene = open_scene(folder)
    first, second = scene.cameras
    assert first.fx == pytest.approx(60 / 4, rel=0.01)  # as far as -127.5 is from the edge
    assert (second.fx, second.width) == (pytest.approx(50 / 4, rel=0.01), 64)
    issue = "2 x image smaller than in the reconstruction, focal length scaled down (first: b/frame9.jpg)"
    assert issue in refusal(open_scene, folder, strict=True)


@pytest.mark.parametrize(
    ("header", "measured"),
    [
        (
            "NVM_V3",
            "0 0 63.5 3 0 1 1 47.9 1 0 63 3 1 1 20 46",
        ),  # from the corner, as COLMAP and OpenSfM write
        (
            "NVM_V3 FixedK 50 40 50 24 0",
            "0 0 -39.5 3 0 1 20 -23 1 0 -39 3 1 1 20 -23",
        ),  # from its own principal point
    ],
)
def test_focal_lengths_of_unchanged_images_stay(tmp_path, header, measured):
    folder = write(tmp_path / "scene")
    text = NVM.replace("NVM_V3", header).replace("0 0 2 0 0 1.5 2.5 1 3 -1 0", f"0 0 4 {measured}")
    (folder / "model.nvm").write_text(text)
    assert [camera.fx for camera in open_scene(folder, strict=True).cameras] == [60, 50]


def test_exif_orientation_rotates_poses(tmp_path):
    folder = write(tmp_path / "scene")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown rotated clockwise: what is on the right as stored is at the bottom
    with Image.open(folder / "b/frame9.jpg") as image:
        image.load()
        image.save(folder / "b/frame9.jpg", exif=exif)
    scene = open_scene(folder)
    np.testing.assert_allclose(scene.poses.rotations[0].apply([0, 1, 0]), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(scene.poses.rotations[1].apply([0, 0, 1]), [1, 0, 0], atol=1e-12)
    assert (scene.cameras[0].width, scene.cameras[0].height, scene.cameras[0].cx) == (48, 64, 24)


def test_several_files_are_refused(tmp_path):
    folder = write(tmp_path / "scene")
    (folder / "other.nvm").write_text(NVM)
    with pytest.raises(
        PoseNetError, match=r"must contain one .nvm file, received model.nvm, other.nvm"
    ):
        open_scene(folder)


def test_written_files_read_back(tmp_path):
    folder = write(tmp_path / "scene")
    scene = open_scene(folder)
    names = [name.replace("b/", "b c/") for name in scene.names]
    (folder / "b").rename(folder / "b c")
    tracks = [[(0, 0, 1.5, 2.5), (1, 0, 0.5, 0.25)], []]
    points = np.array([[7.0, 8, 9], [1, 1, 1]])
    write_nvm(
        folder / "model.nvm",
        names,
        scene.poses,
        focals=[60, 50],
        radials=[0, -0.1],
        points=points,
        colors=np.full((2, 3), 9),
        tracks=tracks,
    )
    again = open_scene(folder)
    assert again.names == tuple(names)
    assert again.cameras == scene.cameras
    np.testing.assert_allclose(again.poses.matrices, scene.poses.matrices, atol=1e-12)
    np.testing.assert_array_equal(
        again.points.positions, [[7, 8, 9]]
    )  # no image observes the other point
    assert isinstance(again.poses, Poses)
