"""The picture files that a dataset lists: where they are, how large, and the intrinsics that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.text import without_suffix
from posenet.errors import PoseNetError
from posenet.hygiene import Fault
from posenet.images import picture_size
from posenet.scene import Camera

SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")


def size_or_none(path: Path) -> tuple[int, int] | None:
    """(width, height) of a picture, None where it cannot be read: the label hygiene reports that."""
    try:
        return picture_size(path)
    except (PoseNetError, ValueError):
        return None


def existing_name(folder: Path, name: str) -> str:
    """The name, or the same with another usual suffix where only that file exists (.png lists beside .jpg files)."""
    if ".." not in name and not name.startswith("/") and not is_there(folder / name):
        for stem in dict.fromkeys((without_suffix(name), name)):
            for suffix in SUFFIXES:
                if is_there(folder / (stem + suffix)):
                    return stem + suffix
    return name


def is_there(path: Path) -> bool:
    """Whether a file exists; a name that no disk can hold does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def fit_to_picture(camera: Camera, path: Path) -> Camera | None:
    """The camera scaled to the size that its picture really has: files often hold another one's.

    Unchanged where the picture cannot be read; None where its shape is another (cut, or turned by 90 degrees),
    since nobody knows then where the principal point went.
    """
    size = size_or_none(path)
    if size is None:
        return camera
    width, height = size
    if abs(width * camera.height / (height * camera.width) - 1) > 0.02:
        return None
    return camera if size == (camera.width, camera.height) else camera.resized(width, height)


def fitted_cameras(
    cameras: Sequence[Camera | None], root: Path, names: Sequence[str]
) -> tuple[list[Camera | None], list[Fault]]:
    """The cameras scaled to their pictures' real sizes; those that do not fit are left out, and reported."""
    fitted = [
        fit_to_picture(camera, root / name) if camera else None for camera, name in zip(cameras, names, strict=True)
    ]
    lost = [name for name, old, new in zip(names, cameras, fitted, strict=True) if old and not new]
    kind = "picture of another shape than its intrinsics (cut, or turned by 90 degrees?)"
    return fitted, [Fault(kind, len(lost), lost[0], "intrinsics left out")] if lost else []


def sequence_of(name: str) -> str:
    """The folder of a picture's name; "all" for a name without one."""
    folder = name.rpartition("/")[0]
    return folder or "all"


def nearest(times: Sequence[float], known: Sequence[float], tolerance: float) -> np.ndarray:
    """(n,) for each of the times (n,) the row of the nearest known time (m,), -1 where none is within tolerance."""
    wanted, given = np.asarray(times, np.float64), np.asarray(known, np.float64)
    if len(given) == 0:
        return np.full(len(wanted), -1)
    order = np.argsort(given, kind="stable")
    right = np.clip(np.searchsorted(given[order], wanted), 1, max(1, len(given) - 1))
    right = np.minimum(right, len(given) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(given[order][left] - wanted) <= np.abs(given[order][right] - wanted)
    rows = order[np.where(closer, left, right)]
    return np.where(np.abs(given[rows] - wanted) <= tolerance, rows, -1)
