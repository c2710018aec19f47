"""Image files of a dataset: sizes, sequences, and intrinsics that match them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.validation import LabelIssue
from posenet.errors import PoseNetError, count
from posenet.geometry.camera import Camera
from posenet.io.folders import list_folder
from posenet.io.image_headers import UNSUPPORTED_SUFFIXES, image_size, stored_size

# Relative difference of two aspect ratios that rounding of a size can cause.
ASPECT_TOLERANCE = 0.02


def size_or_none(path: Path) -> tuple[int, int] | None:
    """Return the size of an image, or None if it cannot be read.

    Label validation reports such images.

    Args:
        path: an image file.

    Returns:
        (width, height) in pixels as viewers show the image.
    """
    try:
        return image_size(path)
    except (PoseNetError, ValueError):
        return None


def file_exists(path: Path) -> bool:
    """Return whether a file exists; names that no file system can hold do not.

    Args:
        path: any path.

    Returns:
        True if it is a file.
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def folder_exists(path: Path) -> bool:
    """Return whether a folder exists; names that no file system can hold do not.

    Args:
        path: any path.

    Returns:
        True if it is a folder.
    """
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def describe_unsupported(folder: Path) -> list[str]:
    """Return a line about the images in a folder that cannot be decoded, such as raw formats.

    Args:
        folder: the folder, which need not exist.

    Returns:
        The line; none without such images.
    """
    paths = list_folder(folder) if folder.is_dir() else []
    found = [path for path in paths if path.suffix.lower() in UNSUPPORTED_SUFFIXES]
    if not found:
        return []
    return [f"{count(len(found), 'file')} skipped, such as {found[0]}: export JPEG"]


def sequence_from_name(name: str) -> str:
    """Return the folder of an image name, or "all" if it has none.

    Args:
        name: name of an image relative to the scene folder.

    Returns:
        The folder.
    """
    folder = name.rpartition("/")[0]
    return folder or "all"


def fit_camera(camera: Camera, path: Path) -> Camera | None:
    """Scale a camera to the size of its image, because files often contain those of another size.

    Args:
        camera: the intrinsics of a file.
        path: the image.

    Returns:
        The scaled camera; the same if the image cannot be read; None if the aspect ratio differs
        (cropped, or rotated by 90 degrees), because the principal point is unknown then.
    """
    size = size_or_none(path)
    if size is None:
        return camera
    width, height = size
    if abs(width * camera.height / (height * camera.width) - 1) > ASPECT_TOLERANCE:
        return None
    return camera if size == (camera.width, camera.height) else camera.resized(width, height)


def fit_cameras(
    cameras: Sequence[Camera | None], root: Path, names: Sequence[str]
) -> tuple[list[Camera | None], list[LabelIssue]]:
    """Scale cameras to the sizes of their images.

    Args:
        cameras: n cameras, None if unknown.
        root: the scene folder.
        names: names of the n images relative to the folder.

    Returns:
        n cameras, None if unknown or if the aspect ratio differs, and the issue of the latter.
    """
    fitted = [
        fit_camera(camera, root / name) if camera else None
        for camera, name in zip(cameras, names, strict=True)
    ]
    lost = [name for name, old, new in zip(names, cameras, fitted, strict=True) if old and not new]
    if not lost:
        return fitted, []
    kind = "image with another aspect ratio than its intrinsics (cropped or rotated)"
    return fitted, [LabelIssue(kind, len(lost), lost[0], "intrinsics left out")]


def apply_exif_orientation(
    quaternions: np.ndarray, cameras: Sequence[Camera | None], paths: Sequence[Path]
) -> tuple[np.ndarray, list[Camera | None]]:
    """Rotate poses and intrinsics of stored pixels to those of the image as viewers show it.

    Tools such as COLMAP ignore the EXIF orientation
    (https://github.com/colmap/colmap/issues/1456). A camera with the aspect ratio of the rotated
    image belongs to a rotated copy and does not change.

    Args:
        quaternions: world_from_camera, wxyz, shape (n, 4).
        cameras: n cameras, None if unknown.
        paths: n images.

    Returns:
        Quaternions, shape (n, 4), and n cameras.
    """
    quaternions = quaternions.copy()
    cameras = list(cameras)
    for row, path in enumerate(paths):
        stored = stored_size(path)
        camera = cameras[row]
        length = np.linalg.norm(quaternions[row])
        usable = 1e-6 < length < np.inf
        if not stored.quarter_turns or not usable or not _has_aspect(camera, stored.size):
            continue
        cameras[row] = camera.rotate90(stored.quarter_turns) if camera else None
        stored_rotation = Rotation.from_quat(quaternions[row], scalar_first=True)
        rotation = Rotation.from_euler("z", 90 * stored.quarter_turns, degrees=True)
        quaternions[row] = (stored_rotation * rotation).as_quat(scalar_first=True)
    return quaternions, cameras


def _has_aspect(camera: Camera | None, size: tuple[int, int]) -> bool:
    """Return whether a camera, if known, has the aspect ratio of an image."""
    if camera is None:
        return True
    width, height = size
    ratio = camera.width * height / max(camera.height * width, 1)
    return abs(ratio - 1) < ASPECT_TOLERANCE
