"""Packed arrays of a landmark map, and how exact they are."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.mapping.landmark_arrays import (
    Cameras,
    PackedDescriptors,
    PackedPoints,
    PackedRays,
    encode_descriptors,
    encode_distances,
    encode_rays,
    image_of,
)
from posenet.mapping.matching import root_sift


def test_descriptors_take_four_bits_of_the_square_root():
    descriptors = np.zeros((1, 128), np.uint8)
    descriptors[0, :4] = 255, 1, 64, 20
    encoded = encode_descriptors(descriptors)
    # sqrt(255 / 255) * 15 = 15, sqrt(1 / 255) * 15 = 0.94, sqrt(64 / 255) * 15 = 7.5, and
    # sqrt(20 / 255) * 15 = 4.2; the first of two values is in the lower 4 bits.
    assert encoded.shape == (1, 64)
    assert encoded[0, :3].tolist() == [15 + 16 * 1, 8 + 16 * 4, 0]
    read = PackedDescriptors(encoded)[:]
    # 255 * (code / 15)^2
    assert read[0, :5].tolist() == [255, 1, 73, 18, 0]
    np.testing.assert_array_equal(encode_descriptors(read), encoded)  # encoding again loses nothing


def test_packed_descriptors_resemble_themselves():
    rng = np.random.default_rng(0)
    values = rng.exponential(1, (500, 128)) * (rng.random((500, 128)) < 0.6)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    descriptors = np.minimum(512 * values / norms, 255).astype(np.uint8)  # as SIFT scales them
    read = PackedDescriptors(encode_descriptors(descriptors))
    errors = np.linalg.norm(root_sift(read[:]) - root_sift(descriptors), axis=1)
    assert errors.max() < 0.08  # matching descriptors of two images differ by 0.2 to 0.5
    assert read.nbytes == 500 * 64


def packed_scene(far=0.0):
    """Two images and one without points: rays, distances, and packed points."""
    rng = np.random.default_rng(1)
    counts = (40, 0, 60)
    starts = np.concatenate([[0], np.cumsum(counts)])
    rotations = Rotation.random(3, rng=rng)
    positions = rng.normal(size=(3, 3))
    rays, distances, parts = [], [], []
    for count in counts:
        rays.append(rng.uniform(-0.6, 0.6, (count, 2)))
        distances.append(np.exp(rng.uniform(-2, 6, count)))
        parts.append((*encode_rays(rays[-1]), *encode_distances(distances[-1])))
    codes, scales, distance_codes, ranges = zip(*parts, strict=True)
    packed_rays = PackedRays(np.concatenate(codes), starts, np.array(scales))
    cameras = Cameras(positions, rotations.as_quat(scalar_first=True), np.array(ranges))
    points = PackedPoints(np.concatenate(distance_codes), packed_rays, cameras)
    images = np.repeat(np.arange(3), counts)
    rays = np.concatenate(rays)
    local = np.column_stack([rays, np.ones(100)])
    local *= (np.concatenate(distances) / np.linalg.norm(local, axis=1))[:, None]
    exact = positions[images] + rotations[images].apply(local)
    return rays, exact, np.concatenate(distances), packed_rays, points


def test_points_and_rays_are_exact_to_hundredths_of_a_percent():
    rays, exact, distances, packed_rays, points = packed_scene()
    np.testing.assert_allclose(packed_rays[:], rays, atol=0.6 / 2**16 * 1.01)
    errors = np.linalg.norm(points[:] - exact, axis=1) / distances
    assert errors.max() < 1e-4  # exp(8 / 65535 / 2) - 1 = 6e-5 along the ray
    assert points[:].dtype == np.float64


@pytest.mark.parametrize(
    "key", [slice(3, 9), slice(None, None, 7), slice(50, 200), np.array([99, 0, 41]), np.int64(7)]
)
def test_rows_are_those_of_the_whole_array(key):
    _, _, _, rays, points = packed_scene()
    for packed in (rays, points):
        np.testing.assert_allclose(packed[key], np.asarray(packed)[key], rtol=1e-12)
    assert len(points) == 100


def test_rows_belong_to_images_that_have_some():
    starts = np.array([0, 2, 2, 5])
    assert image_of(np.arange(5), starts).tolist() == [0, 0, 2, 2, 2]


def test_no_points_and_equal_distances_are_encoded():
    codes, ends = encode_distances(np.zeros(0))
    assert (codes.shape, ends) == ((0,), (0.0, 0.0))
    codes, ends = encode_distances(np.full(3, np.e))
    assert codes.tolist() == [0, 0, 0]
    np.testing.assert_allclose(ends, (1.0, 1.0))
    assert encode_rays(np.zeros((0, 2)))[0].shape == (0, 2)
