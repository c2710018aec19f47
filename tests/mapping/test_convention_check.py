"""Are rotations read correctly, or world-to-camera as camera-to-world?"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.generate import make_courtyard
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import ScenePoints
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping.convention_check import check_convention
from tests.helpers.scenes import scene_of, walk

pytestmark = pytest.mark.slow


def inverted(scene):
    return replace(scene, poses=Poses(scene.poses.positions, scene.poses.rotations.inv()))


def test_level_walk_as_read_and_inverted():
    scene = scene_of(walk())
    found = check_convention(scene, use_images=False)
    assert found.verdict == "consistent"
    assert found.tilt_deg[0] < 1  # the path has small ups and downs
    assert found.tilt_deg[1] > 30
    wrong = check_convention(inverted(scene), use_images=False)
    assert wrong.verdict == "inverted"
    assert wrong.tilt_deg == pytest.approx(found.tilt_deg[::-1])


def test_similar_world_and_camera_axes_are_inconclusive():
    places = walk().positions[:, [0, 2, 1]]  # y down, camera axes nearly those of the world
    turns = Rotation.from_euler("y", 4 * np.sin(np.arange(60))[:, None], degrees=True)
    found = check_convention(scene_of(Poses(places, turns)), use_images=False)
    assert found.verdict == "inconclusive"
    assert "too similar, as if world and camera axes nearly agree" in found.reason


def test_nonplanar_motion_and_few_cameras_are_inconclusive():
    rng = np.random.default_rng(0)
    cloud = Poses(rng.normal(size=(50, 3)), Rotation.random(50, random_state=0))
    assert (
        check_convention(scene_of(cloud), use_images=False).reason
        == "the cameras do not move in a plane"
    )
    few = check_convention(scene_of(walk(5)), use_images=False)
    assert (few.verdict, few.reason) == (
        "inconclusive",
        "at least 10 cameras are required, received 5",
    )


def test_tilted_cameras_are_inconclusive():
    rolled = Poses(walk().positions, walk().rotations * Rotation.from_euler("z", 30, degrees=True))
    found = check_convention(scene_of(rolled), use_images=False)
    assert found.verdict == "inconclusive"
    assert "not level in either reading" in found.reason


def test_points_decide_if_level_is_inconclusive():
    poses = Poses(walk().positions, walk().rotations * Rotation.from_euler("z", 30, degrees=True))
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(60), 5)
    rays = np.column_stack([rng.uniform(-0.5, 0.5, 300), rng.uniform(-0.4, 0.4, 300), np.ones(300)])
    points = poses.positions[rows] + poses.rotations[rows].apply(rays * rng.uniform(2, 9, (300, 1)))
    seen = ScenePoints(points, np.column_stack([rows, np.arange(300)]))
    scene = scene_of(poses, [camera] * 60, seen)
    found = check_convention(scene, use_images=False)
    assert found.verdict == "consistent"
    assert found.in_view[0] == 1.0
    assert found.in_view[1] < 0.5
    assert check_convention(inverted(scene), use_images=False).verdict == "inverted"


def test_images_decide(tmp_path):
    make_courtyard(tmp_path / "yard", train=60, test=10, progress=False)
    scene = replace(open_scene(tmp_path / "yard").split("train"), points=None)
    found = check_convention(scene)
    assert found.verdict == "consistent"
    assert found.rotation_deg[0] < 2
    wrong = check_convention(inverted(scene))
    assert wrong.verdict == "inverted"
    assert wrong.fitting_reading == "world_from_camera rotations with OpenCV axes"
    opengl = Poses(
        scene.poses.positions, scene.poses.rotations * Rotation.from_euler("x", 180, degrees=True)
    )
    wrong = check_convention(replace(scene, poses=opengl))
    assert wrong.verdict == "contradicted"
    assert wrong.fitting_reading == "camera_from_world rotations with OpenGL axes"
    # The level of the cameras would be right in this reading.
    both = replace(scene, poses=Poses(scene.poses.positions, opengl.rotations.inv()))
    wrong = check_convention(both)
    assert wrong.verdict == "inverted"
    assert wrong.fitting_reading == "world_from_camera rotations with OpenGL axes"


@pytest.mark.parametrize("name", ["KingsCollege", "OldHospital", "ShopFacade", "GreatCourt"])
def test_real_cambridge_lists(real_data, name):
    scene = open_scene(real_data / "cambridge_lists" / name, need_images=False)
    found = check_convention(scene, use_images=False)
    assert found.verdict == "consistent"
    assert 3 < found.tilt_deg[0] < 5.2
    assert found.tilt_deg[1] > 11
    assert check_convention(inverted(scene), use_images=False).verdict == "inverted"


@pytest.mark.parametrize("name", ["KingsCollege", "ShopFacade"])
def test_cambridge_lists_with_similar_axes_are_inconclusive(real_data, name):
    scene = open_scene(real_data / "cambridge_predictions" / name, need_images=False)
    assert check_convention(scene, use_images=False).verdict == "inconclusive"


@pytest.mark.parametrize("name", ["fox", "gum_desk", "redkitchen", "tum_fr1_rpy"])
def test_real_images_decide(real_data, name):
    scene = open_scene(real_data / name)
    assert check_convention(scene).verdict == "consistent"
    assert check_convention(inverted(scene)).verdict == "inverted"
