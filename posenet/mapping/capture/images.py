"""From photographs and videos to a folder of upright, sharp, well-spaced images."""

from __future__ import annotations

import json
import logging
from itertools import count
from pathlib import Path

from posenet.datasets.formats.image_files import copy_upright, photographs_in
from posenet.datasets.formats.parsing import replace_spaces
from posenet.errors import PoseNetError
from posenet.io.files import write_text
from posenet.io.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, image_fault
from posenet.mapping.capture.frames import collect_video

log = logging.getLogger("posenet")

UNREAD = (".webp",)  # structure from motion does not read these: they become JPEG files


def collect_images(inputs: tuple[Path, ...], folder: Path, most: int) -> list[str]:
    """Put the images of all inputs into `folder` and return their names below it, in the order of time.

    inputs: folders of photographs, and videos; several become a folder each. most: images taken from a video.
    Raises PoseNetError for an input that is neither, and when nothing usable is found.
    """
    names: list[str] = []
    stems = _sequence_names(inputs)
    for path, stem in zip(inputs, stems, strict=True):
        target = folder / stem if len(inputs) > 1 else folder
        target.mkdir(parents=True, exist_ok=True)
        found = (
            collect_video(path, target, most) if is_video(path) else collect_photos(path, target)
        )
        names += [f"{stem}/{name}" if len(inputs) > 1 else name for name in found]
    return names


def is_video(path: Path) -> bool:
    """Whether a path is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def _sequence_names(inputs: tuple[Path, ...]) -> list[str]:
    """A short name for each input without blanks, all different, even where capitals do not count."""
    stems = [replace_spaces(path.resolve().stem) or "input" for path in inputs]
    small = [stem.lower() for stem in stems]
    taken = {stem for stem in small if small.count(stem) == 1}
    for row, stem in enumerate(small):
        if small.count(stem) > 1:
            stems[row] = next(
                name for n in count(1) if (name := f"{stems[row]}_{n}").lower() not in taken
            )
            taken.add(stems[row].lower())
    return stems


def collect_photos(source: Path, target: Path) -> list[str]:
    """Link or copy the photographs of a folder, turned upright where their EXIF says so, in natural order."""
    if not source.is_dir():
        raise PoseNetError(
            f"{source} must be a folder of photographs or a video ({', '.join(VIDEO_SUFFIXES)})"
        )
    photos = photographs_in(source)
    names: list[str] = []
    taken = {path.name.lower() for path in photos}
    for path in photos:
        fault = image_fault(path)
        if fault:
            log.warning("%s is left out: %s", path, fault)
            continue
        name = _name_in_capture(path, taken)
        try:
            if _time_of(target / name) != _time_of(path):
                copy_upright(path, target / name)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of a damaged image
            log.warning("%s is left out: %s", path, error)
            continue
        names.append(name)
    if not names:
        raise PoseNetError(
            f"{source} must hold photographs ({', '.join(IMAGE_SUFFIXES)}), none is usable"
        )
    return names


def _name_in_capture(path: Path, taken: set[str]) -> str:
    """A photograph's name without blanks and with a suffix that can be read; no other's, in small letters in `taken`,
    which it joins."""
    suffix = ".jpg" if path.suffix.lower() in UNREAD else path.suffix
    name = replace_spaces(path.stem) + suffix
    while name != path.name and name.lower() in taken:
        name = f"{Path(name).stem}_{suffix}"
    taken.add(name.lower())
    return name


def _time_of(path: Path) -> int:
    """When a file was last changed, nanoseconds; -1 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else -1


def settle(folder: Path, names: list[str], record: Path, made: Path) -> None:
    """Make a stopped capture's folder one of these images: remove those that the inputs have no more.

    made: what the stopped capture made of its images, a file, removed where one of these has changed or is gone, so
    that nothing of them comes back. record: the file that keeps what was collected, written anew.
    """
    kept = {folder / name for name in names}
    for path in [path for path in folder.rglob("*") if path.is_file() and path not in kept]:
        path.unlink()
    times = {name: _time_of(folder / name) for name in names}
    before = json.loads(record.read_text()) if record.is_file() else {"": 0}
    if not before.items() <= times.items():
        made.unlink(missing_ok=True)
    write_text(record, json.dumps(times) + "\n")
