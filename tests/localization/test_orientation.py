"""Rotated images. The network here sees the rotation in a red patch; without one, views disagree."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import project
from posenet.io.image_cache import load_images
from posenet.localization.orientation import has_other_orientation, resolve_orientation

CAMERA = Camera(200, 160, 220.0, 210.0, 90.0, 85.0)
STORED = (40, 50)
CALLS: list[list[Camera]] = []  # the cameras of each call of `predict`
TRUE = Rotation.from_euler("zyx", [10, 20, 30], degrees=True)


def predict(images, cameras):
    """Predict the true rotation with a small spread if the upper left quarter is red."""
    CALLS.append(list(cameras))
    shown = images[np.arange(len(images))].astype(int)
    red = shown[:, 5:15, 5:15, 0].mean(axis=(1, 2)) > 128
    quaternions = np.where(red[:, None], TRUE.as_quat(scalar_first=True), [1.0, 0, 0, 0])
    return {
        "position": np.where(red[:, None], [1.0, 2, 3], 0.0),
        "quaternion": quaternions,
        "spread_deg": np.where(red, 1.0, 20.0),
    }


def written(folder, turns):
    """Write landscape images with a red upper left corner, rotated by quarter turns."""
    image = np.zeros((160, 200, 3), np.uint8)
    image[:80, :100, 2] = 255  # red in OpenCV's order
    paths = [folder / f"{row}.png" for row in range(len(turns))]
    for path, count in zip(paths, turns, strict=True):
        cv2.imwrite(str(path), np.rot90(image, count))
    return paths, [CAMERA.rotate90(count) for count in turns]


def test_images_rotated_either_way_are_recognized(tmp_path, caplog):
    caplog.set_level("INFO")
    turns = [0, 1, 3]
    paths, cameras = written(tmp_path, turns)
    outputs = predict(load_images(paths, STORED), cameras)
    assert outputs["spread_deg"].tolist()[1] == 20
    CALLS.clear()
    best = resolve_orientation(
        outputs, paths, cameras, reference_camera=CAMERA, size=STORED, predict=predict
    )
    # of an image turned once, three turns more make what it was; the other is upside down then
    assert [[CAMERA.rotate90(2), CAMERA], [CAMERA, CAMERA.rotate90(2)]] == CALLS
    np.testing.assert_allclose(best["position"], [[1, 2, 3]] * 3)
    np.testing.assert_allclose(best["spread_deg"], 1)
    for count, each in zip(turns, best["quaternion"], strict=True):
        # By hand: the x axis of the camera after one quarter turn is the old y axis.
        expected = TRUE * Rotation.from_euler("z", 90 * count, degrees=True)
        assert (
            np.degrees((Rotation.from_quat(each, scalar_first=True).inv() * expected).magnitude())
            < 1e-6
        )
    np.testing.assert_allclose(
        Rotation.from_quat(best["quaternion"][1], scalar_first=True).apply([1.0, 0, 0]),
        TRUE.apply([0, 1.0, 0]),
    )
    assert "2 of 3 images appear to be rotated by 90 degrees" in caplog.text


def test_a_tall_image_of_an_upright_place_stays(tmp_path):
    image = np.zeros((200, 160, 3), np.uint8)
    image[40:120, :80, 2] = 255  # the upper left of what a wide cut shows
    cv2.imwrite(str(tmp_path / "tall.png"), image)
    paths, cameras = [tmp_path / "tall.png"], [Camera(160, 200, 220, 220, 80, 100)]
    outputs = predict(load_images(paths, STORED), cameras)
    assert outputs["spread_deg"][0] == 1
    best = resolve_orientation(
        outputs, paths, cameras, reference_camera=CAMERA, size=STORED, predict=predict
    )
    np.testing.assert_array_equal(best["quaternion"], outputs["quaternion"])


def test_other_images_are_not_even_read():
    outputs = {"quaternion": np.array([[1.0, 0, 0, 0]] * 2), "spread_deg": np.array([30.0, 30])}
    best = resolve_orientation(
        outputs,
        ["missing", "missing"],
        [CAMERA, None],
        reference_camera=CAMERA,
        size=STORED,
        predict=None,
    )
    np.testing.assert_array_equal(best["quaternion"], outputs["quaternion"])


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 200), True), ((200, 100), False), ((150, 150), False)]
)
def test_held_otherwise_is_tall_beside_wide(size, expected):
    assert has_other_orientation(Camera(*size, 200, 200, 50, 50), CAMERA) == expected


def test_a_turned_camera_sees_the_same_rays():
    turned = CAMERA.rotate90()
    assert (turned.width, turned.height) == (160, 200)
    point = np.array([0.2, -0.1, 1.0])
    x, y, _ = CAMERA.matrix @ point
    seen = turned.matrix @ Rotation.from_euler("z", 90, degrees=True).inv().apply(point)
    np.testing.assert_allclose(seen, [y, 200 - x, 1])  # where np.rot90 puts the pixel
    assert CAMERA.rotate90(4) == CAMERA


@pytest.mark.parametrize(
    "distortion", [(0.1, -0.05, 0.02, -0.03), (0.2, -0.1, 0.01, 0.02, 0.05, 0.0, 0.0, 0.0)]
)
def test_a_rotated_camera_distorts_alike(distortion):
    camera = replace(
        CAMERA, model="OPENCV" if len(distortion) == 4 else "FULL_OPENCV", distortion=distortion
    )
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (9, 3)) + (0, 0, 1.2)
    before = project(camera, points)
    turned = Rotation.from_euler("z", 90, degrees=True).inv().apply(points)
    after = project(camera.rotate90(), turned)
    np.testing.assert_allclose(
        after, np.column_stack([before[:, 1], 200 - before[:, 0]]), atol=1e-9
    )
    assert camera.rotate90(4) == camera


def test_a_slightly_smaller_spread_or_no_rotation_is_not_accepted(tmp_path):
    paths, cameras = written(tmp_path, [1, 3])

    def with_spread(spread, quaternion):
        return lambda images, _: {
            "quaternion": np.tile(quaternion, (2, 1)),
            "spread_deg": np.full(2, spread),
        }

    upright = with_spread(3.1, [1.0, 0, 0, 0])(None, None)
    for predict_rotated in (
        with_spread(1.6, [0, 1.0, 0, 0]),
        with_spread(0.0, [0.0, 0, 0, 0]),
        with_spread(0.0, [np.nan, 0, 0, 0]),
    ):
        best = resolve_orientation(
            upright, paths, cameras, reference_camera=CAMERA, size=STORED, predict=predict_rotated
        )
        np.testing.assert_array_equal(best["quaternion"], upright["quaternion"])
    failed = {"quaternion": np.zeros((2, 4)), "spread_deg": np.zeros(2)}
    best = resolve_orientation(
        failed,
        paths,
        cameras,
        reference_camera=CAMERA,
        size=STORED,
        predict=with_spread(3.0, [0, 1.0, 0, 0]),
    )
    np.testing.assert_allclose(best["spread_deg"], 3)
