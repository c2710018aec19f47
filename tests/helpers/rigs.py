"""Scenes that a rig of cameras took: rigid, turning, with known moments."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from tests.helpers.images import write_image
from tests.helpers.scenes import walk


def rig_poses(cameras, moments, *, walk_poses=None):
    """Poses of cameras around a center, 0.1 m from it, camera after camera.

    Returns:
        cameras * moments poses.
    """
    body = walk(moments) if walk_poses is None else walk_poses
    positions, rotations = [], []
    for camera in range(cameras):
        turn = Rotation.from_euler("y", 360 * camera / cameras, degrees=True)
        positions.append(body.positions + body.rotations.apply(turn.apply([0, 0, 0.1])))
        rotations.append(body.rotations * turn)
    return Poses(np.concatenate(positions), Rotation.concatenate(rotations))


def rig_names(cameras, moments, pattern="pano_camera{camera}/{moment:06d}.jpg"):
    """Names of these images."""
    return [
        pattern.format(camera=camera, moment=moment)
        for camera in range(cameras)
        for moment in range(moments)
    ]


def write_rig(folder, cameras=3, moments=16, **options):
    """Write a rig as a CSV table with images of noise."""
    poses = rig_poses(cameras, moments)
    names = rig_names(cameras, moments, **options)
    lines = ["image,x,y,z,qw,qx,qy,qz"]
    for row, name in enumerate(names):
        write_image(folder / name, (24, 32), seed=row)
        numbers = [*poses.positions[row].tolist(), *poses.quaternions_wxyz[row].tolist()]
        lines.append(",".join([name, *map(repr, numbers)]))
    (folder / "poses.csv").write_text("\n".join(lines) + "\n")
    return folder
