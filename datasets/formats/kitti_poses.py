"""The poses of a KITTI trajectory, and the place of a camera beside camera 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import parse_floats, read_lines, shorten
from posenet.datasets.formats.pose_matrices import MatrixPoses, from_matrices, normalize_matrices
from posenet.errors import PoseNetError, count


def read_trajectory(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read the poses of camera 0 in a file, one frame per line.

    Args:
        path: the file.

    Returns:
        world_from_camera0, shape (n, 4, 4), and where each line is ("file:line").

    Raises:
        PoseNetError: a line is not 12 numbers.
    """
    lines = read_lines(path)
    return _parse_poses(lines), [source for source, _ in lines]


def camera_from_camera0_poses(
    world_from_camera0: np.ndarray, projection: np.ndarray | None
) -> MatrixPoses:
    """Convert poses of camera 0 to those of the camera with a projection matrix.

    Args:
        world_from_camera0: shape (n, 4, 4).
        projection: P = K [1 | t], shape (3, 4); None for camera 0.

    Returns:
        The poses.
    """
    rigid, issues = normalize_matrices(world_from_camera0)
    # A matrix that is not finite stays so.
    with np.errstate(invalid="ignore"):
        poses = from_matrices(rigid @ _camera0_from_camera(projection))
    return poses._replace(issues=issues)


def read_projection(path: Path, key: str) -> np.ndarray | None:
    """Read the projection matrix of a camera in calib.txt.

    Args:
        path: the file.
        key: the name of the matrix, such as "P2:".

    Returns:
        Shape (3, 4); None without the file or the matrix.

    Raises:
        PoseNetError: the matrix is malformed.
    """
    for source, line in read_lines(path) if path.is_file() else []:
        columns = line.split()
        if columns[0] != key:
            continue
        wanted = f"{key} must be followed by 12 numbers"
        numbers = parse_floats(columns[1:], source, wanted)
        is_complete = len(numbers) == 12 and np.isfinite(numbers).all()
        if not is_complete or not (numbers[0] > 0 and numbers[5] > 0):
            raise PoseNetError(
                f"{source}: {wanted}, focal lengths above 0, received {shorten(line)}"
            )
        return np.reshape(numbers, (3, 4))
    return None


def _parse_poses(lines: list[tuple[str, str]]) -> np.ndarray:
    """Return world_from_camera0, (n, 4, 4)."""
    wanted = "a pose must be 12 numbers, a 3 x 4 matrix row by row"
    rows = []
    for source, line in lines:
        columns = line.split()
        if len(columns) != 12:
            received = count(len(columns), "column")
            raise PoseNetError(f"{source}: {wanted}, received {received}: {shorten(line)}")
        rows.append([*parse_floats(columns, source, wanted), 0.0, 0.0, 0.0, 1.0])
    return np.array(rows, np.float64).reshape(-1, 4, 4)


def _camera0_from_camera(projection: np.ndarray | None) -> np.ndarray:
    """Return the pose of the camera in the axes of camera 0, (4, 4)."""
    matrix = np.eye(4)
    if projection is not None:
        matrix[:3, 3] = -np.linalg.solve(projection[:, :3], projection[:, 3])
    return matrix
