import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.areas import Areas
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.io.image_cache import load_images
from posenet.io.images import read_image
from posenet.localization.blending import BlendingWeights
from posenet.localization.estimates import valid_poses
from posenet.localization.localizer import Localizer
from posenet.localization.retrieval import Gallery
from posenet.localization.smoothing import smooth_trajectory
from posenet.localization.validation import predict_validation
from posenet.run import open_run
from posenet.training.train import train
from tests.helpers.errors import refusal
from tests.helpers.scenes import QUICK, scene_of, walk

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(cambridge, trained):
    """Return a run, and the test images with files, cameras and sequences."""
    run, test = open_run(trained), open_scene(cambridge).split("test")
    return run, (
        load_images(test.paths, run.crop.resized),
        test.paths,
        test.cameras,
        test.sequences,
    )


def test_one_view_is_the_output_of_the_network(ready):
    run, known = ready
    localizer = Localizer(run, tta_views=1)
    localizer.blending = None
    answers = localizer.estimate(*known)
    images = run.crop.center(known[0][np.arange(4)]).astype(np.float32)
    expected = localizer.network.predict_on_batch(images)
    np.testing.assert_allclose(answers.poses.positions, expected["position"], rtol=1e-4)
    assert answers.rotation_spread_deg is None
    assert answers.refinement is None
    assert answers.valid.all()


def test_several_views_give_a_spread_and_a_video_is_smoothed(ready):
    run, known = ready
    plain, smoothed = (
        Localizer(run, tta_views=3, smooth=each).estimate(*known) for each in (False, True)
    )
    assert (plain.rotation_spread_deg > 0).all()
    expected = smooth_trajectory(plain.poses, known[3])
    np.testing.assert_allclose(position_errors(smoothed.poses, expected), 0, atol=1e-9)
    assert position_errors(smoothed.poses, plain.poses).max() > 0


def test_a_scene_far_from_the_origin_is_learned_as_exactly(plane_trained, tmp_path):
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
        answers.append(Localizer(run, tta_views=1, refine=False).estimate(*known))
    np.testing.assert_allclose(
        answers[1].poses.positions - far, answers[0].poses.positions, atol=0.02
    )


def test_refining_without_intrinsics_is_one_line(ready):
    run, known = ready
    with pytest.raises(
        PoseNetError, match="--refine requires the intrinsics of the training images"
    ):
        Localizer(run, refine=True).estimate(*known)


def test_default_without_intrinsics_does_not_refine_and_says_why_once(ready, caplog):
    run, known = ready
    caplog.set_level("INFO")
    localizer = Localizer(run, tta_views=1)
    plain = Localizer(run, tta_views=1, refine=False).estimate(*known)
    for _ in range(2):
        estimates = localizer.estimate(*known)
        assert estimates.refinement is None
        np.testing.assert_array_equal(estimates.positions, plain.positions)
    line = "poses are not refined: the intrinsics of the training images are unknown"
    assert [each for each in caplog.messages if "refined" in each] == [line]
    assert not list(run.folder.glob("landmarks*"))


def test_files_arrays_and_pil_images_have_the_same_pose(ready):
    run, known = ready
    localizer = Localizer(run, tta_views=1)
    path = known[1][0]
    of_file = localizer.localize(path)
    expected = localizer.estimate(*known).poses.positions[0]
    np.testing.assert_allclose(of_file.position, expected, atol=1e-5)
    assert of_file.valid
    for image in (str(path), read_image(path), Image.open(path)):
        estimate = localizer.localize(image)
        np.testing.assert_allclose(estimate.position, of_file.position, atol=1e-6)
        np.testing.assert_allclose(estimate.quaternion_wxyz, of_file.quaternion_wxyz, atol=1e-6)


def test_an_unreadable_image_among_others_is_not_valid(ready, tmp_path):
    run, known = ready
    (tmp_path / "a.png").write_bytes(b"not an image")
    estimates = Localizer(run, tta_views=1).localize_all([tmp_path / "a.png", known[1][0]])
    assert estimates.valid.tolist() == [False, True]
    assert np.isnan(estimates[0].position).all()
    assert len(estimates) == 2


def test_cameras_in_one_folder_are_smoothed_separately(ready, tmp_path, monkeypatch):
    run, known = ready
    names = ["1_left.png", "1_right.png", "2_left.png", "2_right.png", "video_1.png", "video_2.png"]
    for name in names:
        shutil.copy(known[1][0], tmp_path / name)
    sequences = []

    def smooth(poses, given):
        sequences.append(given.tolist())
        return poses

    monkeypatch.setattr("posenet.localization.localizer.smooth_trajectory", smooth)
    localizer = Localizer(run, tta_views=1)
    localizer.localize_all([tmp_path / name for name in names], smooth=True)
    video, left, right = sequences[0][4], sequences[0][0], sequences[0][1]
    assert len({video, left, right}) == 3
    assert sequences == [[left, right, left, right, video, video]]


def test_validation_excludes_all_images_of_a_moment(monkeypatch):
    scene = replace(scene_of(walk(6)), moments=np.array([0, 1, 2, 0, 1, 2]), root=Path("x"))
    outputs = {
        "position": np.array([[0.0, 0, 0], [np.nan, 0, 0]]),
        "quaternion": np.tile([1.0, 0, 0, 0], (2, 1)),
        "pooled": np.ones((2, 3)),
    }
    images = SimpleNamespace(scene_rows=np.arange(2))
    monkeypatch.setattr("posenet.localization.validation.load_images", lambda *_args: images)
    descriptors = np.eye(6, 3, dtype=np.float32)
    descriptors[4] = 3**-0.5
    gallery = Gallery(scene, descriptors)
    # The validation images of a run that was trained when moments were divided.
    run = SimpleNamespace(
        crop=SimpleNamespace(resized=(6, 8)),
        areas=Areas(np.array([[1.0, 0, 0]]), np.zeros((1, 3))),
        validation_images=(scene.names[0], scene.names[2]),
    )
    found = predict_validation(run, gallery, lambda *_args: outputs)
    assert found.excluded.tolist() == [0, 2, 3, 5]
    assert found.scene.names == scene.names[:1]  # the other has no valid pose
    np.testing.assert_array_equal(found.regressed.positions, [[1, 0, 0]])
    # Of images 1 and 4, the fourth has equal elements, as the query does.
    np.testing.assert_array_equal(found.retrieved.positions, scene.poses.positions[[4]])
    run.validation_images = ()
    assert predict_validation(run, gallery, lambda *_args: outputs) is None
    run.validation_images = scene.names[:2] + scene.names[2:3]  # every moment
    assert predict_validation(run, gallery, lambda *_args: outputs) is None


def test_of_many_validation_images_some_are_evenly_taken(monkeypatch):
    monkeypatch.setattr("posenet.localization.validation.MAX_VALIDATION_IMAGES", 5)
    scene = replace(scene_of(walk(60)), root=Path("x"))

    def load(paths, *_args):
        return SimpleNamespace(scene_rows=np.arange(len(paths)))

    def predict(images, _cameras):
        count = len(images.scene_rows)
        return {
            "position": np.arange(3.0 * count).reshape(count, 3),
            "quaternion": np.tile([1.0, 0, 0, 0], (count, 1)),
            "pooled": np.ones((count, 3)),
        }

    monkeypatch.setattr("posenet.localization.validation.load_images", load)
    run = SimpleNamespace(
        crop=SimpleNamespace(resized=(6, 8)),
        areas=Areas(np.zeros((1, 3)), np.zeros((1, 3))),
        validation_images=scene.names[20:41],
    )
    gallery = Gallery(scene, np.ones((60, 3), np.float32))
    found = predict_validation(run, gallery, predict)
    assert found.scene.names == tuple(scene.names[row] for row in (20, 25, 30, 35, 40))
    # All 21 are excluded, and image 19, which is near in time, is not retrieved: of equally
    # similar images the first one is.
    assert found.excluded.tolist() == list(range(20, 41))
    np.testing.assert_array_equal(
        found.retrieved.positions, np.tile(scene.poses.positions[0], (5, 1))
    )
    thinned = found.thinned(3)
    assert thinned.scene.names == tuple(scene.names[row] for row in (20, 30, 40))
    np.testing.assert_array_equal(thinned.regressed.positions[:, 0], [0, 6, 12])
    assert thinned.excluded.tolist() == found.excluded.tolist()
    assert len(found.thinned(99)) == 5


def test_poses_are_blended_with_retrieved_ones(ready):
    run, known = ready
    localizer = Localizer(run, tta_views=1)
    localizer.blending = None
    own = localizer.estimate(*known)
    localizer.blending = BlendingWeights(0.25, 1.0, max_distance=1e9, max_angle_deg=1e9)
    blended = localizer.estimate(*known)
    retrieved = localizer.gallery.nearest_poses(own.descriptors)
    np.testing.assert_allclose(
        blended.poses.positions, 0.75 * own.poses.positions + 0.25 * retrieved.positions
    )
    np.testing.assert_allclose(rotation_errors_deg(blended.poses, retrieved), 0, atol=1e-4)


def test_blending_is_calibrated_once_for_a_network(ready):
    run, _ = ready
    (run.folder / "blending.json").unlink(missing_ok=True)
    weights = Localizer(run).blending
    assert 0 < weights.position <= 1
    assert (run.folder / "blending.json").is_file()
    again = Localizer(run)
    again.validation = None
    assert again.blending == weights


def test_without_the_training_images_poses_are_those_of_the_network(ready, monkeypatch, caplog):
    run, known = ready
    plain = Localizer(run, tta_views=1)
    plain.blending = None
    expected = plain.estimate(*known)

    def missing(*_args):
        raise PoseNetError("scene folder not found: x")

    monkeypatch.setattr("posenet.localization.localizer.load_or_build_gallery", missing)
    localizer = Localizer(run, tta_views=1)
    assert refusal(Localizer(run, refine=True).estimate, *known) == "scene folder not found: x"
    for _ in range(2):  # the scene is looked for once
        found = localizer.estimate(*known)
        np.testing.assert_array_equal(found.poses.positions, expected.poses.positions)
    assert (
        caplog.text.count(
            "poses are not blended with those of similar training images: scene folder not found: x"
        )
        == 1  # the other localizer refuses before
    )
    assert caplog.text.count("poses are not refined: scene folder not found: x") == 1


def test_only_finite_poses_with_a_rotation_are_valid():
    outputs = {
        "position": np.array([[1.0, 2, 3], [np.nan, 0, 0], [0, 0, 0]]),
        "quaternion": np.zeros((3, 4)),
    }
    outputs["quaternion"][:2, 0] = 2.0
    poses, found = valid_poses(outputs)
    assert found.tolist() == [True, False, False]
    np.testing.assert_allclose(poses.positions[0], [1, 2, 3])
    np.testing.assert_allclose(poses.quaternions_wxyz[0], [1, 0, 0, 0])


def test_an_image_on_its_side_is_predicted_rotated_too(plane_trained, tmp_path, monkeypatch):
    run = open_run(plane_trained[0])
    assert run.single_camera
    path = tmp_path / "side.png"
    cv2.imwrite(str(path), np.rot90(cv2.imread(str(run.open_scene().paths[0]))))
    camera, asked = run.camera.rotate90(), []

    def predict(_network, images, cameras, *_args, **_options):
        asked.append([(each.width, each.height) for each in cameras])
        number = len(asked)
        return {
            "position": np.full((1, 3), float(number)),
            "quaternion": np.array([[1.0, 0, 0, 0]]),
            "spread_deg": np.array([[5.0, 1.0, 4.0][number - 1]]),
            "pooled": np.ones((1, 7)),
        }

    monkeypatch.setattr("posenet.localization.localizer.predict_with_tta", predict)
    known = load_images([path], run.crop.resized), [path], [camera], np.zeros(1)
    localizer = Localizer(run, refine=False)
    localizer.blending = None
    answers = localizer.estimate(*known)
    assert asked == [[(240, 320)], [(320, 240)], [(320, 240)]]
    np.testing.assert_array_equal(answers.poses.positions, [[2, 2, 2]])
    assert answers.rotation_spread_deg.tolist() == [1]


@pytest.mark.parametrize(
    ("views", "refines", "expected"),
    [(None, False, 11), (None, True, 3), (11, True, 11), (1, False, 1)],
)
def test_fewer_views_are_predicted_by_default_when_poses_are_refined(
    trained, views, refines, expected
):
    localizer = Localizer(open_run(trained), tta_views=views)
    localizer.refines = refines
    assert localizer.tta_views == expected
