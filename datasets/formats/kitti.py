"""KITTI odometry: one sequence with `image_2/000000.png`, `calib.txt`, and 12 numbers per pose.

A pose is a 3 x 4 matrix, row by row, from the axes of camera 0 to those of the first frame: camera
to world, OpenCV axes, meters. The other cameras are beside camera 0. The projection matrix of a
camera in calib.txt is P = K [1 | t], and its center is at -t in the axes of camera 0. The poses are
in `poses.txt` in the folder of the sequence or, as in the benchmark, in `poses/00.txt` beside
`sequences/00`. Each sequence has its own world frame.
Source: the readme of the KITTI odometry development kit.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.calibration import PIXEL_OFFSET, first_size
from posenet.datasets.formats.image_files import fit_cameras
from posenet.datasets.formats.image_names import natural_key
from posenet.datasets.formats.kitti_poses import (
    camera_from_camera0_poses,
    read_projection,
    read_trajectory,
)
from posenet.datasets.formats.pose_matrices import MatrixPoses
from posenet.datasets.scene import Scene
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text
from posenet.io.folders import list_folder
from posenet.io.image_headers import IMAGE_SUFFIXES

NAME = "KITTI odometry"
LOOKS_FOR = (
    "image_2 (or image_0, image_1, image_3) beside poses.txt or ../../poses/NN.txt; "
    "or sequences/ beside poses/"
)
# Color before gray, left before right.
CAMERA_FOLDERS = ("image_2", "image_0", "image_3", "image_1")
# Longest frame number, in digits.
MAX_DIGITS = 9


def recognizes(folder: Path) -> bool:
    """Return whether a folder is a sequence with poses, or the root of the benchmark.

    Args:
        folder: any folder.

    Returns:
        True if it is.
    """
    return _find_pose_file(folder) is not None or bool(_find_sequences(folder))


def read(folder: Path) -> RawScene:
    """Read one sequence.

    Args:
        folder: the folder of the sequence, or a root with only one.

    Returns:
        The labels.

    Raises:
        PoseNetError: the folder contains several sequences or no poses, or a file is malformed.
    """
    parent = _find_parent(folder)
    sequence = folder / parent
    pose_file = _find_pose_file(sequence)
    if pose_file is None:
        raise PoseNetError(f"{sequence} must have poses, in poses.txt or ../../poses/NN.txt")
    camera_folder = _find_camera_folder(sequence)
    world_from_camera0, sources = read_trajectory(pose_file)
    projection = read_projection(sequence / "calib.txt", f"P{camera_folder[-1]}:")
    images = _find_images(sequence / camera_folder)
    names = [
        f"{parent}{camera_folder}/{images.get(row, f'{row:06d}.png')}"
        for row in range(len(sources))
    ]
    camera = _make_camera(projection, folder, names)
    cameras, issues = fit_cameras([camera] * len(names), folder, names)
    poses = camera_from_camera0_poses(world_from_camera0, projection)
    name = sequence.resolve().name
    return RawScene(
        name=name,
        root=folder,
        names=names,
        positions=poses.positions,
        quaternions_wxyz=poses.quaternions_wxyz,
        splits=None,
        sequences=[name] * len(names),
        sources=sources,
        cameras=cameras,
        issues=issues,
        row_issues=poses.issues,
    )


def camera_poses(folder: Path, world_from_camera0: np.ndarray) -> MatrixPoses:
    """Convert poses of camera 0 to those of the camera that `read` reads.

    Args:
        folder: a folder that `recognizes` accepts.
        world_from_camera0: shape (n, 4, 4).

    Returns:
        The poses.

    Raises:
        PoseNetError: calib.txt is malformed.
    """
    sequence = folder / _find_parent(folder)
    key = f"P{_find_camera_folder(sequence)[-1]}:"
    return camera_from_camera0_poses(
        world_from_camera0, read_projection(sequence / "calib.txt", key)
    )


def _find_camera_folder(sequence: Path) -> str:
    """Return the folder of the images that are read."""
    return next(name for name in CAMERA_FOLDERS if (sequence / name).is_dir())


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write poses.txt, calib.txt, times.txt and test.txt as one sequence.

    The world frame stays that of the scene: the first pose need not be the identity.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, in image_2/.
    """
    names = [
        f"image_2/{row:06d}{PurePosixPath(name).suffix.lower()}"
        for row, name in enumerate(scene.names)
    ]
    poses = scene.poses.matrices[:, :3].reshape(-1, 12).tolist()
    lost.append("names and sequences: images are numbered")
    write_text(folder / "poses.txt", "".join(" ".join(map(repr, pose)) + "\n" for pose in poses))
    write_text(folder / "times.txt", "".join(f"{row:.6e}\n" for row in range(len(names))))
    write_test_list(folder, scene, names)
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera}:
        lost.append("intrinsics of several cameras, or unknown ones")
        return names
    k = camera.matrix - PIXEL_OFFSET * np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    projection = " ".join(map(repr, np.hstack([k, np.zeros((3, 1))]).ravel().tolist()))
    write_text(folder / "calib.txt", "".join(f"P{number}: {projection}\n" for number in range(4)))
    if camera.has_distortion:
        lost.append("lens distortion")
    return names


def _find_parent(folder: Path) -> str:
    """Return the path of the sequence below the folder, "" if it is the folder itself."""
    sequences = _find_sequences(folder)
    if len(sequences) > 1 and _find_pose_file(folder) is None:
        known = ", ".join(path.name for path in sequences)
        raise PoseNetError(
            f"{folder} must be one sequence, because each has its own world frame: "
            f"use {folder}/sequences/NN, NN one of {known}"
        )
    return f"sequences/{sequences[0].name}/" if sequences else ""


def _find_sequences(folder: Path) -> list[Path]:
    """Return the sequences with poses below the root of the benchmark."""
    parent = folder / "sequences"
    if not parent.is_dir():
        return []
    return [path for path in list_folder(parent) if _find_pose_file(path)]


def _find_pose_file(sequence: Path) -> Path | None:
    """Return the poses of a sequence; None if the folder is not a sequence or has none."""
    if not any((sequence / name).is_dir() for name in CAMERA_FOLDERS):
        return None
    resolved = sequence.resolve()
    candidates = (sequence / "poses.txt", resolved.parent.parent / "poses" / f"{resolved.name}.txt")
    return next((path for path in candidates if path.is_file()), None)


def _find_images(folder: Path) -> dict[int, str]:
    """Return the file name of each frame number."""
    images = {}
    for name in sorted((path.name for path in list_folder(folder)), key=natural_key):
        stem = Path(name).stem
        is_numbered = stem.isascii() and stem.isdigit() and len(stem) <= MAX_DIGITS
        if is_numbered and Path(name).suffix.lower() in IMAGE_SUFFIXES:
            images[int(stem)] = name
    return images


def _make_camera(projection: np.ndarray | None, folder: Path, names: list[str]) -> Camera | None:
    """Return the intrinsics for images of the size of the first that can be read."""
    size = first_size(folder, names)
    if projection is None or size is None:
        return None
    width, height = size
    cx = projection[0, 2] + PIXEL_OFFSET
    cy = projection[1, 2] + PIXEL_OFFSET
    return Camera(width, height, projection[0, 0], projection[1, 1], cx, cy)
