from dataclasses import replace

import cv2
import numpy as np
import pytest

from posenet.geometry.camera import Camera
from posenet.mapping import keypoints
from posenet.mapping.keypoints import KeypointCache, detect, detect_in, detect_or_empty
from posenet.mapping.matching import match, root_sift
from tests.helpers.planes import CAMERA, image_of_plane, painting, plane_to_pixels, towards_plane

pytestmark = pytest.mark.slow


def test_matches_of_two_images_show_the_same_points():
    rng, image = np.random.default_rng(0), painting()
    poses = [towards_plane(rng) for _ in range(2)]
    first, second = (detect_in(image_of_plane(image, CAMERA, *pose), CAMERA, 500) for pose in poses)
    ours, theirs = match(root_sift(first.descriptors), root_sift(second.descriptors))
    assert len(ours) > 80
    assert len(set(theirs.tolist())) == len(theirs)
    places = []
    for found, rows, pose in ((first, ours, poses[0]), (second, theirs, poses[1])):
        pixels = np.column_stack([found.rays[rows], np.ones(len(rows))]) @ CAMERA.matrix.T
        on_plane = pixels @ np.linalg.inv(plane_to_pixels(CAMERA, *pose)).T
        places.append(on_plane[:, :2] / on_plane[:, 2:])
    assert (
        np.median(np.linalg.norm(places[0] - places[1], axis=1)) < 0.01
    )  # meters: about one pixel
    assert np.mean(np.linalg.norm(places[0] - places[1], axis=1) < 0.03) > 0.9


def test_keypoints_are_at_the_centers_of_blobs():
    rng = np.random.default_rng(0)
    # The center of the first pixel is at (0.5, 0.5).
    across, down = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    centers = [
        (40 * i + rng.uniform(15, 25), 40 * j + rng.uniform(15, 25))
        for i in range(8)
        for j in range(6)
    ]
    light = sum(
        np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * size**2))
        for (x, y), size in zip(centers, rng.uniform(2, 5, 48), strict=True)
    )
    gray = (40 + 180 * light).astype(np.uint8)
    found = detect_in(np.repeat(gray[..., None], 3, axis=2), CAMERA, 500)
    pixels = found.rays * CAMERA.fx + (CAMERA.cx, CAMERA.cy)
    offsets = pixels[:, None] - np.array(centers)
    nearest = offsets[np.arange(len(pixels)), np.linalg.norm(offsets, axis=2).argmin(axis=1)]
    near = nearest[np.linalg.norm(nearest, axis=1) < 2]
    assert len(near) > 40
    np.testing.assert_allclose(near.mean(axis=0), 0, atol=0.05)


def test_larger_image_is_scaled_and_has_the_same_rays():
    image = painting()
    pose = towards_plane(np.random.default_rng(1))
    large = CAMERA.resized(960, 720)
    scaled = detect_in(image_of_plane(image, large, *pose), large, 400, long_side=320)
    assert scaled.pixel == 1 / CAMERA.fx
    whole = detect_in(image_of_plane(image, CAMERA, *pose), CAMERA, 400, long_side=320)
    ours, theirs = match(root_sift(scaled.descriptors), root_sift(whole.descriptors))
    assert len(ours) > 150
    assert np.median(np.abs(scaled.rays[ours] - whole.rays[theirs])) < 0.2 * CAMERA.fx**-1


def test_rays_far_from_the_axis_are_dropped():
    # A field of view of 190 degrees.
    wide = Camera(320, 240, 60.0, 60.0, 160.0, 120.0, "OPENCV_FISHEYE", (0.0, 0.0, 0.0, 0.0))
    image = image_of_plane(painting(), CAMERA, *towards_plane(np.random.default_rng(2)))
    found = detect_in(image, wide, 2000)
    assert len(found) > 100
    angles = np.degrees(np.arctan(np.linalg.norm(found.rays, axis=1)))
    assert 60 < angles.max() < 79


def test_dark_image_has_as_many_keypoints_as_bright_one():
    bright = image_of_plane(painting(), CAMERA, *towards_plane(np.random.default_rng(3), 0.3))
    dark = (bright * 0.15).astype(np.uint8)
    whole, faint = (detect_in(each, CAMERA, 2000) for each in (bright, dark))
    assert len(faint) > 0.8 * len(whole)
    ours, theirs = match(root_sift(whole.descriptors), root_sift(faint.descriptors))
    same = np.linalg.norm(whole.rays[ours] - faint.rays[theirs], axis=1) < whole.pixel
    assert same.mean() > 0.95
    assert same.sum() > 0.6 * len(whole)


def test_no_keypoints_in_gray_image_or_with_unsupported_camera_model():
    gray = np.full((240, 320, 3), 90, np.uint8)
    assert len(detect_in(gray, CAMERA, 100)) == 0
    image = image_of_plane(painting(), CAMERA, *towards_plane(np.random.default_rng(2)))
    assert len(detect_in(image, Camera(320, 240, 260, 260, 160, 120, "EUCM", (0.6, 1.1)), 100)) == 0


def test_root_sift_by_hand():
    given = np.zeros((2, 128), np.uint8)
    given[0, :2] = 9, 16
    np.testing.assert_allclose(root_sift(given)[0, :3], [0.6, 0.8, 0])
    assert (root_sift(given)[1] == 0).all()


def test_ambiguous_and_one_sided_matches_are_dropped():
    axes = np.eye(128, dtype=np.float32)
    twice = np.stack([axes[0], axes[0], axes[1]])
    rows, columns = match(np.stack([axes[0], axes[1]]), twice)
    assert (rows.tolist(), columns.tolist()) == ([1], [2])
    both_want_one = match(
        np.stack([axes[0], 0.9 * axes[0] + 0.1 * axes[5]]), np.stack([axes[0], axes[7]])
    )
    assert both_want_one[0].tolist() == [0]
    assert len(match(axes[:1], axes)[0]) == 0


def test_no_keypoints_without_camera_or_in_damaged_file(tmp_path, caplog):
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert len(detect_or_empty(tmp_path / "broken.png", None, 100)) == 0
    assert not caplog.text
    assert len(detect_or_empty(tmp_path / "broken.png", CAMERA, 100)) == 0
    assert "broken.png: not a valid image (could not decode 8 bytes)" in caplog.text


def test_cached_keypoints_are_detected_once_for_any_camera(tmp_path, monkeypatch):
    image = image_of_plane(painting(), CAMERA, *towards_plane(np.random.default_rng(0)))
    path = tmp_path / "a.png"
    longer = replace(CAMERA, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)
    cv2.imwrite(str(path), image[..., ::-1])
    apart = detect(path, CAMERA, 200)
    reads = []
    monkeypatch.setattr(keypoints, "read_image", lambda path: reads.append(path) or image)
    cache = KeypointCache()
    first = detect(path, CAMERA, 200, cache=cache)
    second = detect(path, longer, 200, cache=cache)
    assert len(reads) == 1
    fewer = detect(path, CAMERA, 100, cache=cache)  # each entry is used only once
    assert len(reads) == 2
    np.testing.assert_array_equal(fewer.rays, first.rays[:100])  # the strongest
    detect(path, CAMERA, 200, cache=cache)  # the entry has all keypoints
    assert len(reads) == 2
    detect(path, CAMERA, 200)
    assert len(reads) == 3
    full = KeypointCache(capacity=0)
    detect(path, CAMERA, 200, cache=full)
    detect(path, CAMERA, 200, cache=full)
    assert len(reads) == 5
    np.testing.assert_array_equal(first.rays, apart.rays)
    np.testing.assert_array_equal(first.descriptors, second.descriptors)
    np.testing.assert_allclose(second.rays, first.rays / 2)
    assert second.pixel == first.pixel / 2
