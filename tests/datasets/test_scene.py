"""Scenes, their parts and cameras."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene, ScenePoints
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses


@pytest.fixture
def scene():
    """Four images a to d, camera number i at x = i; the last is test; two points."""
    return Scene(
        name="four",
        root=Path("somewhere"),
        names=("s/a.png", "s/b.png", "s/c.png", "t/d.png"),
        poses=Poses([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]], Rotation.identity(4)),
        cameras=(None, Camera(4, 2, 5.0, 6.0, 2.0, 1.0), None, None),
        splits=np.array(["train", "train", "train", "test"]),
        sequences=np.array(["s", "s", "s", "t"]),
        points=ScenePoints(
            np.array([[0, 0, 5.0], [1, 0, 5.0]]), np.array([[0, 0], [1, 0], [2, 1], [3, 1]])
        ),
    )


def test_camera_matrix():
    np.testing.assert_array_equal(
        Camera(4, 2, 5, 6, 2, 1).matrix, [[5, 0, 2], [0, 6, 1], [0, 0, 1]]
    )


def test_resized_camera_sees_the_same_ray_at_the_scaled_pixel():
    camera = Camera(640, 480, 500, 510, 300, 250)
    ray = np.array([0.2, -0.1, 1])
    before, after = camera.matrix @ ray, camera.resized(320, 120).matrix @ ray
    np.testing.assert_allclose(after[:2], before[:2] * [0.5, 0.25])
    assert (camera.resized(320, 120).width, camera.resized(320, 120).height) == (320, 120)


def test_paths_lie_below_the_root(scene):
    assert scene.paths[0] == Path("somewhere/s/a.png")
    assert len(scene) == 4


def test_paths_are_made_once(scene):
    assert scene.paths is scene.paths
    assert scene.subset([2, 0]).paths == [Path("somewhere/s/c.png"), Path("somewhere/s/a.png")]


def test_subset_takes_rows_in_the_given_order(scene):
    chosen = scene.subset([2, 1])
    assert chosen.names == ("s/c.png", "s/b.png")
    np.testing.assert_array_equal(chosen.poses.positions[:, 0], [2, 1])
    assert chosen.cameras == (None, scene.cameras[1])
    assert chosen.points is not None
    np.testing.assert_array_equal(chosen.points.observations, [[1, 0], [0, 1]])


def test_subset_by_mask(scene):
    chosen = scene.subset(np.array([True, False, False, True]))
    assert chosen.names == ("s/a.png", "t/d.png")
    assert list(chosen.sequences) == ["s", "t"]
    np.testing.assert_array_equal(chosen.points.observations, [[0, 0], [1, 1]])


def test_empty_subset(scene):
    nothing = scene.subset(np.zeros(4, bool))
    assert len(nothing) == 0
    assert nothing.points.observations.shape == (0, 2)


def test_split(scene):
    assert scene.split("test").names == ("t/d.png",)
    assert scene.split("train").names == ("s/a.png", "s/b.png", "s/c.png")


def test_empty_split_is_refused(scene):
    with pytest.raises(
        PoseNetError,
        match="the test split of somewhere must contain at least one usable image, it is",
    ):
        scene.split("train").split("test")
