import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.augmentation import NO_AUGMENTATION, Augmentation, Augmenter, turning_homography
from posenet.framing import Framing
from posenet.scene import Camera

CAMERA = Camera(160, 120, 130.0, 130.0, 80.0, 60.0)
FRAMING = Framing((120, 160), (96, 128))


def picture_of(points, rotation, camera, size):
    """Dots at infinity, drawn where K R^T x projects them: an independent little camera."""
    rays = rotation.inv().apply(points)
    pixels = rays @ camera.matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    image = np.zeros(size)
    for x, y in pixels:
        image += 200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 3.0**2))
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2), pixels


@pytest.mark.parametrize("seed", range(6))
def test_a_turned_view_is_what_the_turned_camera_sees(seed):
    # Far dots, seen by the first camera; the augmented view must equal a picture drawn at the returned pose.
    points = np.array([[0, 0, 1], [0.2, 0.1, 1], [-0.25, 0.15, 1], [0.15, -0.2, 1.0]])
    before = Rotation.from_rotvec([0.1, -0.2, 0.3])
    world_points = before.apply(points)
    image, _ = picture_of(world_points, before, CAMERA, (120, 160))
    augmenter = Augmenter(FRAMING, Augmentation(turn_deg=(4, 4, 15), contrast=0, brightness=0, colour=0))
    view, turn = augmenter.view(image, CAMERA, np.random.default_rng(seed))
    cut_camera = Camera(128, 96, 130.0, 130.0, 80.0 - 16, 60.0 - 12)
    expected, _ = picture_of(world_points, before * turn, cut_camera, (96, 128))
    assert expected.max() > 190  # the dots are in the picture
    assert np.abs(view.astype(float) - expected).max() < 10  # of 200: bilinear softening only


def test_homography_of_no_turn_is_the_shift_of_the_cut():
    cut = CAMERA.matrix - [[0, 0, 16], [0, 0, 12], [0, 0, 0]]
    homography = turning_homography(CAMERA.matrix, cut, Rotation.identity())
    np.testing.assert_allclose(homography / homography[2, 2], [[1, 0, 16], [0, 1, 12], [0, 0, 1]], atol=1e-9)


def test_without_augmentation_the_view_is_the_middle_cut():
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    view, turn = Augmenter(FRAMING, NO_AUGMENTATION).view(image, CAMERA, np.random.default_rng(1))
    np.testing.assert_array_equal(view, FRAMING.middle(image))
    assert turn.magnitude() == 0


def test_without_intrinsics_the_camera_only_rolls():
    image = np.zeros((120, 160, 3), np.uint8)
    augmenter = Augmenter(FRAMING, Augmentation())
    rng = np.random.default_rng(0)
    turns = [augmenter.view(image, None, rng)[1].as_rotvec() for _ in range(20)]
    np.testing.assert_allclose(np.array(turns)[:, :2], 0, atol=1e-12)
    assert np.abs(np.degrees(turns)).max() > 5


def test_rolling_without_intrinsics_turns_the_picture_about_its_middle():
    # The dot right of the middle; a camera that rolls by +a sees it turned by -a.
    image = np.zeros((120, 160, 3), np.uint8)
    cv2.circle(image, (119, 60), 3, (255, 255, 255), -1)
    augmenter = Augmenter(FRAMING, Augmentation((0, 0, 40), 0, 0, 0, 0))
    view, turn = augmenter.view(image, None, np.random.default_rng(3))
    ys, xs = np.nonzero(view[..., 0] > 128)
    angle = np.arctan2(ys.mean() + 0.5 - 48, xs.mean() + 0.5 - 64)
    assert abs(turn.as_rotvec()[2]) > 0.1
    assert angle == pytest.approx(-turn.as_rotvec()[2] + np.arctan2(0.5, 39.5), abs=0.02)


def test_colour_changes_are_bounded_and_move_no_pixel():
    image = np.full((120, 160, 3), 128, np.uint8)
    augmenter = Augmenter(FRAMING, Augmentation((0, 0, 0), 0, 0.3, 30.0, 0.15))
    values = [augmenter.view(image, CAMERA, np.random.default_rng(s))[0] for s in range(20)]
    for value in values:
        assert (value == value[0, 0]).all()
        assert (np.abs(value[0, 0] - 128.0) <= 30 + 0.15 * 128 + 1).all()
    assert len({tuple(value[0, 0]) for value in values}) > 15
