from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from posenet.config import TrainConfig
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.run import Run
from posenet.training.prepare import _one_camera, _shared_camera, check_resume_settings, choose_head
from tests.helpers.errors import refusal
from tests.helpers.planes import CAMERA, plane_scene


def test_one_camera_is_one_view_angle(tmp_path):
    scene = plane_scene(tmp_path, 3)
    assert _one_camera(scene, CAMERA)
    half_size, longer = CAMERA.resized(160, 120), Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
    assert _one_camera(replace(scene, cameras=(CAMERA, half_size, half_size)), CAMERA)
    assert not _one_camera(replace(scene, cameras=(CAMERA, CAMERA, longer)), CAMERA)
    assert not _one_camera(replace(scene, cameras=(CAMERA, CAMERA, None)), CAMERA)
    assert not _one_camera(scene, None)


def test_new_images_are_of_the_training_camera_only_if_there_is_one(tmp_path):
    scene = plane_scene(tmp_path, 10)
    assert _shared_camera(scene) == CAMERA
    upright, longer = CAMERA.rotate90(), replace(CAMERA, fx=300.0, fy=300.0)
    few = (CAMERA,) * 6 + (upright,) * 2 + (None, longer)  # one in nine has another lens
    assert _shared_camera(replace(scene, cameras=few)) is None
    assert _shared_camera(replace(scene, cameras=(*few[:-1], CAMERA))) == CAMERA
    frames = (CAMERA,) * 8 + (None,) * 2  # all that is known, but not of nine tenths
    assert _shared_camera(replace(scene, cameras=frames)) is None
    each_its_own = tuple(replace(CAMERA, fx=200.0 + 20 * row) for row in range(10))
    assert _shared_camera(replace(scene, cameras=each_its_own)) is None
    nearly = tuple(
        replace(CAMERA, fx=260.0 + row) for row in range(10)
    )  # as COLMAP finds them, image by image
    assert _shared_camera(replace(scene, cameras=nearly)) == nearly[4]
    outlier = (replace(CAMERA, fx=900.0), *nearly)
    assert _shared_camera(replace(scene, cameras=outlier)) == nearly[5]
    assert _shared_camera(replace(scene, cameras=(replace(CAMERA, source="assumed"),) * 10)) is None


def test_the_geometric_loss_says_how_many_images_it_learns_from(caplog):
    config = TrainConfig(Path("scene"), loss="geometric", backbone="googlenet")
    assert (
        choose_head(config, SimpleNamespace(with_depth=2000, scene=range(9000)))
        == "scene-coordinates"
    )
    assert caplog.messages == [
        "--loss geometric learns from the 2000 of 9000 images whose depth is known"
    ]


def test_a_list_of_test_images_that_moved_is_the_runs_own_split(tmp_path):
    now = tmp_path / "test.txt"
    now.write_text("a.png")
    config, crop = TrainConfig(tmp_path, split="/before/test.txt"), Crop((6, 8), (4, 4))
    run = Run(tmp_path, config, tmp_path, "m", crop, (0.0, 0.0, 0.0), 1.0, split=str(now))
    check_resume_settings(TrainConfig(None, split=str(now)), run)
    check_resume_settings(TrainConfig(None, split="/before/test.txt"), run)
    line = refusal(check_resume_settings, TrainConfig(None, split="sequence:b"), run)
    assert (
        line
        == "--resume goes on with the run's own settings, split /before/test.txt: received sequence:b"
    )
