"""The map of a scene."""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from posenet.datasets.scene import ScenePoints
from posenet.geometry.alignment import ground_axes
from posenet.geometry.poses import Poses
from posenet.viz.scene_map import plot_scene_map, write_scene_map
from tests.helpers.scenes import scene_of, walk


def test_ground_axes_are_horizontal_and_right_handed():
    axes = ground_axes(walk())
    np.testing.assert_allclose(np.abs(axes), [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), [0, 0, 1], atol=1e-6)


def test_map_has_both_splits():
    points = np.random.default_rng(0).normal(0, 3, (500, 3))
    scene = scene_of(walk(), points=ScenePoints(points, np.zeros((0, 2), int)))
    scene.splits[40:] = "test"
    ax = plot_scene_map(Figure().add_subplot(), scene)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["3-D points", "training (40)", "test (20)"]
    training = next(each for each in ax.collections if each.get_label() == "training (40)")
    offsets = np.asarray(training.get_offsets())
    center = scene.poses.positions.mean(axis=0)
    np.testing.assert_allclose(
        offsets, (scene.poses.positions[:40] - center) @ ground_axes(scene.poses).T
    )
    assert ax.get_xlabel() == "x (m)"


def test_many_points_are_thinned_evenly():
    """Points are stored in the order in which they were found: here along the scene."""
    count = 100_000
    points = np.column_stack([np.linspace(-40, 40, count), np.zeros((count, 2))])
    scene = replace(scene_of(walk()), points=ScenePoints(points, np.zeros((0, 2), int)))
    ax = plot_scene_map(Figure().add_subplot(), scene)
    (drawn,) = [each.get_offsets() for each in ax.collections if each.get_label() == "3-D points"]
    assert 10_000 < len(drawn) <= 30_000
    assert np.ptp(drawn, axis=0).max() > 75


def test_maps_of_degenerate_scenes(tmp_path):
    for number, positions in enumerate((np.zeros((1, 3)), np.zeros((4, 3)), np.eye(3)[[0, 0, 1]])):
        poses = Poses(positions, walk(len(positions)).rotations)
        write_scene_map(tmp_path / f"{number}.png", scene_of(poses))
        assert (tmp_path / f"{number}.png").stat().st_size > 3000
