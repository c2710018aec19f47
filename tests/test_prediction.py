import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.framing import Framing
from posenet.images import read_image
from posenet.poses import Poses
from posenet.prediction import camera_for, draw, picture_files
from posenet.run import Run
from posenet.scene import Camera
from tests.conftest import write_picture
from tests.test_intrinsics import photo


@pytest.fixture
def run(tmp_path):
    framing = Framing((6, 8), (4, 4))
    camera = Camera(640, 480, 500.0, 510.0, 322.0, 238.0)
    return Run(tmp_path, TrainConfig(tmp_path), tmp_path, "m", framing, (0.0, 0.0, 0.0), 1.0, camera=camera)


def test_a_picture_of_the_training_pictures_shape_has_their_camera(run, tmp_path):
    write_picture(tmp_path / "a.png", (240, 320))
    assert camera_for(run, tmp_path / "a.png") == Camera(320, 240, 250.0, 255.0, 161.0, 119.0)


def test_a_camera_held_upright_keeps_its_focal_length(run, tmp_path):
    write_picture(tmp_path / "a.png", (640, 480))
    assert camera_for(run, tmp_path / "a.png") == Camera(480, 640, 505.0, 505.0, 240.0, 320.0)
    write_picture(tmp_path / "b.png", (320, 240))
    assert camera_for(run, tmp_path / "b.png") == Camera(240, 320, 252.5, 252.5, 120.0, 160.0)


def test_another_shape_is_another_camera(run, tmp_path):
    write_picture(tmp_path / "a.png", (300, 300))
    assert camera_for(run, tmp_path / "a.png").source == "assumed"


def test_a_zoomed_picture_has_what_its_exif_tells(run, tmp_path):
    # 35 mm of film are 43.27 mm across: 27 mm are 500 of 800 pixels, as the training camera's
    alike = photo(tmp_path / "a.jpg", xA405=27, size=(640, 480))
    assert camera_for(run, alike) == run.camera
    longer = camera_for(run, photo(tmp_path / "b.jpg", xA405=54, size=(640, 480)))
    assert (longer.source, longer.fx) == ("EXIF", pytest.approx(54 / 43.2666 * 800, rel=1e-4))
    upright = camera_for(run, photo(tmp_path / "c.jpg", xA405=13, size=(480, 640)))
    assert (upright.source, upright.fx) == ("EXIF", pytest.approx(13 / 43.2666 * 800, rel=1e-4))


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("frame10.png", "frame2.png", "frame1.png"):
        write_picture(tmp_path / name)
    assert [path.name for path in picture_files([tmp_path])] == ["frame1.png", "frame2.png", "frame10.png"]


def test_a_path_is_drawn_without_its_scene_too(run, tmp_path, caplog):
    poses = Poses.from_quaternions(np.random.default_rng(0).normal(size=(5, 3)), np.eye(4)[[0] * 5])
    assert read_image(draw(run, poses, tmp_path / "path.png")).shape[2] == 3
    assert "training pictures are not drawn" in caplog.text
    with pytest.raises(PoseNetError, match="path.png cannot be written: No such file"):
        draw(run, poses, tmp_path / "missing" / "path.png")
    with pytest.raises(PoseNetError, match="--plot needs at least one picture with a pose, received none"):
        draw(run, poses[:0], tmp_path / "none.png")
