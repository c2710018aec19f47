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
    rescale,
)
from posenet.mapping.capture.reference_positions import read_positions
from tests.helpers.errors import refusal
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


def known_positions(names, positions):
    return {
        name.rsplit(".")[0]: tuple(position)
        for name, position in zip(names, positions, strict=True)
    }


def model_of(tmp_path, positions):
    """Return a reconstruction of cameras at some positions, and their names."""
    scene = make_scene(tmp_path / "in")
    object.__setattr__(scene, "poses", Poses(positions, scene.poses.rotations))
    convert(scene, tmp_path / "out", "colmap")
    model = pycolmap.Reconstruction(tmp_path / "out/sparse/0")
    return model, sorted(placed_images(model).names)


def corridor(width):
    """Return twelve positions of a walk of 110 m, `width` to the left and right of its line."""
    along = np.arange(12) * 10.0
    return np.stack([along, width * (-1.0) ** np.arange(12), np.zeros(12)], axis=1)


def test_warning_about_nearly_collinear_positions(tmp_path, caplog):
    """Exact positions determine the rotation although they are almost on a line."""
    model, names = model_of(tmp_path, corridor(0.5))
    caplog.clear()
    align_to(model, known_positions(names, corridor(0.5)), tmp_path / "gps.txt")
    assert caplog.messages == [
        f"{tmp_path}/gps.txt: the positions are almost on a line, so the rotation about it is "
        "uncertain"
    ]


def test_collinear_positions_with_errors_are_refused(tmp_path):
    """Errors of 1 m up and down at 0.5 m from the line: nothing determines the rotation."""
    model, names = model_of(tmp_path, corridor(0.5))
    positions = corridor(0.5) + np.array([[0, 0, 1.0], [0, 0, -1.0], [0, 0, -1.0], [0, 0, 1.0]] * 3)
    message = refusal(align_to, model, known_positions(names, positions), tmp_path / "gps.txt")
    assert message.startswith(
        f"{tmp_path}/gps.txt: the positions must not be on a line, about which the rotation is "
        "undetermined: they are 1 m (RMS) from it and differ by 1"
    )
    assert message.endswith(" m from the cameras")


def test_positions_that_do_not_fit_are_refused(model, tmp_path):
    names, before = placed_images(model[0])
    shuffled = before.positions[np.random.default_rng(0).permutation(len(names))] * 10
    message = refusal(align_to, model[0], known_positions(names, shuffled), tmp_path / "gps.txt")
    centered = shuffled - shuffled.mean(axis=0)
    spread = np.sqrt((centered**2).sum(axis=1).mean())
    assert message.startswith(
        f"{tmp_path}/gps.txt: the positions must fit the cameras, they differ"
    )
    assert message.endswith(f"m (RMS) and are only {spread:.3g} m (RMS) from their mean")
    # The model stays unchanged.
    np.testing.assert_array_equal(placed_images(model[0]).poses.positions, before.positions)


def test_degrees_taken_for_meters_are_refused(tmp_path):
    """Near latitude 45, a scene of 110 m on a slope is 0.001 degrees and 11 m large."""
    walk_positions = corridor(30.0)
    walk_positions[:, 2] = walk_positions[:, 0] / 10
    model, names = model_of(tmp_path, walk_positions)
    degrees = [45.0, 7.0, 500.0] + walk_positions[:, [1, 0, 2]] / [111132, 78847, 1]
    message = refusal(align_to, model, known_positions(names, degrees), tmp_path / "gps.txt")
    # As meters they are a line of heights.
    assert message.startswith(
        f"{tmp_path}/gps.txt: the positions must not be on a line, about which the rotation is "
        "undetermined: they are 0.000"
    )


@pytest.mark.parametrize(
    ("factor", "extent"), [(1e-5, "0.0011"), (1e5, "1.1e+07")], ids=["tiny", "huge"]
)
def test_absurd_scales_are_refused(tmp_path, factor, extent):
    walk_positions = corridor(30.0)
    model, names = model_of(tmp_path, walk_positions)
    says = f"the scene must be 0.01 to 1e+06 m large, it would be {extent} m"
    known = known_positions(names, walk_positions * factor)
    assert refusal(align_to, model, known, tmp_path / "gps.txt") == f"{tmp_path}/gps.txt: {says}"
    # The first two cameras are 10 m apart along the walk and 60 m across it.
    meters = np.hypot(10, 60) * factor
    assert refusal(rescale, model, names[0], names[1], meters) == f"--scale-bar: {says}"


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
