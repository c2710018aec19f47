import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.warping import rotation_homography
from posenet.training.augmentation import NO_AUGMENTATION, Augmentation, Augmenter
from tests.helpers.planes import CAMERA as PLANE_CAMERA
from tests.helpers.planes import image_of_plane, painting, towards_plane

pytestmark = pytest.mark.slow

CAMERA = Camera(160, 120, 130.0, 130.0, 80.0, 60.0)
CROP = Crop((120, 160), (96, 128))


def image_of(points, rotation, camera, size):
    """Draw dots at infinity where K R^T x projects them: an independent camera."""
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
    # Far dots, seen by the first camera; the augmented view must equal an image drawn at the
    # returned pose.
    points = np.array([[0, 0, 1], [0.2, 0.1, 1], [-0.25, 0.15, 1], [0.15, -0.2, 1.0]])
    before = Rotation.from_rotvec([0.1, -0.2, 0.3])
    world_points = before.apply(points)
    image, _ = image_of(world_points, before, CAMERA, (120, 160))
    augmenter = Augmenter(
        CROP, Augmentation(rotation_deg=(4, 4, 15), contrast=0, brightness=0, color=0)
    )
    view, turn, *_ = augmenter.view(image, CAMERA, np.random.default_rng(seed))
    cut_camera = Camera(128, 96, 130.0, 130.0, 80.0 - 16, 60.0 - 12)
    expected, _ = image_of(world_points, before * turn, cut_camera, (96, 128))
    assert expected.max() > 190  # the dots are in the image
    assert np.abs(view.astype(float) - expected).max() < 10  # of 200: bilinear softening only


def test_homography_of_no_turn_is_the_shift_of_the_cut():
    cut = CAMERA.matrix - [[0, 0, 16], [0, 0, 12], [0, 0, 0]]
    homography = rotation_homography(CAMERA.matrix, cut, Rotation.identity())
    np.testing.assert_allclose(
        homography / homography[2, 2], [[1, 0, 16], [0, 1, 12], [0, 0, 1]], atol=1e-9
    )


def test_without_augmentation_the_view_is_the_middle_cut():
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    view, turn, move, _ = Augmenter(CROP, NO_AUGMENTATION).view(
        image, CAMERA, np.random.default_rng(1)
    )
    np.testing.assert_array_equal(view, CROP.center(image))
    assert turn.magnitude() == 0
    assert (move == 0).all()


def test_without_intrinsics_the_camera_only_rolls():
    image = np.zeros((120, 160, 3), np.uint8)
    augmenter = Augmenter(CROP, Augmentation())
    rng = np.random.default_rng(0)
    turns = [augmenter.view(image, None, rng)[1].as_rotvec() for _ in range(20)]
    np.testing.assert_allclose(np.array(turns)[:, :2], 0, atol=1e-12)
    assert np.abs(np.degrees(turns)).max() > 5


def test_rolling_without_intrinsics_turns_the_image_about_its_middle():
    # The dot right of the middle; a camera that rolls by +a sees it turned by -a.
    image = np.zeros((120, 160, 3), np.uint8)
    cv2.circle(image, (119, 60), 3, (255, 255, 255), -1)
    augmenter = Augmenter(CROP, Augmentation((0, 0, 40), 0, 0, 0, 0, 0))
    view, turn, *_ = augmenter.view(image, None, np.random.default_rng(3))
    ys, xs = np.nonzero(view[..., 0] > 128)
    angle = np.arctan2(ys.mean() + 0.5 - 48, xs.mean() + 0.5 - 64)
    assert abs(turn.as_rotvec()[2]) > 0.1
    assert angle == pytest.approx(-turn.as_rotvec()[2] + np.arctan2(0.5, 39.5), abs=0.02)


def test_color_changes_are_bounded_and_move_no_pixel():
    image = np.full((120, 160, 3), 128, np.uint8)
    augmenter = Augmenter(CROP, Augmentation((0, 0, 0), 0, 0, 0.3, 30.0, 0.15))
    values = [augmenter.view(image, CAMERA, np.random.default_rng(s))[0] for s in range(20)]
    for value in values:
        assert (value == value[0, 0]).all()
        assert (np.abs(value[0, 0] - 128.0) <= 30 + 0.15 * 128 + 1).all()
    assert len({tuple(value[0, 0]) for value in values}) > 15


def plane_depth(position, rotation, shape=(13, 17)):
    """Return inverse depths of the painted plane z = 0 at the nodes, ray by ray."""
    xs, ys = np.meshgrid(np.linspace(0, 320, shape[1]), np.linspace(0, 240, shape[0]))
    rays = np.stack([(xs - 160) / 260, (ys - 120) / 260, np.ones_like(xs)], -1).reshape(-1, 3)
    return np.float32(rotation.apply(rays)[:, 2] / -position[2]).reshape(shape)


@pytest.mark.parametrize("seed", range(6))
def test_a_moved_view_is_what_the_moved_camera_sees(seed):
    # A painted plane, whose image from any pose is a homography: nothing of depth.py or
    # augmentation.py in it.
    rng, painted = np.random.default_rng(seed), painting()
    position, rotation = towards_plane(rng)
    crop = Crop((240, 320), (192, 256))
    augmenter = Augmenter(crop, Augmentation((3, 4, 8), 0.1, 0, 0, 0, 0))
    image, depth = (
        image_of_plane(painted, PLANE_CAMERA, position, rotation),
        plane_depth(position, rotation),
    )
    view, turn, move, _ = augmenter.view(image, PLANE_CAMERA, rng, depth)
    assert 0 < np.linalg.norm(move) <= 0.1 / np.median(depth)
    cut = Camera(256, 192, 260.0, 260.0, 160.0 - 32, 120.0 - 24)
    expected = image_of_plane(painted, cut, position + rotation.apply(move), rotation * turn)
    still = image_of_plane(painted, cut, position, rotation * turn)
    inner = (slice(48, -48), slice(64, -64))  # the rest may lie beyond the first image
    wrong, by_turning_alone = (
        np.abs(view.astype(float) - each)[inner].mean() for each in (expected, still)
    )
    assert wrong < 8  # softened edges of many small blots
    assert by_turning_alone > 3 * wrong


def test_the_camera_moves_only_where_depth_is_known():
    image = np.zeros((120, 160, 3), np.uint8)
    augmenter, rng = Augmenter(CROP, Augmentation()), np.random.default_rng(0)
    depth = np.full((13, 17), 0.5, np.float32)  # two meters
    distances = [np.linalg.norm(augmenter.view(image, CAMERA, rng, depth)[2]) for _ in range(200)]
    assert 0.15 < max(distances) <= 0.16  # 0.08 of the depth
    assert np.median(distances) == pytest.approx(
        0.16 * 0.5 ** (1 / 3), rel=0.1
    )  # evenly over the ball
    near = Augmenter(CROP, Augmentation(max_translation=0.1))
    distances = [np.linalg.norm(near.view(image, CAMERA, rng, depth)[2]) for _ in range(200)]
    assert 0.09 < max(distances) <= 0.1
    assert (augmenter.view(image, CAMERA, rng, None)[2] == 0).all()
    assert (augmenter.view(image, None, rng, depth)[2] == 0).all()
