from dataclasses import replace

import numpy as np
import pytest

from posenet.datasets.scene import ScenePoints
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop, grid_shape
from posenet.mapping.depth import estimate_depths, fit_grid
from tests.helpers.planes import CAMERA, plane_scene

pytestmark = pytest.mark.slow

CROP = Crop((120, 160), (120, 160))


def true_inverse(scene, row, shape=(13, 17)):
    """Return 1 / depth of the plane z = 0 along the ray through each node."""
    xs, ys = np.meshgrid(np.linspace(0, 320, shape[1]), np.linspace(0, 240, shape[0]))
    rays = np.stack([(xs - 160) / 260, (ys - 120) / 260, np.ones_like(xs)], -1).reshape(-1, 3)
    down = scene.poses.rotations[row].apply(rays)[:, 2]
    return (down / -scene.poses.positions[row, 2]).reshape(shape)


def test_depth_of_textured_plane(tmp_path):
    scene = plane_scene(tmp_path, 12)
    grids = estimate_depths(scene, CROP)
    assert grids.shape == (12, 13, 17)
    assert np.isfinite(grids).all()
    for row in range(12):
        inner = (slice(1, -1), slice(1, -1))
        expected = true_inverse(scene, row)
        np.testing.assert_allclose(grids[row][inner], expected[inner], rtol=0.05)


def test_points_of_the_scene_are_used_without_images(tmp_path):
    scene = plane_scene(tmp_path, 3)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-1.5, 1.5, (300, 2)), np.zeros(300)])
    seen = np.array([(row, point) for row in range(3) for point in range(300)])
    scene = replace(scene, points=ScenePoints(points, seen), names=("a", "b", "c"))
    grids = estimate_depths(scene, CROP)
    for row in range(3):
        np.testing.assert_allclose(grids[row], true_inverse(scene, row), rtol=0.02)


def test_image_without_intrinsics_has_no_depth(tmp_path):
    scene = plane_scene(tmp_path, 8)
    scene = replace(scene, cameras=(None, *scene.cameras[1:]))
    grids = estimate_depths(scene, CROP)
    assert np.isnan(grids[0]).all()
    assert np.isfinite(grids[1:]).all()
    assert estimate_depths(replace(scene, cameras=(None,) * 8), CROP) is None
    guessed = replace(CAMERA, source="assumed")
    assert estimate_depths(replace(scene, cameras=(guessed,) * 8), CROP) is None


def test_cameras_without_motion_have_no_depth(tmp_path):
    scene = plane_scene(tmp_path, 4)
    still = np.repeat(scene.poses.positions[:1], 4, axis=0)
    scene = replace(scene, poses=replace(scene.poses, positions=still))
    assert estimate_depths(scene, CROP) is None


def test_slanted_surface_is_fitted_with_outliers_and_gaps():
    rng = np.random.default_rng(0)
    # The right half of the 17 columns is empty.
    nodes = np.column_stack([rng.uniform(0, 8, 200), rng.uniform(0, 12, 200)])
    values = 0.5 + 0.02 * nodes[:, 0] + 0.01 * nodes[:, 1]
    values[::8] *= 3
    grid = fit_grid(nodes, values, np.ones(200), (13, 17))
    columns, rows = np.meshgrid(np.arange(17), np.arange(13))
    expected = 0.5 + 0.02 * columns + 0.01 * rows
    np.testing.assert_allclose(grid[:, :8], expected[:, :8], rtol=0.03)
    assert grid[:, 16].min() > 0.6  # extrapolated, not dropping to 0


def test_grids_have_square_cells():
    assert grid_shape((192, 256)) == (13, 17)
    assert grid_shape((320, 180)) == (22, 13)


def test_unsupported_camera_model_has_no_depth(tmp_path):
    scene = plane_scene(tmp_path, 3)
    unknown = Camera(320, 240, 260, 260, 160, 120, "DIVISION", (0.1,))
    assert estimate_depths(replace(scene, cameras=(unknown,) * 3), CROP) is None


def test_even_choice_of_many_images_has_depth(tmp_path):
    grids = estimate_depths(plane_scene(tmp_path, 15), CROP, max_images=8)
    assert np.flatnonzero(np.isfinite(grids[:, 0, 0])).tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
