"""Is the rotation read the right way round?"""

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


def inverted(scene):
    return replace(scene, poses=Poses(scene.poses.positions, scene.poses.rotations.inv()))


def test_level_walk_read_rightly_and_wrongly():
    scene = scene_of(walk())
    found = check_convention(scene, images=False)
    assert found.verdict == "right"
    assert found.tilt_deg[0] < 1  # the right axes lie in the plane but for the small ups and downs
    assert found.tilt_deg[1] > 30
    wrong = check_convention(inverted(scene), images=False)
    assert wrong.verdict == "wrong"
    assert wrong.tilt_deg == pytest.approx(found.tilt_deg[::-1])


def test_world_axes_near_the_cameras_cannot_tell():
    places = walk().positions[:, [0, 2, 1]]  # y down, cameras nearly along the world's axes
    turns = Rotation.from_euler("y", 4 * np.sin(np.arange(60))[:, None], degrees=True)
    found = check_convention(scene_of(Poses(places, turns)), images=False)
    assert found.verdict == "cannot tell"
    assert "too alike" in found.reason


def test_no_plane_and_few_cameras_cannot_tell():
    rng = np.random.default_rng(0)
    cloud = Poses(rng.normal(size=(50, 3)), Rotation.random(50, random_state=0))
    assert (
        check_convention(scene_of(cloud), images=False).reason
        == "the cameras do not move in one plane"
    )
    few = check_convention(scene_of(walk(5)), images=False)
    assert (few.verdict, few.reason) == ("cannot tell", "5 cameras are too few")


def test_tilted_cameras_cannot_tell():
    rolled = Poses(walk().positions, walk().rotations * Rotation.from_euler("z", 30, degrees=True))
    found = check_convention(scene_of(rolled), images=False)
    assert found.verdict == "cannot tell"
    assert "not level in either reading" in found.reason


def test_points_decide_where_level_cannot():
    poses = Poses(walk().positions, walk().rotations * Rotation.from_euler("z", 30, degrees=True))
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(60), 5)
    rays = np.column_stack([rng.uniform(-0.5, 0.5, 300), rng.uniform(-0.4, 0.4, 300), np.ones(300)])
    points = poses.positions[rows] + poses.rotations[rows].apply(rays * rng.uniform(2, 9, (300, 1)))
    seen = ScenePoints(points, np.column_stack([rows, np.arange(300)]))
    scene = scene_of(poses, [camera] * 60, seen)
    found = check_convention(scene, images=False)
    assert found.verdict == "right"
    assert found.in_view[0] == 1.0
    assert found.in_view[1] < 0.5
    assert check_convention(inverted(scene), images=False).verdict == "wrong"


def test_images_decide(tmp_path):
    make_courtyard(tmp_path / "yard", train=60, test=10, progress=False)
    scene = replace(open_scene(tmp_path / "yard").split("train"), points=None)
    found = check_convention(scene)
    assert found.verdict == "right"
    assert found.turn_deg[0] < 2
    assert check_convention(inverted(scene)).verdict == "wrong"
    opengl = Poses(
        scene.poses.positions, scene.poses.rotations * Rotation.from_euler("x", 180, degrees=True)
    )
    wrong = check_convention(replace(scene, poses=opengl))
    assert wrong.verdict == "wrong"
    assert "with OpenGL axes" in wrong.reason


@pytest.mark.parametrize("name", ["KingsCollege", "OldHospital", "ShopFacade", "GreatCourt"])
def test_genuine_cambridge_lists(real_data, name):
    scene = open_scene(real_data / "cambridge_lists" / name, need_images=False)
    found = check_convention(scene, images=False)
    assert found.verdict == "right"
    assert 3 < found.tilt_deg[0] < 5.2
    assert found.tilt_deg[1] > 11
    assert check_convention(inverted(scene), images=False).verdict == "wrong"


@pytest.mark.parametrize("name", ["KingsCollege", "ShopFacade"])
def test_cambridge_lists_in_a_camera_like_world_cannot_tell(real_data, name):
    scene = open_scene(real_data / "cambridge_predictions" / name, need_images=False)
    assert check_convention(scene, images=False).verdict == "cannot tell"


@pytest.mark.parametrize("name", ["fox", "gum_desk", "redkitchen", "tum_fr1_rpy"])
def test_real_images_decide(real_data, name):
    scene = open_scene(real_data / name)
    assert check_convention(scene).verdict == "right"
    assert check_convention(inverted(scene)).verdict == "wrong"
