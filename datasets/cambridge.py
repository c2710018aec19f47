"""Cambridge Landmarks (Kendall et al. 2015): `dataset_train.txt` and `dataset_test.txt`.

Three header lines, then `seq1/frame00001.png X Y Z W P Q R`: XYZ is the camera centre in the world, WPQR the
WORLD-TO-CAMERA rotation as a Hamilton quaternion, w first (what COLMAP calls cam_from_world); it is conjugated
here. Metres. Intrinsics and 3-D points come from `reconstruction.nvm` where it is there.

Kendall's own 7-Scenes lists carry the same header, but CAMERA-TO-WORLD quaternions; their names tell:
`/seq-01/frame-000000.color.png`, with a leading slash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.nvm import read_nvm
from posenet.errors import PoseNetError
from posenet.hygiene import RawScene
from posenet.images import picture_size
from posenet.scene import Camera, ScenePoints

NAME = "Cambridge Landmarks"
LOOKS_FOR = "dataset_train.txt or dataset_test.txt"

FILES = {"train": "dataset_train.txt", "test": "dataset_test.txt"}
_KENDALL_7SCENES = re.compile(r"/seq-\d+/frame-\d+")


@dataclass(frozen=True)
class ListedPose:
    """One line of a list: the name as written, seven numbers X Y Z W P Q R, any further numbers, "file:line"."""

    name: str
    pose: tuple[float, ...]
    extra: tuple[float, ...]
    source: str


def recognises(folder: Path) -> bool:
    """Whether one of the two lists is there."""
    return any((folder / name).is_file() for name in FILES.values())


def read(folder: Path) -> RawScene:
    """Read both lists. Raises PoseNetError (file:line) for a malformed line."""
    return read_lists(folder, {split: folder / name for split, name in FILES.items() if (folder / name).is_file()})


def read_lists(folder: Path, lists: dict[str, Path]) -> RawScene:
    """Lists of this layout, {split: file}, as one raw scene; rows in the order of time inside each sequence."""
    rows, splits = [], []
    for split, path in lists.items():
        listed = sorted(read_list(path), key=lambda row: _natural(row.name))
        rows += listed
        splits += [split] * len(listed)
    camera_to_world = bool(rows) and all(_KENDALL_7SCENES.match(row.name) for row in rows)
    names = [_existing(folder, row.name.lstrip("/") if camera_to_world else row.name) for row in rows]
    numbers = np.array([row.pose for row in rows], np.float64).reshape(-1, 7)
    quaternions = numbers[:, 3:] * (1 if camera_to_world else np.array([1, -1, -1, -1]))
    cameras, points = _reconstruction(folder, names)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=numbers[:, :3], quaternions_wxyz=quaternions,
        splits=splits, sequences=[_sequence(name) for name in names], sources=[row.source for row in rows],
        cameras=cameras, points=points,
        quaternion_convention="world_from_camera" if camera_to_world else "camera_from_world",
    )  # fmt: skip


def read_list(path: Path) -> list[ListedPose]:
    """The lines of one list, with or without its header; numbers after the seventh are kept as extra."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PoseNetError(f"{path}: a text file in UTF-8 is needed, byte {error.start} is not") from None
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if not _is_header(line, number)]


def _is_header(line: str, number: int) -> bool:
    return (
        not line.strip() or line.startswith("#") or (number <= 3 and line.startswith(("Visual Landmark", "ImageFile")))
    )


def _parse(line: str, source: str) -> ListedPose:
    words = line.split()
    try:
        numbers = tuple(float(word) for word in words[1:])
    except ValueError:
        numbers = ()
    if len(numbers) < 7:
        raise PoseNetError(f"{source}: a line must be a name and 7 numbers X Y Z W P Q R, received {line[:80]!r}")
    return ListedPose(words[0], numbers[:7], numbers[7:], source)


def _natural(name: str) -> list:
    """A sorting key under which frame 10 comes after frame 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _existing(folder: Path, name: str) -> str:
    """The name, or the same with another usual suffix where only that file exists (.png lists beside .jpg files)."""
    if not (folder / name).exists() and ".." not in name and not name.startswith("/"):
        for suffix in (".jpg", ".png", ".jpeg", ".JPG"):
            other = str(PurePosixPath(name).with_suffix(suffix))
            if (folder / other).exists():
                return other
    return name


def _sequence(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _reconstruction(folder: Path, names: list[str]) -> tuple[list[Camera | None], ScenePoints | None]:
    """Cameras and points of reconstruction.nvm, matched to the names without their suffix."""
    none: list[Camera | None] = [None] * len(names)
    path = folder / "reconstruction.nvm"
    if not path.is_file():
        return none, None
    model = read_nvm(path)
    number = {str(PurePosixPath(name).with_suffix("")): row for row, name in enumerate(model.names)}
    cameras, row_of = none, np.full(len(model.names), -1)
    sizes: dict[str, tuple[int, int]] = {}
    for row, name in enumerate(names):
        found = number.get(str(PurePosixPath(name).with_suffix("")))
        if found is None:
            continue
        row_of[found] = row
        try:
            size = sizes.setdefault(_sequence(name), picture_size(folder / name))
        except (PoseNetError, OSError):
            continue
        focal = float(model.focals[found])
        cameras[row] = Camera(*size, focal, focal, size[0] / 2, size[1] / 2)
    rows = row_of[model.observations[:, 0]]
    kept = np.stack([rows, model.observations[:, 1]], axis=1)[rows >= 0]
    return cameras, ScenePoints(model.points, kept)
