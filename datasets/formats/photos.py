"""Photo folders: which files are photos, and copies with upright pixels."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from posenet.datasets.formats.image_names import natural_key
from posenet.errors import PoseNetError, count
from posenet.io.files import atomic_path
from posenet.io.folders import list_below, list_folder
from posenet.io.heif import enable_heif
from posenet.io.image_headers import (
    EXIF_ORIENTATION,
    IMAGE_SUFFIXES,
    UNSUPPORTED_SUFFIXES,
    VIDEO_SUFFIXES,
    is_radiance,
    read_exif,
)
from posenet.io.images import read_image

log = logging.getLogger("posenet")

# Files that users may expect to be read as photos, but are not.
SKIPPED_SUFFIXES = (*UNSUPPORTED_SUFFIXES, *VIDEO_SUFFIXES)
# How RGB-D cameras name depth maps: frame-000000.depth.png, depth/1305031102.16.png.
DEPTH_WORD = "depth"
# JPEG and WebP quality of copies that must be encoded again.
QUALITY = 97


def list_photos(folder: Path, *, below: bool = False) -> list[Path]:
    """List the photos in a folder, without depth maps.

    Warns about files and folders that are left out although they may contain photos.

    Args:
        folder: an existing folder.
        below: include subfolders.

    Returns:
        Image files, sorted by the numbers in their names.
    """
    listed = list_below(folder) if below else list_folder(folder)
    _warn_about_skipped(folder, listed, below=below)
    images = [path for path in listed if _has_suffix(path, IMAGE_SUFFIXES)]
    depth = {path for path in images if _is_depth_map(path.relative_to(folder))}
    if depth:
        first = min(path.name for path in depth)
        skipped = count(len(depth), "depth map")
        log.warning("%s: %s skipped, such as %s", folder, skipped, first)
    photos = [path for path in images if path not in depth]
    return sorted(photos, key=lambda path: natural_key(path.as_posix()))


def _has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    """Return whether a path has one of some suffixes, in any case, and is not a folder."""
    return path.suffix.lower() in suffixes and not path.is_dir()


def _is_depth_map(name: Path) -> bool:
    """Return whether an image has the name of a depth map, relative to the folder."""
    words = name.stem.lower().split(".")[1:]
    folders = [part.lower() for part in name.parent.parts]
    return DEPTH_WORD in words or DEPTH_WORD in folders


def _warn_about_skipped(folder: Path, listed: Sequence[Path], *, below: bool) -> None:
    """Warn about unsupported formats, and about subfolders unless they are read too."""
    unsupported = [path for path in listed if _has_suffix(path, SKIPPED_SUFFIXES)]
    if unsupported:
        first = min(path.name for path in unsupported)
        skipped = count(len(unsupported), "file")
        log.warning("%s: %s skipped, such as %s: export JPEG", folder, skipped, first)
    inside = [] if below else [path for path in listed if path.is_dir()]
    if inside:
        first = min(path.name for path in inside)
        skipped = count(len(inside), "subfolder")
        log.warning("%s: %s skipped, such as %s: pass each", folder, skipped, first)


def copy_upright(source: Path, target: Path, *, link: bool = True) -> None:
    """Link or copy a photo so that its stored pixels are upright.

    Other tools read pixels as stored, posenet as viewers show them. The photo is encoded again if
    its EXIF orientation rotates it, or if the suffix of the target requires another format: the
    suffix of a photo can be wrong, browsers save WebP as .jpg. The target gets the modification
    time of the source, by which a later run recognizes it.

    Args:
        source: the photo.
        target: the file to write.
        link: make a hard link if possible.

    Raises:
        OSError, SyntaxError, ValueError: the photo is damaged, as Pillow reports it.
        PoseNetError: the target cannot be written.
    """
    encoding, exif = _read_encoding(source)
    rotated = exif.pop(EXIF_ORIENTATION, 1) != 1
    suffix = target.suffix.lower()
    time = source.stat().st_mtime_ns
    upright = None
    if rotated or encoding != Image.registered_extensions().get(suffix, encoding):
        try:
            upright = Image.fromarray(read_image(source))
        except PoseNetError as error:
            raise ValueError(str(error)) from None
    with atomic_path(target) as temporary:
        if upright:
            upright.save(temporary, **_save_options(suffix, exif))
        elif not (link and _linked(source, temporary)):
            shutil.copyfile(source, temporary)
        if temporary.stat().st_mtime_ns != time:
            with suppress(OSError):  # some file systems have no times
                os.utime(temporary, ns=(time, time))


def _read_encoding(path: Path) -> tuple[str | None, Image.Exif]:
    """Return Pillow's name of the format of a photo, and its EXIF data."""
    with open(path, "rb") as file:
        if is_radiance(file.peek(16)):
            return "HDR", Image.Exif()
    enable_heif(path)
    with Image.open(path) as image:
        # MPO: the two-image JPEG of phones.
        return "JPEG" if image.format == "MPO" else image.format, read_exif(image)


def _save_options(suffix: str, exif: Image.Exif) -> dict[str, Any]:
    """Return what Pillow needs to encode a photo with its EXIF data."""
    options: dict[str, Any] = {}
    if suffix in (".jpg", ".jpeg", ".webp"):
        options["quality"] = QUALITY
    if suffix not in (".tif", ".tiff"):  # the EXIF of a TIFF describes how it is stored
        options["exif"] = exif
    return options


def _linked(source: Path, target: Path) -> bool:
    """Make a hard link; return False on another disk or a file system without links."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True
