"""Kendall's lists of 7-Scenes: `<scene>_train.txt` with `<scene>_val.txt` or `<scene>_test.txt`.

They have the header and columns of Cambridge lists, but CAMERA-TO-WORLD quaternions, and names with
a leading slash (`/seq-01/frame-000000.color.png`), which is removed.
"""

from __future__ import annotations

from pathlib import Path

from posenet.datasets.formats.cambridge import is_kendall_list, read_lists
from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.seven_scenes import kinect_camera
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.io.folders import list_folder

NAME = "Kendall's 7-Scenes lists"
LOOKS_FOR = (
    "*_train.txt with *_val.txt or *_test.txt, of lines '/seq-01/frame-000000.color.png ...'"
)
PATTERNS = {"train": ("*_train.txt",), "test": ("*_val.txt", "*_test.txt")}


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains a list that starts with such a name.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return any(is_kendall_list(path) for paths in _find_lists(folder).values() for path in paths)


def read(folder: Path) -> RawScene:
    """Read the lists. The cameras are the Kinect's, scaled to the images.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a line is malformed or has another kind of name, or the folder contains the
            lists of several scenes.
    """
    lists: dict[str, Path] = {}
    for split, paths in _find_lists(folder).items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise PoseNetError(
                f"{folder}: the folder must contain one {split} list, received {names}"
            )
        if paths:
            lists[split] = paths[0]
    raw = read_lists(folder, lists)
    raw.cameras = [kinect_camera(size_or_none(folder / name)) for name in raw.names]
    return raw


def _find_lists(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split, by their names alone."""
    return {
        split: [
            path
            for path in list_folder(folder)
            if path.is_file() and any(path.match(pattern) for pattern in patterns)
        ]
        for split, patterns in PATTERNS.items()
    }
