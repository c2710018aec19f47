"""The ways in which the rotations in the files of a scene can be read.

Files contain world_from_camera or camera_from_world rotations, for OpenCV or OpenGL camera axes, as
matrices or as quaternions whose w is first or last. A reader knows which by the format, but the
program that wrote the files may have confused them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene

DIRECTIONS = ("world_from_camera", "camera_from_world")
# Rotations from the camera axes that files name to OpenCV's: OpenGL's are x right, y up, z back,
# Mitsuba's x left, y up, z forward.
AXES = {
    "OpenCV": Rotation.identity(),
    "OpenGL": Rotation.from_euler("x", 180, degrees=True),
    "Mitsuba": Rotation.from_euler("z", 180, degrees=True),
}
# Those of most programs.
USUAL_AXES = ("OpenCV", "OpenGL")
# Steps by which a quaternion that is read as w x y z must be rolled to be right.
QUATERNION_ORDERS = {1: "x y z w, not w x y z", -1: "w x y z, not x y z w"}
# Where the axes of an OpenCV camera point, and the opposite directions.
DIRECTION_WORDS = (("right", "left"), ("down", "up"), ("forward", "back"))


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read the rotations of n images.

    Attributes:
        description: what the files contain in this reading.
        rotations: n rotations from OpenCV camera axes to world axes. A common rotation of the world
            is left out where the files do not determine it.
        is_reversed: whether the direction is not the one of the scene's format.
    """

    description: str
    rotations: Rotation
    is_reversed: bool


def standard_readings(scene: Scene) -> list[Reading]:
    """Return the readings of direction and usual camera axes.

    Args:
        scene: n images.

    Returns:
        Four readings, six of a scene with other axes; the first is the one that it was read with.
    """
    stored = _stored_rotations(scene)
    return [
        _read(scene, stored, direction, AXES[axes], f"{direction} rotations with {axes} axes")
        for direction, axes in _ordered_conventions(scene)
    ]


def other_readings(scene: Scene) -> list[Reading]:
    """Return less usual readings: the other order of quaternions, and other camera axes.

    Args:
        scene: n images.

    Returns:
        The readings, the more usual ones first.
    """
    stored = _stored_rotations(scene)
    quaternions = stored.as_quat(scalar_first=True)
    rolled = {
        order: Rotation.from_quat(np.roll(quaternions, steps, axis=1), scalar_first=True)
        for steps, order in QUATERNION_ORDERS.items()
    }
    readings = [
        _read(
            scene,
            rolled[order],
            direction,
            AXES[axes],
            f"{direction} rotations with {axes} axes, quaternions {order}",
        )
        for direction, axes in _ordered_conventions(scene)
        for order in rolled
    ]
    standard = [AXES[name] for name in _ordered_axes(scene)]
    for rotation in Rotation.create_group("O"):
        if not any((rotation.inv() * known).magnitude() < 1 for known in standard):
            words = _describe_axes(rotation)
            readings += [
                _read(
                    scene, stored, direction, rotation, f"{direction} rotations with axes {words}"
                )
                for direction in DIRECTIONS
            ]
    return readings


def _ordered_conventions(scene: Scene) -> list[tuple[str, str]]:
    """Return the pairs of direction and camera axes, that of the scene's format first."""
    directions = sorted(DIRECTIONS, key=lambda name: name != scene.quaternion_convention)
    return [(direction, name) for direction in directions for name in _ordered_axes(scene)]


def _ordered_axes(scene: Scene) -> list[str]:
    """Return the names of the usual camera axes, after those of the scene's format."""
    return list(dict.fromkeys((scene.camera_axes, *USUAL_AXES)))


def _stored_rotations(scene: Scene) -> Rotation:
    """Return the rotations as the files contain them."""
    stored = scene.poses.rotations * AXES[scene.camera_axes].inv()
    return stored if scene.quaternion_convention == "world_from_camera" else stored.inv()


def _read(
    scene: Scene, stored: Rotation, direction: str, axes: Rotation, description: str
) -> Reading:
    """Return stored rotations read in a direction and with camera axes."""
    world_from_camera = stored if direction == "world_from_camera" else stored.inv()
    is_reversed = direction != scene.quaternion_convention
    return Reading(description, world_from_camera * axes, is_reversed)


def _describe_axes(axes: Rotation) -> str:
    """Return where the stored axes point; relative rotations are the same for mirrored axes."""
    matrix = axes.as_matrix()
    words = []
    for name, row in zip("xyz", matrix, strict=True):
        place = int(np.abs(row).argmax())
        words.append(f"{name} {DIRECTION_WORDS[place][int(row[place] < 0)]}")
    return f"{', '.join(words)}, or the opposite of all three (left-handed)"
