"""Cambridge Landmarks (Kendall et al. 2015): `dataset_train.txt` and `dataset_test.txt`.

After three header lines, a line is `seq1/frame00001.png X Y Z W P Q R`. XYZ is the camera center in
the world frame, in meters. WPQR is the WORLD-TO-CAMERA rotation as a Hamilton quaternion, w first
(cam_from_world in COLMAP); it is inverted here. `reconstruction.nvm`, if present, contains
intrinsics and 3-D points.

Kendall's own 7-Scenes lists have the same header, but CAMERA-TO-WORLD quaternions. They are
recognized by their names with a leading slash, `/seq-01/frame-000000.color.png`, whatever the file
is called; `kendall_7scenes` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.cambridge_nvm import (
    RECONSTRUCTION,
    read_reconstruction,
    write_reconstruction,
)
from posenet.datasets.formats.image_names import (
    escape_comment,
    is_absolute,
    natural_key,
    replace_spaces,
)
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.parsing import ROW_FORM, ListRow, read_first_name, read_list
from posenet.datasets.formats.pose_columns import LIST_COLUMNS, check_columns
from posenet.datasets.formats.pose_conversion import CONJUGATE
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

__all__ = ["LOOKS_FOR", "NAME", "ListRow", "read", "read_list", "read_lists", "recognizes"]

NAME = "Cambridge Landmarks"
LOOKS_FOR = "dataset_train.txt or dataset_test.txt"
FILES = {"train": "dataset_train.txt", "test": "dataset_test.txt"}
HEADER = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
_KENDALL_NAME = re.compile(r"/seq-[0-9]+/frame-[0-9]+")


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains a list that is not one of Kendall's 7-Scenes lists.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    lists = [folder / name for name in FILES.values() if (folder / name).is_file()]
    return bool(lists) and not any(is_kendall_list(path) for path in lists)


def is_kendall_list(path: Path) -> bool:
    """Return whether the first name of a list is like /seq-01/frame-000000.color.png.

    Args:
        path: the list.

    Returns:
        True if it is.
    """
    return bool(_KENDALL_NAME.match(read_first_name(path) or ""))


def read(folder: Path) -> RawScene:
    """Read both lists, and the reconstruction if there is one.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a line is malformed.
    """
    return read_lists(
        folder, {split: folder / name for split, name in FILES.items() if (folder / name).is_file()}
    )


def read_lists(folder: Path, lists: dict[str, Path]) -> RawScene:
    """Read lists in this format.

    Sequences are in the order in which they first appear, and their rows in the order of time.

    Args:
        folder: the scene folder.
        lists: the list of each split.

    Returns:
        The labels.

    Raises:
        PoseNetError: a line is malformed, or only some of the names are like Kendall's.
    """
    listed = {split: _read_checked(path) for split, path in lists.items()}
    rows = [row for split in listed for row in listed[split]]
    splits = [split for split in listed for _ in listed[split]]
    camera_to_world = _is_camera_to_world(rows)
    written = [row.name.lstrip("/") if camera_to_world else row.name for row in rows]
    notes: list[str] = []
    names = find_images(folder, written, [row.source for row in rows], notes)
    order = _order_of_time(names, splits)
    rows = [rows[number] for number in order]
    names = [names[number] for number in order]
    numbers = np.array([row.numbers for row in rows], np.float64).reshape(-1, 7)
    reconstruction = read_reconstruction(folder, names)
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=numbers[:, :3],
        quaternions_wxyz=numbers[:, 3:] * (1.0 if camera_to_world else CONJUGATE),
        splits=[splits[number] for number in order],
        sequences=[_sequence_from_name(name) for name in names],
        sources=[row.source for row in rows],
        cameras=reconstruction.cameras,
        points=reconstruction.points,
        issues=reconstruction.issues,
        notes=notes,
        quaternion_convention="world_from_camera" if camera_to_world else "camera_from_world",
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write both lists, and reconstruction.nvm if all intrinsics are known.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, in one folder per sequence.
    """
    names = [
        _written_name(name, sequence)
        for name, sequence in zip(scene.names, scene.sequences, strict=True)
    ]
    for split, file in FILES.items():
        rows = np.flatnonzero(scene.splits == split)
        write_list(folder / file, [names[row] for row in rows], scene.poses[rows])
    if names != list(scene.names):
        lost.append("the folders of the images: each image is in a folder named after its sequence")
    cameras = [camera for camera in scene.cameras if camera is not None]
    if len(cameras) < len(scene):
        lost.append("intrinsics, which are not known for every image")
    else:
        write_reconstruction(folder / RECONSTRUCTION, scene, names, cameras, lost)
    return names


def write_list(path: Path, names: Sequence[str], poses: Poses) -> None:
    """Write a list with its header, with all digits.

    Args:
        path: the file to write.
        names: names of n images.
        poses: n poses; the quaternions are written world to camera.
    """
    table = np.hstack([poses.positions, poses.inverse().quaternions_wxyz]).tolist()
    lines = [
        f"{escape_comment(name)} {' '.join(map(repr, row))}\n"
        for name, row in zip(names, table, strict=True)
    ]
    write_text(path, HEADER + "".join(lines))


def _read_checked(path: Path) -> list[ListRow]:
    """Return the rows of a list, whose quaternions must be where the format has them."""
    rows = read_list(path, extra_columns=False)
    numbers = np.array([row.numbers for row in rows], np.float64).reshape(-1, 7)
    check_columns(numbers, LIST_COLUMNS, [row.source for row in rows], ROW_FORM)
    return rows


def _order_of_time(names: Sequence[str], splits: Sequence[str]) -> list[int]:
    """Return the order in which every sequence of a split is in the order of time."""
    groups = list(zip(splits, map(_sequence_from_name, names), strict=True))
    first = {group: row for row, group in reversed(list(enumerate(groups)))}
    return sorted(range(len(names)), key=lambda row: (first[groups[row]], natural_key(names[row])))


def _is_camera_to_world(rows: Sequence[ListRow]) -> bool:
    """Return whether the names are Kendall's. Raises PoseNetError if only some of them are."""
    kendall = [bool(_KENDALL_NAME.match(row.name)) for row in rows]
    if any(kendall) and not all(kendall):
        odd = rows[kendall.index(not kendall[0])]
        raise PoseNetError(
            f"{odd.source}: either all names must be like /seq-01/frame-000000.color.png (camera "
            f"to world) or none, received {odd.name} and {rows[0].name}"
        )
    for row in rows:
        if not any(kendall) and is_absolute(row.name) and _KENDALL_NAME.search(row.name):
            raise PoseNetError(
                f"{row.source}: the name of a 7-Scenes frame must start with /seq-NN (camera to "
                f"world) or seq-NN (world to camera), received {row.name}"
            )
    return any(kendall)


def _sequence_from_name(name: str) -> str:
    """Return the first folder of a name, or "all" if it has none."""
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    return parts[0] if len(parts) > 1 else "all"


def _written_name(name: str, sequence: str) -> str:
    """Return the file name in the folder of its sequence, without spaces."""
    return replace_spaces(f"{sequence.replace('/', '_')}/{PurePosixPath(name).name}")
