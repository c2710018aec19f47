from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posenet.cli.predict import plot_estimates
from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.poses import Poses
from posenet.io.images import read_image
from posenet.localization.localizer import Localizer
from posenet.localization.query_images import array_camera, as_files, image_files, query_camera
from posenet.mapping.calibration import IntrinsicsCorrection
from posenet.run import Run
from tests.helpers.images import photo, write_image


@pytest.fixture
def run(tmp_path):
    crop = Crop((6, 8), (4, 4))
    camera = Camera(640, 480, 500.0, 510.0, 322.0, 238.0)
    return Run(
        tmp_path, TrainConfig(tmp_path), tmp_path, "m", crop, (0.0, 0.0, 0.0), 1.0, camera=camera
    )


def test_files_need_no_temporary_folder(monkeypatch):
    def missing(**_):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", missing)
    with as_files(["a.png", Path("b.png")]) as files:
        assert files == [Path("a.png"), Path("b.png")]
    with pytest.raises(FileNotFoundError), as_files([np.zeros((2, 2, 3), np.uint8)]):
        pass


def test_an_image_of_the_size_of_training_images_has_their_camera(run, tmp_path):
    write_image(tmp_path / "a.png", (240, 320))
    assert query_camera(run, tmp_path / "a.png") == Camera(320, 240, 250.0, 255.0, 161.0, 119.0)


def test_a_camera_held_upright_keeps_its_focal_length(run, tmp_path):
    write_image(tmp_path / "a.png", (640, 480))
    assert query_camera(run, tmp_path / "a.png") == Camera(480, 640, 510.0, 500.0, 240.0, 320.0)
    write_image(tmp_path / "b.png", (320, 240))
    assert query_camera(run, tmp_path / "b.png") == Camera(240, 320, 255.0, 250.0, 120.0, 160.0)
    bent = replace(
        run, camera=replace(run.camera, model="OPENCV", distortion=(-0.28, 0.07, 0.001, -0.002))
    )
    camera = query_camera(
        bent, tmp_path / "a.png"
    )  # what bends with the distance from the middle stays
    assert (camera.model, camera.distortion) == ("OPENCV", (-0.28, 0.07, 0.0, 0.0))
    fisheye = replace(
        run, camera=replace(run.camera, model="OPENCV_FISHEYE", distortion=(0.1, 0.2, 0.3, 0.4))
    )
    assert query_camera(fisheye, tmp_path / "a.png").distortion == (0.1, 0.2, 0.3, 0.4)


def test_another_shape_is_another_camera(run, tmp_path):
    write_image(tmp_path / "a.png", (300, 300))
    assert query_camera(run, tmp_path / "a.png").source == "assumed"


def test_a_zoomed_image_has_the_focal_length_of_its_exif(run, tmp_path):
    # 35 mm of film are 43.27 mm across: 27 mm are 500 of 800 pixels, as the training camera's
    alike = photo(tmp_path / "a.jpg", xA405=27, size=(640, 480))
    assert query_camera(run, alike) == run.camera
    longer = query_camera(run, photo(tmp_path / "b.jpg", xA405=54, size=(640, 480)))
    assert (longer.source, longer.fx) == ("EXIF", pytest.approx(54 / 43.2666 * 800, rel=1e-4))
    upright = query_camera(run, photo(tmp_path / "c.jpg", xA405=13, size=(480, 640)))
    assert (upright.source, upright.fx) == ("EXIF", pytest.approx(13 / 43.2666 * 800, rel=1e-4))


def test_corrections_of_exif_apply_to_new_images(run, tmp_path):
    # EXIF says 500 pixels for the training images, of which the middle was kept: 1.3 times as much
    # is right
    run = replace(
        run,
        camera=Camera(640, 480, 650.0, 650.0, 320.0, 240.0, source="measured"),
        corrections={"EXIF": IntrinsicsCorrection(1.3), "assumed": IntrinsicsCorrection(2.0)},
    )
    assert query_camera(run, photo(tmp_path / "a.jpg", xA405=27, size=(640, 480))) == run.camera
    square = query_camera(run, photo(tmp_path / "b.jpg", xA405=27, size=(480, 480)))
    assert square.fx == pytest.approx(1.3 * 27 / 43.2666 * np.hypot(480, 480), rel=1e-4)
    write_image(tmp_path / "c.png", (300, 300))
    assert not query_camera(
        run, tmp_path / "c.png"
    ).has_known_focal_length  # another camera: its length stays a guess


def test_frames_come_in_the_order_of_their_numbers(tmp_path, caplog):
    for name in ("frame10.png", "frame2.png", "frame1.png"):
        write_image(tmp_path / name)
    assert [path.name for path in image_files([tmp_path])] == [
        "frame1.png",
        "frame2.png",
        "frame10.png",
    ]
    (tmp_path / "IMG.DNG").write_bytes(b"x")
    image_files([tmp_path])
    assert [message for message in caplog.messages if "1 file skipped, such as IMG.DNG" in message]


def test_depth_maps_are_not_photos(tmp_path, caplog):
    names = (
        "seq-01/frame-000000.color.png",
        "seq-01/frame-000000.depth.png",
        "rgb/1305.1.png",
        "depth/1305.1.png",
    )
    for name in names:
        write_image(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in image_files([tmp_path])]
    assert found == ["rgb/1305.1.png", "seq-01/frame-000000.color.png"]
    assert f"{tmp_path}: 2 depth maps skipped, such as 1305.1.png" in caplog.messages
    assert image_files([tmp_path / names[1]]) == [tmp_path / names[1]]  # asked for by its name


def test_each_folder_is_a_sequence(run, tmp_path, monkeypatch):
    paths = [tmp_path / f"a/{row}.png" for row in range(6)] + [tmp_path / "b/1.png"]
    for path in paths:
        write_image(path, (48, 64))
    for row in (2, 3):  # where two frames are lost the path ends
        paths[row].write_bytes(paths[row].read_bytes()[:400])
    asked = []

    class Recording(Localizer):
        def __init__(self, run):
            self.run = run

        def estimate(self, images, paths, cameras, sequences, *, smooth):
            assert smooth
            asked.extend(sequences)

    Recording(run).localize_files(paths, smooth=True)
    assert asked == [0, 0, 1, 1, 2]
    asked.clear()
    alternating = [paths[0], paths[6], paths[1], paths[4]]
    Recording(run).localize_files(alternating, smooth=True)
    assert asked == [0, 1, 0, 0]


def test_a_trajectory_is_plotted_without_its_scene(run, tmp_path, caplog):
    poses = Poses.from_quaternions(np.random.default_rng(0).normal(size=(5, 3)), np.eye(4)[[0] * 5])
    plot_estimates(run, poses, tmp_path / "path.png")
    assert read_image(tmp_path / "path.png").shape[2] == 3
    assert "training images are not plotted" in caplog.text
    with pytest.raises(PoseNetError, match="path.png cannot be written: No such file"):
        plot_estimates(run, poses, tmp_path / "missing" / "path.png")
    with pytest.raises(
        PoseNetError, match="--plot requires at least one image with a pose, received none"
    ):
        plot_estimates(run, poses[:0], tmp_path / "none.png")


@pytest.mark.parametrize("size", [(240, 320), (480, 640), (640, 480), (300, 300)])
def test_an_array_has_the_camera_of_the_same_image_in_a_file(tmp_path, size):
    run = SimpleNamespace(camera=Camera(640, 480, 500.0, 510.0, 322.0, 238.0), corrections={})
    image = np.zeros((*size, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert array_camera(run, image) == query_camera(run, tmp_path / "a.png")


def test_an_array_that_is_not_an_image_has_no_camera():
    run = SimpleNamespace(camera=None, corrections={})
    with pytest.raises(PoseNetError, match=r"received shape \(4, 6\) and type uint8"):
        array_camera(run, np.zeros((4, 6), np.uint8))
