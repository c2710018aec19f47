"""The world frame of a reconstruction."""

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.convert import convert
from posenet.errors import PoseNetError
from posenet.geometry.alignment import Sim3, estimate_up
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.mapping.capture.alignment import (
    align_to,
    find_images,
    level_world,
    placed_images,
    read_positions,
    rescale,
)
from tests.helpers.scenes import make_scene, walk

pytestmark = pytest.mark.slow


@pytest.fixture
def model(tmp_path):
    """Return a reconstruction of a level walk in a transformed world, and the true poses."""
    scene = make_scene(tmp_path / "in")
    truth = walk(len(scene))
    free = Sim3(0.3, Rotation.from_euler("xyz", [70, 20, 130], degrees=True), np.array([5.0, 6, 7]))
    object.__setattr__(scene, "poses", free.apply(truth))
    convert(scene, tmp_path / "out", "colmap")
    return pycolmap.Reconstruction(tmp_path / "out/sparse/0"), truth


def in_order(model):
    names, poses = placed_images(model)
    order = np.argsort(names)
    return [names[row] for row in order], poses[order]


def test_poses_are_world_from_camera(model):
    free, truth = model
    _, poses = in_order(free)
    steps = np.linalg.norm(np.diff(poses.positions, axis=0), axis=1)
    np.testing.assert_allclose(
        steps, 0.3 * np.linalg.norm(np.diff(truth.positions, axis=0), axis=1)
    )


def test_leveled(model):
    free, truth = model
    level_world(free)
    _, poses = in_order(free)
    np.testing.assert_allclose(estimate_up(poses.rotations), [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(poses.positions.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(
        np.ptp(poses.positions[:, 2]), 0.3 * np.ptp(truth.positions[:, 2]), atol=1e-9
    )


def test_scaled_by_a_known_distance(model):
    free, truth = model
    names, _ = in_order(free)
    meters = float(np.linalg.norm(truth.positions[2] - truth.positions[7]))
    rescale(free, names[2], names[7], meters)
    _, poses = in_order(free)
    assert np.linalg.norm(poses.positions[0] - poses.positions[5]) == pytest.approx(
        np.linalg.norm(truth.positions[0] - truth.positions[5])
    )
    with pytest.raises(
        PoseNetError, match=r"--scale-bar needs names of placed images, like walk0/.*, received x$"
    ):
        rescale(free, "x", names[0], 1.0)
    with pytest.raises(
        PoseNetError,
        match=r"--scale-bar needs two different positions and a positive distance, received walk0",
    ):
        rescale(free, names[0], names[1], -1.0)
    with pytest.raises(PoseNetError, match=r"--scale-bar needs two different positions"):
        rescale(free, names[0], names[0], 1.0)


def test_aligned_to_known_positions(model, tmp_path):
    free, truth = model
    names, _ = in_order(free)
    rows = [
        f"{name} {x} {y} {z} 1 0 0 0"
        for name, (x, y, z) in zip(names, truth.positions, strict=True)
    ]
    (tmp_path / "gps.txt").write_text("\n".join([*rows[:8], "elsewhere.jpg 0 0 0"]))
    align_to(free, read_positions(tmp_path / "gps.txt"), tmp_path / "gps.txt")
    _, poses = in_order(free)
    assert isinstance(poses, Poses)
    assert position_errors(poses, truth).max() < 1e-9
    assert rotation_errors_deg(poses, truth).max() < 1e-6


def test_warning_about_collinear_positions(model, tmp_path, caplog):
    names, poses = in_order(model[0])
    along = np.linspace(0, 100, len(names))
    known = {name.rsplit(".")[0]: (x, x % 2, 0.0) for name, x in zip(names, along, strict=True)}
    align_to(model[0], known, tmp_path / "gps.txt")
    assert (
        "gps.txt: the positions are almost on a line, so the rotation about it is uncertain"
        in caplog.text
    )
    caplog.clear()
    known = {
        name.rsplit(".")[0]: tuple(position)
        for name, position in zip(names, poses.positions, strict=True)
    }
    align_to(model[0], known, tmp_path / "gps.txt")
    assert "almost on a line" not in caplog.text


def test_positions_of_photos_with_spaces_in_their_names(tmp_path):
    (tmp_path / "gps.txt").write_text(
        "IMG 1.jpg 1 2 3 9\nIMG_2.jpg,4,5,6\nIMG 3.jpg, 7 ,8, 9\nIMG_4.jpg, 1, 2, 3, 4\n"
    )
    known = {"IMG_1": (1, 2, 3), "IMG_2": (4, 5, 6), "IMG_3": (7, 8, 9), "IMG_4": (1, 2, 3)}
    assert read_positions(tmp_path / "gps.txt") == known
    assert find_images(["IMG_1.jpg", "IMG_2.jpg"], ("IMG 2.jpg", "IMG_1"), "--scale-bar") == [1, 0]


def test_malformed_position_files(model, tmp_path):
    for text, message in (
        (
            "walk0/frame000.png 1 2\n",
            r"gps.txt:1: a line must be a name and X Y Z in meters, received",
        ),
        (
            "walk0/frame000.png 1 2 nan\n",
            r"gps.txt:1: a line must be a name and X Y Z in meters, received",
        ),
        ("walk0/frame000.png 1 2 z\n", r"received 'z' where a number belongs"),
        ("walk0/frame000.png\t1,23\t4,56\t7,89\n", r"received '1,23' where a number belongs"),
        (
            "walk0/frame000.png 1 2 3\n",
            r"gps.txt must have positions of at least 3 placed images, like walk0/.*, it has 1$",
        ),
    ):
        (tmp_path / "gps.txt").write_text(text)
        with pytest.raises(PoseNetError, match=message):
            align_to(model[0], read_positions(tmp_path / "gps.txt"), tmp_path / "gps.txt")
