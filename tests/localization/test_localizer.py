import json
import shutil

import cv2
import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.metrics import position_errors
from posenet.io.image_cache import load_images
from posenet.localization.localizer import LocalizationOptions, Localizer, valid_poses
from posenet.localization.smoothing import smooth
from posenet.run import open_run
from posenet.training.train import train
from tests.helpers.scenes import QUICK


@pytest.fixture(autouse=True)
def default_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def ready(cambridge, trained):
    """An answerer, and the test images with all that is known of them."""
    run, test = open_run(trained), open_scene(cambridge).split("test")
    return Localizer(run), (
        load_images(test.paths, run.crop.resized),
        test.paths,
        test.cameras,
        test.sequences,
    )


def test_one_view_is_what_the_network_says(ready):
    answerer, known = ready
    answers = answerer.answer(*known, LocalizationOptions(tta_views=1))
    images = answerer.run.crop.middle(known[0][np.arange(4)]).astype(np.float32)
    expected = answerer.network.predict_on_batch(images)
    np.testing.assert_allclose(answers.poses.positions, expected["position"], rtol=1e-4)
    assert answers.doubt_deg is None
    assert answers.refinement is None
    assert answers.found.all()


def test_more_views_tell_doubt_and_a_video_is_smoothed(ready):
    answerer, known = ready
    plain, smoothed = (
        answerer.answer(*known, LocalizationOptions(tta_views=3, smooth=each))
        for each in (False, True)
    )
    assert (plain.doubt_deg > 0).all()
    expected = smooth(plain.poses, known[3])
    np.testing.assert_allclose(position_errors(smoothed.poses, expected), 0, atol=1e-9)
    assert position_errors(smoothed.poses, plain.poses).max() > 0


def test_a_scene_far_from_its_zero_is_learned_as_exactly(plane_trained, tmp_path):
    far, answers = np.array([4.5e5, 5.3e6, 300.0]), []
    near_run, plane = plane_trained
    shutil.copytree(plane, tmp_path / "far")
    for file in (tmp_path / "far").glob("transforms*.json"):
        values = json.loads(file.read_text())
        for frame in values["frames"]:
            for row in range(3):
                frame["transform_matrix"][row][3] += far[row]
        file.write_text(json.dumps(values))
    far_run = train(TrainConfig(tmp_path / "far", tmp_path / "far_run", epochs=1, **QUICK)).folder
    for folder, run in ((plane, open_run(near_run)), (tmp_path / "far", open_run(far_run))):
        test = open_scene(folder).split("test")
        known = load_images(test.paths, run.crop.resized), test.paths, test.cameras, test.sequences
        answers.append(Localizer(run).answer(*known, LocalizationOptions(tta_views=1)))
    np.testing.assert_allclose(
        answers[1].poses.positions - far, answers[0].poses.positions, atol=0.02
    )


def test_refining_without_intrinsics_is_one_line(ready):
    answerer, known = ready
    with pytest.raises(PoseNetError, match="--refine needs the intrinsics of the training images"):
        answerer.answer(*known, LocalizationOptions(refine=True))


def test_only_finite_answers_with_a_rotation_are_usable():
    outputs = {
        "position": np.array([[1.0, 2, 3], [np.nan, 0, 0], [0, 0, 0]]),
        "quaternion": np.zeros((3, 4)),
    }
    outputs["quaternion"][:2, 0] = 2.0
    poses, found = valid_poses(outputs)
    assert found.tolist() == [True, False, False]
    np.testing.assert_allclose(poses.positions[0], [1, 2, 3])
    np.testing.assert_allclose(poses.quaternions_wxyz[0], [1, 0, 0, 0])


def test_a_image_on_its_side_is_asked_turned_too(plane_trained, tmp_path, monkeypatch):
    run = open_run(plane_trained[0])
    assert run.single_camera
    path = tmp_path / "side.png"
    cv2.imwrite(str(path), np.rot90(cv2.imread(str(run.open_scene().paths[0]))))
    camera, asked = run.camera.rotate90(), []

    def answer(_network, images, cameras, *_args):
        asked.append([(each.width, each.height) for each in cameras])
        number = len(asked)
        return {
            "position": np.full((1, 3), float(number)), "quaternion": np.array([[1.0, 0, 0, 0]]),
            "spread_deg": np.array([[5.0, 1.0, 4.0][number - 1]]), "pooled": np.ones((1, 7)),
        }  # fmt: skip

    monkeypatch.setattr("posenet.localization.localizer.predict_with_tta", answer)
    known = load_images([path], run.crop.resized), [path], [camera], np.zeros(1)
    answers = Localizer(run).answer(*known, LocalizationOptions())
    assert asked == [[(240, 320)], [(320, 240)], [(320, 240)]]
    np.testing.assert_array_equal(answers.poses.positions, [[2, 2, 2]])
    assert answers.doubt_deg.tolist() == [1]
