import numpy as np
import pytest

from posenet.datasets.registry import open_scene
from posenet.geometry.cropping import Crop
from posenet.geometry.metrics import rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.mapping.depth import estimate_depths
from posenet.models.inference import predict_in_batches
from posenet.training.augmentation import NO_AUGMENTATION, Augmentation
from posenet.training.batches import TrainingBatches, default_batch_size
from tests.helpers.planes import CAMERA, plane_scene

pytestmark = pytest.mark.slow

CROP = Crop((48, 64), (32, 48))


@pytest.fixture
def loaded(cambridge):
    scene = open_scene(cambridge).split("train")
    return scene, load_images(scene.paths, CROP.resized)


def batches_of(loaded, augmentation=NO_AUGMENTATION, size=5, seed=0):
    return TrainingBatches(*loaded, CROP, augmentation, batch_size=size, seed=seed)


def test_without_augmentation_every_row_is_its_image_and_pose(loaded):
    scene, images = loaded
    middle = CROP.center(np.array(images.array))
    seen = []
    for batch, poses in batches_of(loaded).epoch(0):
        for image, position, quaternion in zip(
            batch, poses["position"], poses["quaternion"], strict=True
        ):
            (row,) = np.flatnonzero((middle == image).all(axis=(1, 2, 3)))
            seen.append(row)
            np.testing.assert_allclose(position, scene.poses.positions[row], rtol=1e-6)
            np.testing.assert_allclose(quaternion, scene.poses.quaternions_wxyz[row], atol=1e-6)
    assert len(seen) == len(set(seen)) == 10  # two batches of five of the twelve images


def test_augmentation_rotates_the_pose_and_keeps_the_position(loaded):
    scene, _ = loaded
    batches = batches_of(loaded, Augmentation(rotation_deg=(0, 0, 10)), 12)
    ((_, poses),) = list(batches.epoch(3))
    estimate = Poses.from_quaternions(poses["position"], poses["quaternion"])
    order = [
        np.argmin(np.linalg.norm(scene.poses.positions - p, axis=1)) for p in estimate.positions
    ]
    assert sorted(order) == list(range(12))
    errors = rotation_errors_deg(estimate, scene.poses[np.array(order)])
    assert errors.max() <= 10.001
    assert errors.max() > 2
    turn = scene.poses[np.array(order)].rotations.inv() * estimate.rotations
    np.testing.assert_allclose(
        turn.as_rotvec()[:, :2], 0, atol=1e-3
    )  # about the camera's own z axis


def test_epochs_depend_on_seed_and_number_alone(loaded):
    first = [images for images, _ in batches_of(loaded, Augmentation()).epoch(4)]
    again = [images for images, _ in batches_of(loaded, Augmentation()).epoch(4)]
    other = [images for images, _ in batches_of(loaded, Augmentation(), seed=1).epoch(4)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    with batches_of(loaded, Augmentation()).stream(first_epoch=4) as stream:
        np.testing.assert_array_equal(next(iter(stream))[0], first[0])


def test_fewer_images_than_a_batch_make_one(loaded):
    batches = batches_of(loaded, size=100)
    assert (batches.batch_size, batches.steps) == (12, 1)
    assert len(list(batches.epoch(0))) == 1


def test_prediction_keeps_order_and_number(loaded):
    _, images = loaded

    class MeanColor:
        def predict_on_batch(self, batch):
            assert batch.shape == (5, 32, 48, 3)
            return {"position": batch.mean(axis=(1, 2))}

    found = predict_in_batches(MeanColor(), images, CROP, batch_size=5)["position"]
    np.testing.assert_allclose(
        found, CROP.center(np.array(images.array)).mean(axis=(1, 2)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        (499, (192, 256), 16),
        (500, (192, 256), 32),
        (752, (128, 176), 32),
        (3000, (192, 336), 24),
        (900, (2048, 2048), 1),
    ],
)
def test_batches_are_smaller_for_small_scenes_and_large_images(images, size, expected):
    assert default_batch_size(images, size) == expected  # 32 * 192 * 256 / (192 * 336) = 24.4


def test_synthetic_views_move_the_position_and_keep_the_points(tmp_path):
    scene = plane_scene(tmp_path, 6)  # a painted plane at z = 0
    crop = Crop((240, 320), (192, 256))
    images = load_images(scene.paths, crop.resized)
    depths = estimate_depths(scene, crop)
    depths[5] = np.nan
    unmoved = TrainingBatches(scene, images, crop, NO_AUGMENTATION, batch_size=6, seed=0)
    batches = TrainingBatches(
        scene, images, crop, Augmentation(translation=0.1), batch_size=6, seed=0, depths=depths
    )
    assert batches.num_with_depth == 5
    ((_, truth),) = list(batches.epoch(0))
    ((_, original),) = list(unmoved.epoch(0))  # in the same order
    away = np.linalg.norm(original["position"][:, None] - scene.poses.positions[None], axis=2)
    rows = away.argmin(axis=1)
    assert sorted(rows) == list(range(6))
    assert away.min(axis=1) == pytest.approx(0, abs=1e-6)
    moved = np.linalg.norm(truth["position"] - original["position"], axis=1)
    assert moved[rows == 5] == pytest.approx(0, abs=1e-6)  # without depth it stays where it was
    assert ((moved[rows != 5] > 0.001) & (moved[rows != 5] < 0.26)).all()
    points = truth["scene_coordinates"][rows != 5]
    assert np.isnan(truth["scene_coordinates"][rows == 5]).all()
    assert np.isfinite(points[..., 0]).mean() > 0.5
    assert np.nanmedian(np.abs(points[..., 2])) < 0.05  # they lie on the plane
    poses = Poses.from_quaternions(truth["position"], truth["quaternion"])
    for row in range(6):
        back = (
            poses.rotations[row].apply(truth["camera_coordinates"][row].reshape(-1, 3))
            + poses.positions[row]
        )
        np.testing.assert_allclose(back, truth["scene_coordinates"][row].reshape(-1, 3), atol=1e-4)


def test_camera_coordinates_lie_on_the_rays_of_their_cells(tmp_path):
    scene = plane_scene(tmp_path, 6)
    crop = Crop((240, 320), (192, 256))
    batches = TrainingBatches(
        scene,
        load_images(scene.paths, crop.resized),
        crop,
        Augmentation(),
        batch_size=6,
        seed=0,
        depths=estimate_depths(scene, crop),
    )
    ((_, truth),) = list(batches.epoch(0))
    points = truth["camera_coordinates"]
    rows, columns = np.mgrid[:12, :16]
    # The crop begins 32 pixels from the left and 24 from the top.
    x = ((columns + 0.5) * 16 + 32 - CAMERA.cx) / CAMERA.fx
    y = ((rows + 0.5) * 16 + 24 - CAMERA.cy) / CAMERA.fy
    np.testing.assert_allclose(np.nanmedian(points[..., 0] / points[..., 2], axis=0), x, atol=0.01)
    np.testing.assert_allclose(np.nanmedian(points[..., 1] / points[..., 2], axis=0), y, atol=0.01)
