"""Pictures on their side. The network here reads the rotation off a red patch, and is unsure where it sees none."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.cache import load_pictures
from posenet.scene import Camera
from posenet.way_up import best_way_up, held_otherwise

CAMERA = Camera(200, 160, 220.0, 210.0, 90.0, 85.0)
STORED = (40, 50)
TRUE = Rotation.from_euler("zyx", [10, 20, 30], degrees=True)


def ask(pictures, cameras):
    """Sure of the true rotation where the upper left quarter is red, else sure of nothing."""
    assert all((each.width, each.height) == (200, 160) or not each.width > each.height for each in cameras)
    shown = pictures[np.arange(len(pictures))].astype(int)
    red = shown[:, 5:15, 5:15, 0].mean(axis=(1, 2)) > 128
    quaternions = np.where(red[:, None], TRUE.as_quat(scalar_first=True), [1.0, 0, 0, 0])
    return {
        "position": np.where(red[:, None], [1.0, 2, 3], 0.0), "quaternion": quaternions,
        "spread_deg": np.where(red, 1.0, 20.0),
    }  # fmt: skip


def written(folder, turns):
    """The wide picture with a red upper left corner, as it is or turned by right angles counter-clockwise."""
    picture = np.zeros((160, 200, 3), np.uint8)
    picture[:80, :100, 2] = 255  # red in OpenCV's order
    paths = [folder / f"{row}.png" for row in range(len(turns))]
    for path, count in zip(paths, turns, strict=True):
        cv2.imwrite(str(path), np.rot90(picture, count))
    return paths, [CAMERA.quarter_turned(count) for count in turns]


def test_pictures_on_either_side_are_found(tmp_path, caplog):
    caplog.set_level("INFO")
    turns = [0, 1, 3]
    paths, cameras = written(tmp_path, turns)
    outputs = ask(load_pictures(paths, STORED), cameras)
    assert outputs["spread_deg"].tolist()[1] == 20
    best = best_way_up(outputs, paths, cameras, CAMERA, STORED, ask)
    np.testing.assert_allclose(best["position"], [[1, 2, 3]] * 3)
    np.testing.assert_allclose(best["spread_deg"], 1)
    for count, each in zip(turns, best["quaternion"], strict=True):
        # an axis of the turned camera, by hand: turned once counter-clockwise, its x axis is the old y axis
        expected = TRUE * Rotation.from_euler("z", 90 * count, degrees=True)
        assert np.degrees((Rotation.from_quat(each, scalar_first=True).inv() * expected).magnitude()) < 1e-6
    np.testing.assert_allclose(
        Rotation.from_quat(best["quaternion"][1], scalar_first=True).apply([1.0, 0, 0]), TRUE.apply([0, 1.0, 0])
    )
    assert "2 of 3 pictures seem to lie on their side" in caplog.text


def test_a_tall_picture_of_an_upright_place_stays(tmp_path):
    picture = np.zeros((200, 160, 3), np.uint8)
    picture[40:120, :80, 2] = 255  # the upper left of what a wide cut shows
    cv2.imwrite(str(tmp_path / "tall.png"), picture)
    paths, cameras = [tmp_path / "tall.png"], [Camera(160, 200, 220, 220, 80, 100)]
    outputs = ask(load_pictures(paths, STORED), cameras)
    assert outputs["spread_deg"][0] == 1
    best = best_way_up(outputs, paths, cameras, CAMERA, STORED, ask)
    np.testing.assert_array_equal(best["quaternion"], outputs["quaternion"])


def test_other_pictures_are_not_even_read():
    outputs = {"quaternion": np.array([[1.0, 0, 0, 0]] * 2), "spread_deg": np.array([30.0, 30])}
    best = best_way_up(outputs, ["missing", "missing"], [CAMERA, None], CAMERA, STORED, None)
    np.testing.assert_array_equal(best["quaternion"], outputs["quaternion"])


@pytest.mark.parametrize(("size", "expected"), [((100, 200), True), ((200, 100), False), ((150, 150), False)])
def test_held_otherwise_is_tall_beside_wide(size, expected):
    assert held_otherwise(Camera(*size, 200, 200, 50, 50), CAMERA) == expected


def test_a_turned_camera_sees_the_same_rays():
    turned = CAMERA.quarter_turned()
    assert (turned.width, turned.height) == (160, 200)
    point = np.array([0.2, -0.1, 1.0])
    x, y, _ = CAMERA.matrix @ point
    seen = turned.matrix @ Rotation.from_euler("z", 90, degrees=True).inv().apply(point)
    np.testing.assert_allclose(seen, [y, 200 - x, 1])  # where np.rot90 puts the pixel
    assert CAMERA.quarter_turned(4) == CAMERA
