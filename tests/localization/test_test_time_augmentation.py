"""Test-time augmentation of a network that measures the rotation from two dots exactly."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.localization import test_time_augmentation as views
from posenet.localization.test_time_augmentation import predict_with_tta

pytestmark = pytest.mark.slow

CAMERA = Camera(200, 160, 220.0, 220.0, 100.0, 80.0)
CROP = Crop((160, 200), (160, 200))
STARS = {0: np.array([0.1, 0.05, 1.0]), 2: np.array([-0.12, -0.08, 1.0])}  # far away: red and blue


def sky(rotation: Rotation, camera: Camera = CAMERA) -> np.ndarray:
    """Return what a camera with this rotation sees of the two stars."""
    image = np.zeros((160, 200, 3), np.uint8)
    for channel, star in STARS.items():
        x, y, z = camera.matrix @ rotation.inv().apply(star)
        ys, xs = np.mgrid[:160, :200] + 0.5
        image[..., channel] = 255 * np.exp(-((xs - x / z) ** 2 + (ys - y / z) ** 2) / 18)
    return image


class Counting:
    """Notes the sizes of the batches that a network predicts; positions are numbered."""

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, images):
        """Return the mean of the red channel as position x, and as another output."""
        self.batches.append(len(images))
        red = images[..., 0].mean(axis=(1, 2))
        positions = np.stack([red, 0 * red, 0 * red], axis=1)
        return {
            "position": positions,
            "quaternion": np.tile([1.0, 0, 0, 0], (len(images), 1)),
            "pooled": red[:, None],
        }


@pytest.mark.parametrize(
    ("count", "tta_views", "batches"),
    [
        (1, 3, [3]),
        (2, 11, [22]),
        (4, 11, [32, 32]),  # 44 views; the last batch is filled up
        (33, 1, [32, 32]),
        (33, 2, [32, 32, 32]),
    ],
)
def test_views_of_few_images_are_one_batch(count, tta_views, batches):
    # Uniform images look the same in every view.
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 160, 200, 3))
    network = Counting()
    outputs = predict_with_tta(
        network, images.astype(np.uint8), [CAMERA] * count, CROP, tta_views=tta_views
    )
    assert network.batches == batches
    np.testing.assert_allclose(outputs["position"][:, 0], np.arange(count), atol=1e-4)
    np.testing.assert_allclose(outputs["pooled"][:, 0], np.arange(count), atol=1e-4)


class StarReader:
    """Predicts the rotation from the stars; the position is 1, 2, 3 plus a bias."""

    def __init__(self, bias=0.0):
        self.bias = bias

    def predict_on_batch(self, images):
        found = []
        for image in images:
            rays = []
            for channel in STARS:
                weights = image[..., channel] / image[..., channel].sum()
                ys, xs = np.mgrid[:160, :200] + 0.5
                rays.append(
                    [((weights * xs).sum() - 100) / 220, ((weights * ys).sum() - 80) / 220, 1.0]
                )
            rays = np.array(rays) / np.linalg.norm(rays, axis=1, keepdims=True)
            stars = np.array(list(STARS.values()))
            found.append(
                Rotation.align_vectors(stars / np.linalg.norm(stars, axis=1, keepdims=True), rays)[
                    0
                ]
            )
        quaternions = Rotation.concatenate(found).as_quat(scalar_first=True)
        positions = np.array([1.0, 2, 3]) + self.bias * quaternions[:, 1:]
        return {"position": positions, "quaternion": quaternions}


ROTATIONS = [Rotation.from_rotvec(v) for v in ([0, 0, 0], [0.02, -0.03, 0.2], [0.03, 0.05, -0.1])]


def test_every_view_rotated_back_gives_the_same_rotation():
    images = np.stack([sky(rotation) for rotation in ROTATIONS])
    outputs = predict_with_tta(StarReader(), images, [CAMERA] * 3, CROP, tta_views=11)
    found = Rotation.from_quat(outputs["quaternion"], scalar_first=True)
    assert np.degrees((found.inv() * Rotation.concatenate(ROTATIONS)).magnitude()).max() < 0.1
    assert outputs["spread_deg"].max() < 0.3
    np.testing.assert_allclose(outputs["position"], [[1, 2, 3]] * 3)


def test_spread_is_the_mean_angle_to_the_mean_rotation():
    turns = Rotation.from_euler("z", [[10.0], [-10.0]], degrees=True).as_quat(scalar_first=True)
    blind = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])  # one of two views has no rotation
    averaged = views._average(np.zeros((2, 2, 3)), np.stack([turns, blind], axis=1))
    np.testing.assert_allclose(averaged["spread_deg"], [10, np.inf])
    np.testing.assert_allclose(np.abs(averaged["quaternion"]), [[1, 0, 0, 0]] * 2, atol=1e-12)


def test_views_that_disagree_are_averaged():
    images = np.stack([sky(rotation) for rotation in ROTATIONS])
    one, many = (
        predict_with_tta(StarReader(1.0), images, [CAMERA] * 3, CROP, tta_views=count)
        for count in (1, 5)
    )
    # the five turns cancel, and so do their biases
    np.testing.assert_allclose(many["position"], one["position"], atol=2e-3)


def test_without_intrinsics_views_only_roll():
    images = np.stack([cv2.GaussianBlur(sky(rotation), (3, 3), 0) for rotation in ROTATIONS])
    outputs = predict_with_tta(StarReader(), images, [None] * 3, CROP, tta_views=7)
    found = Rotation.from_quat(outputs["quaternion"], scalar_first=True)
    # rolls about the image's middle, which is the camera's axis here, are exact
    assert np.degrees((found.inv() * Rotation.concatenate(ROTATIONS)).magnitude()).max() < 0.3


def test_outputs_without_a_rotation_stay_invalid():
    class Broken:
        def predict_on_batch(self, images):
            return {
                "position": np.full((len(images), 3), np.nan),
                "quaternion": np.zeros((len(images), 4)),
            }

    outputs = predict_with_tta(
        Broken(), np.zeros((2, 160, 200, 3), np.uint8), [CAMERA, None], CROP, tta_views=3
    )
    assert np.isnan(outputs["position"]).all()
    assert (outputs["quaternion"] == 0).all()


@pytest.mark.parametrize("count", [0, 12])
def test_the_number_of_views_is_checked(count):
    with pytest.raises(PoseNetError, match=f"--tta-views must be from 1 to 11, received {count}"):
        predict_with_tta(
            StarReader(), np.zeros((1, 160, 200, 3), np.uint8), [None], CROP, tta_views=count
        )


def test_images_of_another_camera_are_warped_to_the_reference_camera():
    longer = Camera(200, 160, 264.0, 264.0, 104.0, 78.0)
    images = np.stack([sky(rotation, longer) for rotation in ROTATIONS])
    for reference_camera, most in ((CAMERA, 0.15), (None, 90.0)):
        outputs = predict_with_tta(
            StarReader(), images, [longer] * 3, CROP, tta_views=1, reference_camera=reference_camera
        )
        found = Rotation.from_quat(outputs["quaternion"], scalar_first=True)
        errors = np.degrees((found.inv() * Rotation.concatenate(ROTATIONS)).magnitude())
        assert errors.max() < most
    assert errors.max() > 0.5  # unwarped images of the other camera mislead the network
    unknown = predict_with_tta(
        StarReader(), images, [None] * 3, CROP, tta_views=1, reference_camera=CAMERA
    )
    plain = predict_with_tta(StarReader(), images, [None] * 3, CROP, tta_views=1)
    np.testing.assert_allclose(unknown["quaternion"], plain["quaternion"])
    upright = Camera(
        160, 200, 220.0, 220.0, 80.0, 100.0
    )  # the same camera; stored, 1.25 times as large
    images = np.stack(
        [sky(rotation, Camera(200, 160, 275.0, 275.0, 100.0, 80.0)) for rotation in ROTATIONS]
    )
    outputs = predict_with_tta(
        StarReader(), images, [upright] * 3, CROP, tta_views=1, reference_camera=CAMERA
    )
    found = Rotation.from_quat(outputs["quaternion"], scalar_first=True)
    assert np.degrees((found.inv() * Rotation.concatenate(ROTATIONS)).magnitude()).max() < 0.15
