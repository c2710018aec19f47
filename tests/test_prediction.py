import pytest

from posenet.config import TrainConfig
from posenet.framing import Framing
from posenet.prediction import camera_for
from posenet.run import Run
from posenet.scene import Camera
from tests.conftest import write_picture


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
