"""From photos and videos to one folder of upright images that structure from motion can read."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from posenet.datasets.formats.image_names import replace_spaces
from posenet.datasets.formats.photos import copy_upright, list_photos
from posenet.errors import PoseNetError, name_first
from posenet.io.files import write_text
from posenet.io.image_headers import (
    IMAGE_SUFFIXES,
    NUM_USUAL_SUFFIXES,
    VIDEO_SUFFIXES,
    find_image_issue,
)
from posenet.io.json_files import read_json
from posenet.mapping.capture.frames import extract_frames

log = logging.getLogger("posenet")

# Formats that structure from motion can read; others are converted to JPEG.
READABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".ppm")
# Record of the collected images, and its name in older versions.
RECORD = "images.json"
OLD_RECORD = "pictures.json"


def is_video(path: Path) -> bool:
    """Return whether a path has the suffix of a video and is not a folder.

    Args:
        path: any path.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def collect_images(inputs: Sequence[Path], folder: Path, max_frames: int) -> list[str]:
    """Copy or link the photos and the sharp frames of all inputs to one folder.

    Args:
        inputs: folders of photos, and videos; each of several gets a subfolder.
        folder: the folder to fill.
        max_frames: largest number of frames from each video.

    Returns:
        Image names relative to the folder, in temporal order.

    Raises:
        PoseNetError: an input is neither, or has no usable image.
    """
    names: list[str] = []
    for path, subfolder in zip(inputs, _subfolders(inputs), strict=True):
        prefix = f"{subfolder}/" if len(inputs) > 1 else ""
        target = folder / prefix
        target.mkdir(parents=True, exist_ok=True)
        if is_video(path):
            found = extract_frames(path, target, max_frames)
        else:
            found = collect_photos(path, target)
        names += [prefix + name for name in found]
    return names


def collect_photos(source: Path, target: Path) -> list[str]:
    """Copy or link the photos of a folder, upright according to their EXIF orientation.

    Damaged photos are skipped with one warning.

    Args:
        source: the folder of photos.
        target: an existing folder.

    Returns:
        Image names in natural order.

    Raises:
        PoseNetError: the source is not a folder, or has no usable photo.
    """
    if not source.is_dir():
        suffixes = ", ".join(VIDEO_SUFFIXES)
        raise PoseNetError(f"{source} must be a folder of photos or a video ({suffixes})")
    photos = list_photos(source)
    names: list[str] = []
    issues: list[str] = []
    taken = {path.name.lower() for path in photos}
    for path in photos:
        issue = find_image_issue(path)
        if issue:
            issues.append(f"{path.name}: {issue}")
            continue
        name = _readable_name(path, taken)
        try:
            if _modification_time(target / name) != _modification_time(path):
                copy_upright(path, target / name)
        except (OSError, SyntaxError, ValueError) as error:  # as Pillow reports damaged images
            issues.append(f"{path.name}: {str(error).removeprefix(f'{path}: ')}")
            continue
        names.append(name)
    if issues:
        log.warning(
            "%s: %d of %d photos skipped: %s", source, len(issues), len(photos), name_first(issues)
        )
    if not names:
        suffixes = ", ".join(IMAGE_SUFFIXES[:NUM_USUAL_SUFFIXES])
        raise PoseNetError(f"{source} must contain photos ({suffixes} and others), none is usable")
    return names


def sync_folder(folder: Path, names: Sequence[str], work: Path, *, outdated: Path) -> None:
    """Make the folder of an interrupted reconstruction match its inputs, which may have changed.

    Args:
        folder: the folder of images; those that are not listed are removed.
        names: names of the collected images.
        work: folder of the record of the images that were collected.
        outdated: a file computed from the images; removed if one of them has changed or is gone.
    """
    kept = {folder / name for name in names}
    for path in list(folder.rglob("*")):
        if path.is_file() and path not in kept:
            path.unlink()
    times = {name: _modification_time(folder / name) for name in names}
    if not _recorded_times(work).items() <= times.items():
        outdated.unlink(missing_ok=True)
    write_text(work / RECORD, json.dumps(times) + "\n")


def _recorded_times(work: Path) -> dict[str, int]:
    """Return the modification times of the previous run; without a record, one that never fits."""
    for name in (RECORD, OLD_RECORD):
        with suppress(OSError, ValueError):
            times = read_json(work / name)
            if isinstance(times, dict):
                return times
    return {"": 0}


def _subfolders(inputs: Sequence[Path]) -> list[str]:
    """Return a name for each input: without spaces, and different even if case is ignored."""
    stems = [replace_spaces(path.resolve().stem) or "input" for path in inputs]
    lowered = [stem.lower() for stem in stems]
    taken = {stem for stem in lowered if lowered.count(stem) == 1}
    for row, stem in enumerate(lowered):
        if lowered.count(stem) > 1:
            numbered = (f"{stems[row]}_{number}" for number in count(1))
            stems[row] = next(name for name in numbered if name.lower() not in taken)
            taken.add(stems[row].lower())
    return stems


def _readable_name(path: Path, taken: set[str]) -> str:
    """Return a name without spaces and with a readable suffix; add it to the lower-case names."""
    suffix = path.suffix if path.suffix.lower() in READABLE_SUFFIXES else ".jpg"
    name = replace_spaces(path.stem) + suffix
    while name != path.name and name.lower() in taken:
        name = f"{Path(name).stem}_{suffix}"
    taken.add(name.lower())
    return name


def _modification_time(path: Path) -> int:
    """Return when a file was changed, in nanoseconds; -1 if it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else -1
