from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from scipy.spatial.transform import Rotation

from posenet.config import TrainConfig
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.poses import Poses
from posenet.mapping import convention_check
from posenet.mapping.relative_rotation import MeasuredRotation
from posenet.run import Run
from posenet.training.prepare import check_resume_settings, choose_head, create_run
from posenet.training.reference_camera import find_reference_camera, is_single_camera
from tests.helpers.errors import refusal
from tests.helpers.planes import CAMERA, plane_scene
from tests.helpers.scenes import make_scene, walk


def test_a_single_camera_has_one_field_of_view(tmp_path):
    scene = plane_scene(tmp_path, 3)
    assert is_single_camera(scene, CAMERA)
    half_size, longer = CAMERA.resized(160, 120), Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
    assert is_single_camera(replace(scene, cameras=(CAMERA, half_size, half_size)), CAMERA)
    assert not is_single_camera(replace(scene, cameras=(CAMERA, CAMERA, longer)), CAMERA)
    assert not is_single_camera(replace(scene, cameras=(CAMERA, CAMERA, None)), CAMERA)
    assert not is_single_camera(scene, None)


def test_the_reference_camera_is_that_of_nine_tenths(tmp_path):
    scene = plane_scene(tmp_path, 10)
    assert find_reference_camera(scene) == CAMERA
    upright, longer = CAMERA.rotate90(), replace(CAMERA, fx=300.0, fy=300.0)
    few = (CAMERA,) * 6 + (upright,) * 2 + (None, longer)  # one in nine has another lens
    assert find_reference_camera(replace(scene, cameras=few)) is None
    assert find_reference_camera(replace(scene, cameras=(*few[:-1], CAMERA))) == CAMERA
    frames = (CAMERA,) * 8 + (None,) * 2  # all that is known, but not of nine tenths
    assert find_reference_camera(replace(scene, cameras=frames)) is None
    each_its_own = tuple(replace(CAMERA, fx=200.0 + 20 * row) for row in range(10))
    assert find_reference_camera(replace(scene, cameras=each_its_own)) is None
    nearly = tuple(
        replace(CAMERA, fx=260.0 + row) for row in range(10)
    )  # as COLMAP finds them, image by image
    assert find_reference_camera(replace(scene, cameras=nearly)) == nearly[4]
    outlier = (replace(CAMERA, fx=900.0), *nearly)
    assert find_reference_camera(replace(scene, cameras=outlier)) == nearly[5]
    assert (
        find_reference_camera(replace(scene, cameras=(replace(CAMERA, source="assumed"),) * 10))
        is None
    )


def test_the_geometric_loss_says_how_many_images_it_learns_from(caplog):
    config = TrainConfig(Path("scene"), loss="geometric", backbone="googlenet")
    assert (
        choose_head(config, SimpleNamespace(num_with_depth=2000, scene=range(9000)))
        == "scene-coordinates"
    )
    assert caplog.messages == ["--loss geometric uses 2000 of 9000 images, those with known depth"]


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
        == "cannot change --split when resuming: the run uses /before/test.txt, received sequence:b"
    )


def test_labels_that_the_images_contradict_are_named(tmp_path, caplog, monkeypatch):
    rotations = walk(12).rotations
    measured = [
        MeasuredRotation(row, row + 1, rotations[row + 1].inv() * rotations[row])
        for row in range(11)
    ]
    monkeypatch.setattr(convention_check, "measure_rotations", lambda scene: measured)
    scene = replace(make_scene(tmp_path), points=None)
    config = TrainConfig(tmp_path, backbone="googlenet", split="blocks", refine_intrinsics=False)

    def warnings(positions, rotations):
        caplog.clear()
        create_run(config, replace(scene, poses=Poses(positions, rotations)), "float32")
        return caplog.messages

    places = walk(12).positions
    assert warnings(places, rotations) == []
    # Neighbors turn by 60 degrees about the vertical, which is the y axis of the camera but not of
    # the world: the two rotations by 60 degrees about perpendicular axes differ by 82.8 degrees.
    assert warnings(places, rotations.inv()) == [
        "made: the rotations seem to be read wrongly: the labels do not fit the images: measured "
        "relative rotations differ from them by 82.8 deg, by 0.0 if the files contain "
        "camera_from_world rotations with OpenCV axes; see `posenet scene info`"
    ]
    assert warnings(0 * places, Rotation.concatenate([rotations[0]] * 12)) == [
        "made: all 12 positions are equal: there is no position to learn",
        "made: all 12 rotations are equal: nothing can show whether they are right",
    ]
