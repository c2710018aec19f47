"""Labels in every reading, against relative rotations that are known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.convert import convert
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import ScenePoints
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping import relative_rotation
from posenet.mapping.convention_check import check_convention
from posenet.mapping.convention_evidence import (
    _most_likely,
    check_by_images,
    check_by_points,
)
from posenet.mapping.relative_rotation import MeasuredRotation, rotation_disagreements_deg
from posenet.mapping.rotation_readings import other_readings, standard_readings
from tests.helpers.scenes import make_scene, scene_of, walk

OPENGL = np.diag([1.0, -1, -1, 1])
# The direction and the camera axes that each format prescribes.
FORMATS = {
    "cambridge": ("camera_from_world", "OpenCV"),
    "7scenes": ("world_from_camera", "OpenCV"),
    "colmap": ("camera_from_world", "OpenCV"),
    "transforms": ("world_from_camera", "OpenGL"),
    "tum": ("world_from_camera", "OpenCV"),
    "kitti": ("world_from_camera", "OpenCV"),
    "csv": ("world_from_camera", "OpenCV"),
    "nvm": ("camera_from_world", "OpenCV"),
}
READINGS = [
    (direction, axes)
    for direction in ("world_from_camera", "camera_from_world")
    for axes in ("OpenCV", "OpenGL")
]
KNOWN = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)


def measure(rotations, step=1, noise_deg=0.5):
    """Relative rotations of neighbors, with a little noise."""
    rng = np.random.default_rng(0)
    noise = Rotation.from_rotvec(np.radians(noise_deg) * rng.normal(size=(len(rotations), 3)))
    return [
        MeasuredRotation(row, row + step, rotations[row + step].inv() * rotations[row] * noise[row])
        for row in range(0, len(rotations) - step, 2)
    ]


def labeled(rotations, **options):
    scene = scene_of(Poses(walk(len(rotations)).positions, rotations), [KNOWN] * len(rotations))
    return replace(scene, **options)


def turning(count=30):
    """Rotations that differ from image to image by some 10 degrees about changing axes."""
    angles = np.arange(count)[:, None] * [11.0, 7.0, 5.0] + [0, 20, 40]
    return Rotation.from_euler("ZYX", angles, degrees=True)


def write(scene, folder, name):
    if name != "nvm":
        convert(scene, folder, name)
        return folder
    convert(scene, folder, "cambridge")
    for path in folder.glob("dataset_*.txt"):
        path.unlink()
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_every_reading_of_every_format(tmp_path, name):
    scene = make_scene(tmp_path / "made")
    true = replace(scene, poses=Poses(walk(12).positions, turning(12)), points=None)
    rotations = open_scene(write(true, tmp_path / "true", name)).poses.rotations
    measured = measure(rotations)
    direction, axes = FORMATS[name]
    for number, (stored_direction, stored_axes) in enumerate(READINGS):
        stored = true.poses.matrices @ (OPENGL if stored_axes == "OpenGL" else np.eye(4))
        if stored_direction == "camera_from_world":
            stored = np.linalg.inv(stored)
        read = stored if direction == "world_from_camera" else np.linalg.inv(stored)
        read = read @ (OPENGL if axes == "OpenGL" else np.eye(4))
        wrong = replace(true, poses=Poses(read[:, :3, 3], Rotation.from_matrix(read[:, :3, :3])))
        found = check_by_images(open_scene(write(wrong, tmp_path / str(number), name)), measured)
        if (stored_direction, stored_axes) == (direction, axes):
            assert (found.verdict, found.fitting_reading) == ("consistent", None)
            continue
        assert found.verdict == ("contradicted" if stored_direction == direction else "inverted")
        assert found.fitting_reading == f"{stored_direction} rotations with {stored_axes} axes"
        assert found.reason.startswith("the labels do not fit the images: measured relative")


@pytest.mark.parametrize("convention", ["world_from_camera", "camera_from_world"])
@pytest.mark.parametrize(
    ("steps", "order"), [(-1, "x y z w, not w x y z"), (1, "w x y z, not x y z w")]
)
def test_quaternions_in_the_other_order(convention, steps, order):
    rotations = turning()
    stored = rotations if convention == "world_from_camera" else rotations.inv()
    rolled = np.roll(stored.as_quat(scalar_first=True), steps, axis=1)
    read = Rotation.from_quat(rolled, scalar_first=True)
    read = read if convention == "world_from_camera" else read.inv()
    scene = labeled(read, quaternion_convention=convention)
    found = check_by_images(scene, measure(rotations))
    assert found.verdict == "contradicted"
    assert found.fitting_reading == f"{convention} rotations with OpenCV axes, quaternions {order}"


def test_a_usual_reading_is_named_only_if_it_fits_nearly_as_well_as_the_best():
    # Three standard readings and three others, degrees.
    assert _most_likely([33.6, 5.2, 24.7, 2.9, 2.3, 2.3], 3) == 3
    assert _most_likely([33.6, 3.2, 2.8, 2.3, 2.3, 2.3], 3) == 2


def test_swapped_and_mirrored_axes():
    rotations = turning()
    # The axes in the file: x forward, y left, z up (ROS).
    ros = Rotation.from_matrix([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    found = check_by_images(labeled(rotations * ros), measure(rotations))
    assert found.verdict == "contradicted"
    assert found.fitting_reading == (
        "world_from_camera rotations with axes x forward, y left, z up, or the opposite of all "
        "three (left-handed)"
    )
    # Left-handed axes of camera and world, y up (Unity).
    mirror = np.diag([1.0, -1, 1])
    unity = Rotation.from_matrix(mirror @ rotations.as_matrix() @ mirror)
    found = check_by_images(labeled(unity), measure(rotations))
    assert found.fitting_reading == (
        "world_from_camera rotations with axes x left, y down, z back, or the opposite of all "
        "three (left-handed)"
    )


def test_panning_cameras_are_consistent():
    """Read inverted and with OpenGL axes, rotations about the camera's y axis stay the same."""
    pan = Rotation.from_euler("y", 10 * np.sin(np.arange(30))[:, None], degrees=True)
    both = pan.inv() * Rotation.from_euler("x", 180, degrees=True)
    assert rotation_disagreements_deg(measure(pan, noise_deg=0), both) == pytest.approx(0, abs=1e-6)
    assert check_by_images(labeled(pan), measure(pan)).verdict == "consistent"


def test_labels_of_other_images_fit_in_no_reading():
    rotations = turning()
    rng = np.random.default_rng(1)
    other = Rotation.from_rotvec(np.radians(10) * rng.normal(size=(30, 3))) * rotations
    found = check_by_images(labeled(other), measure(rotations))
    assert (found.verdict, found.fitting_reading) == ("contradicted", None)
    errors = [
        float(np.median(rotation_disagreements_deg(measure(rotations), reading.rotations)))
        for reading in [*standard_readings(labeled(other)), *other_readings(labeled(other))]
    ]
    assert found.reason == (
        "the labels do not fit the images: measured relative rotations differ from them by "
        f"{errors[0]:.1f} deg, and no other reading of the files fits (the best by "
        f"{min(errors[1:]):.1f})"
    )
    # An assumed focal length may be the reason.
    assumed = labeled(other, cameras=(replace(KNOWN, source="assumed"),) * 30)
    assert check_by_images(assumed, measure(rotations)) is None
    # Half of the pairs of a plane are measured wrongly.
    measured = measure(other)
    half = [pair if row % 2 else measure(rotations)[row] for row, pair in enumerate(measured)]
    assert check_by_images(labeled(other), half) is None


def test_the_readings_differ():
    scene = labeled(turning())
    readings = [*standard_readings(scene), *other_readings(scene)]
    assert len(readings) == 4 + 8 + 44
    assert len({reading.description for reading in readings}) == 56
    np.testing.assert_allclose(
        readings[0].rotations.as_matrix(), scene.poses.rotations.as_matrix(), atol=1e-12
    )


@pytest.mark.parametrize("direction", ["world_from_camera", "camera_from_world"])
def test_labels_that_are_not_in_the_axes_that_their_file_states(direction):
    """The file states Mitsuba's axes, but contains OpenGL's."""
    rotations = turning()
    stored = rotations * Rotation.from_euler("x", 180, degrees=True)
    if direction == "camera_from_world":
        stored = stored.inv()
    mitsuba = stored * Rotation.from_euler("z", 180, degrees=True)
    scene = labeled(mitsuba, camera_axes="Mitsuba")
    assert [reading.description for reading in standard_readings(scene)][:3] == [
        f"world_from_camera rotations with {axes} axes" for axes in ("Mitsuba", "OpenCV", "OpenGL")
    ]
    np.testing.assert_allclose(
        standard_readings(scene)[0].rotations.as_matrix(), mitsuba.as_matrix(), atol=1e-12
    )
    found = check_by_images(scene, measure(rotations))
    assert found.fitting_reading == f"{direction} rotations with OpenGL axes"


def points_in_view(poses):
    """Five points in front of each camera."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(len(poses)), 5)
    rays = np.column_stack([rng.uniform(-0.5, 0.5, len(rows)), rng.uniform(-0.4, 0.4, len(rows))])
    rays = np.column_stack([rays, np.ones(len(rows))]) * rng.uniform(2, 9, (len(rows), 1))
    points = poses.positions[rows] + poses.rotations[rows].apply(rays)
    return ScenePoints(points, np.column_stack([rows, np.arange(len(rows))]))


def test_points_tell_the_reading_too():
    poses = Poses(walk().positions, turning(60))
    scene = scene_of(poses, [KNOWN] * 60, points_in_view(poses))
    assert check_by_points(scene).verdict == "consistent"
    flip = Rotation.from_euler("x", 180, degrees=True)
    flipped = replace(scene, poses=Poses(poses.positions, poses.rotations * flip))
    found = check_by_points(flipped)
    assert (found.verdict, found.fitting_reading) == (
        "contradicted",
        "world_from_camera rotations with OpenGL axes",
    )
    assert found.reason == (
        "the labels do not fit the 3-D points: 0% of them are inside the images that observe them, "
        "100% if the files contain world_from_camera rotations with OpenGL axes"
    )


def test_points_of_another_world_contradict_the_labels():
    level = walk()
    scene = scene_of(level, [KNOWN] * 60, points_in_view(level))
    turned = Poses(level.positions, level.rotations * Rotation.from_euler("y", 90, degrees=True))
    found = check_convention(replace(scene, poses=turned), use_images=False)
    assert (found.verdict, found.in_view[0]) == ("contradicted", 0.0)
    assert found.reason.startswith(
        "the labels do not fit the 3-D points: 0% of them are inside the images that observe them, "
        "at most "
    )


def test_pairs_are_of_one_camera_if_cameras_alternate(tmp_path, monkeypatch):
    body = turning(20)
    other = Rotation.from_euler("y", 20, degrees=True)
    rotations = Rotation.concatenate([body[row // 2] * (other ** (row % 2)) for row in range(40)])
    scene = labeled(rotations, root=tmp_path, sequences=np.array(["all/0", "all/1"] * 20))
    asked = []

    def measure_one(paths, _cameras):
        asked.append([int(path.stem) for path in paths])
        return Rotation.identity()

    monkeypatch.setattr(relative_rotation, "measure_rotation", measure_one)
    assert len(relative_rotation.measure_rotations(scene)) == 12
    assert all(first % 2 == second % 2 and first < second for first, second in asked)


def test_equal_rotations_are_not_judged():
    poses = Poses(walk().positions, Rotation.concatenate([turning(1)] * 60))
    found = check_convention(scene_of(poses), use_images=False)
    assert (found.verdict, found.reason) == (
        "inconclusive",
        "all 60 rotations are equal: nothing can show whether they are right",
    )
