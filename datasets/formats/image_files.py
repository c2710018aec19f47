"""The image files that a dataset lists: where they are, how large, and the intrinsics that fit them."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.parsing import natural_key, without_suffix
from posenet.datasets.validation import LabelIssue
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import atomic_path
from posenet.io.images import (
    EXIF_ORIENTATION,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    exif_of,
    image_size,
    read_image,
    stored_size_and_turns,
)

log = logging.getLogger("posenet")

UNREAD_SUFFIXES = (
    ".heic",
    ".heif",
    ".avif",
    ".jxl",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    *VIDEO_SUFFIXES,
)
DEPTH = {"depth"}
TOLERANCE = 0.02  # seconds between a image and a pose that is taken for its own
SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")


def size_or_none(path: Path) -> tuple[int, int] | None:
    """(width, height) of a image, None where it cannot be read: the label hygiene reports that."""
    try:
        return image_size(path)
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


def photographs_in(folder: Path, below: bool = False) -> list[Path]:
    """The images in a folder, in the order of the numbers in their names, without depth maps. below: and in its own.

    What a user may take for images and is left out is named in a warning.
    """
    listed = list(folder.rglob("*") if below else folder.iterdir())
    _warn_of_unread(folder, listed, below)
    images = [path for path in listed if path.suffix.lower() in IMAGE_SUFFIXES]
    depth = {path for path in images if _is_depth(path.relative_to(folder))}
    if depth:
        first = min(path.name for path in depth)
        log.warning("%s: %d depth maps are left out, such as %s", folder, len(depth), first)
    return sorted(
        (path for path in images if path not in depth),
        key=lambda path: natural_key(path.as_posix()),
    )


def _is_depth(name: Path) -> bool:
    """Whether a image is called as RGB-D cameras call depth maps: frame-000000.depth.png, depth/1305031102.16.png."""
    return bool(
        DEPTH & {*name.stem.lower().split(".")[1:], *(part.lower() for part in name.parent.parts)}
    )


def _warn_of_unread(folder: Path, listed: Sequence[Path], below: bool) -> None:
    """A warning of other formats, videos and folders. below: whether the images in its folders are read too."""
    others = [path for path in listed if not path.name.startswith(".")]
    unread = [path for path in others if path.suffix.lower() in UNREAD_SUFFIXES and path.is_file()]
    if unread:
        first = min(path.name for path in unread)
        log.warning(
            "%s: %d files are left out, such as %s: export JPEG", folder, len(unread), first
        )
    inside = [] if below else [path for path in others if path.is_dir()]
    if inside:
        first = min(path.name for path in inside)
        log.warning("%s: what is in its folders is left out, such as %s: give each", folder, first)


def fit_to_image(camera: Camera, path: Path) -> Camera | None:
    """The camera scaled to the size that its image really has: files often hold another one's.

    Unchanged where the image cannot be read; None where its shape is another (cut, or turned by 90 degrees),
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
) -> tuple[list[Camera | None], list[LabelIssue]]:
    """The cameras scaled to their images' real sizes; those that do not fit are left out, and reported."""
    fitted = [
        fit_to_image(camera, root / name) if camera else None
        for camera, name in zip(cameras, names, strict=True)
    ]
    lost = [name for name, old, new in zip(names, cameras, fitted, strict=True) if old and not new]
    kind = "image of another shape than its intrinsics (cut, or turned by 90 degrees?)"
    return fitted, [LabelIssue(kind, len(lost), lost[0], "intrinsics left out")] if lost else []


def apply_exif_orientation(
    quaternions: np.ndarray, cameras: Sequence[Camera | None], paths: Sequence[Path]
) -> tuple[np.ndarray, list[Camera | None]]:
    """World_from_camera quaternions (n, 4) wxyz and cameras of images as they are seen, turned by their EXIF.

    For formats of tools that take pixels as they are stored, such as COLMAP (github.com/colmap/colmap/issues/1456). A
    camera that has the shape of the image as it is seen was made of a turned copy, and stays.
    """
    quaternions, cameras = quaternions.copy(), list(cameras)
    for row, path in enumerate(paths):
        (width, height), turns = stored_size_and_turns(path)
        camera, length = cameras[row], np.linalg.norm(quaternions[row])
        stored = (
            camera is None or abs(camera.width * height / max(camera.height * width, 1) - 1) < 0.02
        )
        if turns and stored and 1e-6 < length < np.inf:
            cameras[row] = camera.rotate90(turns) if camera else None
            stored_pose = Rotation.from_quat(quaternions[row], scalar_first=True)
            turn = Rotation.from_euler("z", 90 * turns, degrees=True)
            quaternions[row] = (stored_pose * turn).as_quat(scalar_first=True)
    return quaternions, cameras


def copy_upright(source: Path, target: Path, link: bool = True) -> None:
    """Link or copy a image; write it anew where its EXIF turns it, or the target's suffix asks for another format.

    The image's own suffix may be wrong: browsers save WebP as .jpg.

    Other tools take the pixels as they are stored, everything here as they are seen. The target gets the source's time,
    which tells later whether it is still that image. Raises OSError, SyntaxError and ValueError, as Pillow does, for
    damaged images, PoseNetError where the target cannot be written.
    """
    with Image.open(source) as image:
        exif, kind = (
            exif_of(image),
            "JPEG" if image.format == "MPO" else image.format,
        )  # phones' JPEGs of two images
    turned = exif.pop(EXIF_ORIENTATION, 1) != 1
    suffix, time = target.suffix.lower(), source.stat().st_mtime_ns
    upright = None
    if turned or kind != Image.registered_extensions().get(suffix, kind):
        try:
            upright = Image.fromarray(read_image(source))
        except PoseNetError as error:
            raise ValueError(str(error)) from None
    with atomic_path(target) as temporary:
        if upright:
            options: dict[str, Any] = (
                {"quality": 97} if suffix in (".jpg", ".jpeg", ".webp") else {}
            )
            options |= (
                {"exif": exif} if suffix not in (".tif", ".tiff") else {}
            )  # a TIFF's says how it is stored
            upright.save(temporary, **options)
        elif not (link and _linked(source, temporary)):
            shutil.copyfile(source, temporary)
        if temporary.stat().st_mtime_ns != time:
            with suppress(OSError):  # a disk without times
                os.utime(temporary, ns=(time, time))


def _linked(source: Path, target: Path) -> bool:
    """Whether the target could be made one more name of the file: not on another disk, or one without links."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True


def sequence_of(name: str) -> str:
    """The folder of a image's name; "all" for a name without one."""
    folder = name.rpartition("/")[0]
    return folder or "all"


def nearest(
    times: Sequence[float], known: Sequence[float], tolerance: float = TOLERANCE
) -> np.ndarray:
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
