"""Cambridge Landmarks (Kendall et al. 2015): `dataset_train.txt` and `dataset_test.txt`.

Three header lines, then `seq1/frame00001.png X Y Z W P Q R`: XYZ is the camera center in the world, WPQR the
WORLD-TO-CAMERA rotation as a Hamilton quaternion, w first (what COLMAP calls cam_from_world); it is conjugated
here. Meters. Intrinsics and 3-D points come from `reconstruction.nvm` where it is there.

Kendall's own 7-Scenes lists carry the same header, but CAMERA-TO-WORLD quaternions; their names tell:
`/seq-01/frame-000000.color.png`, with a leading slash. `kendall_7scenes` takes them, whatever the file is called.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.image_files import existing_name
from posenet.datasets.formats.nvm import nvm_cameras, read_nvm, write_nvm
from posenet.datasets.formats.parsing import (
    ListRow,
    escape_comment,
    first_name,
    natural_key,
    read_list,
    replace_spaces,
    without_suffix,
)
from posenet.datasets.formats.tracks import measured_points
from posenet.datasets.scene import Scene, ScenePoints
from posenet.datasets.validation import LabelIssue, RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

__all__ = ["LOOKS_FOR", "NAME", "ListRow", "read", "read_list", "read_lists", "recognizes"]

NAME = "Cambridge Landmarks"
LOOKS_FOR = "dataset_train.txt or dataset_test.txt"
FILES = {"train": "dataset_train.txt", "test": "dataset_test.txt"}
CONJUGATE = np.array(
    [1.0, -1.0, -1.0, -1.0]
)  # by signs alone: broken quaternions reach the label hygiene
HEADER = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
_KENDALL_NAME = re.compile(r"/seq-[0-9]+/frame-[0-9]+")


def recognizes(folder: Path) -> bool:
    """Whether one of the two lists is there, and not with the rows of Kendall's 7-Scenes lists."""
    lists = [folder / name for name in FILES.values() if (folder / name).is_file()]
    return bool(lists) and not any(is_kendall_list(path) for path in lists)


def is_kendall_list(path: Path) -> bool:
    """Whether the first name of a list is like /seq-01/frame-000000.color.png."""
    return bool(_KENDALL_NAME.match(first_name(path) or ""))


def read(folder: Path) -> RawScene:
    """Read both lists. Raises PoseNetError (file:line) for a malformed line."""
    return read_lists(
        folder, {split: folder / name for split, name in FILES.items() if (folder / name).is_file()}
    )


def read_lists(folder: Path, lists: dict[str, Path]) -> RawScene:
    """Lists of this layout, {split: file}, as one raw scene.

    Sequences stay in the order in which they first appear; inside each the rows are in the order of time.
    """
    rows, splits = _sorted_rows(lists)
    camera_to_world = _one_convention(rows)
    names = [
        existing_name(folder, row.name.lstrip("/") if camera_to_world else row.name) for row in rows
    ]
    numbers = np.array([row.numbers for row in rows], np.float64).reshape(-1, 7)
    cameras, points, faults = _reconstruction(folder, names)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=numbers[:, :3],
        quaternions_wxyz=numbers[:, 3:] * (1.0 if camera_to_world else CONJUGATE),
        splits=splits, sequences=[_sequence(name) for name in names], sources=[row.source for row in rows],
        cameras=cameras, points=points, faults=faults,
        quaternion_convention="world_from_camera" if camera_to_world else "camera_from_world",
    )  # fmt: skip


def _sorted_rows(lists: dict[str, Path]) -> tuple[list[ListRow], list[str]]:
    """The rows of all lists and the split of each, every sequence in the order of its frames."""
    found = [
        (row, split)
        for split, path in lists.items()
        for row in read_list(path, extra_columns=False)
    ]
    order: dict[tuple[str, str], int] = {}
    for row, split in found:
        order.setdefault((split, _sequence(row.name)), len(order))
    found.sort(
        key=lambda each: (order[each[1], _sequence(each[0].name)], natural_key(each[0].name))
    )
    return [row for row, _ in found], [split for _, split in found]


def _one_convention(rows: list[ListRow]) -> bool:
    """Whether the rows are Kendall's, camera to world. Raises PoseNetError when only some of them are."""
    kendall = [bool(_KENDALL_NAME.match(row.name)) for row in rows]
    if any(kendall) and not all(kendall):
        odd = rows[kendall.index(not kendall[0])]
        raise PoseNetError(
            f"{odd.source}: all names must be like /seq-01/frame-000000.color.png (camera to world) or none, "
            f"received {odd.name} beside {rows[0].name}"
        )
    return all(kendall) and bool(kendall)


def _sequence(name: str) -> str:
    """The first folder of a name; "all" for a name without a folder."""
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    return parts[0] if len(parts) > 1 else "all"


def _reconstruction(
    folder: Path, names: list[str]
) -> tuple[list[Camera | None], ScenePoints | None, list[LabelIssue]]:
    """Cameras and points of reconstruction.nvm, matched to the names without their suffix, and what is wrong there."""
    cameras: list[Camera | None] = [None] * len(names)
    path = folder / "reconstruction.nvm"
    if not path.is_file():
        return cameras, None, []
    model = read_nvm(path)
    number = {without_suffix(name): row for row, name in enumerate(model.names)}
    row_of = np.full(len(model.names), -1)
    placed = [row for row, name in enumerate(names) if without_suffix(name) in number]
    theirs = [number[without_suffix(names[row])] for row in placed]
    row_of[theirs] = placed
    found, faults = nvm_cameras(model, theirs, folder, [names[row] for row in placed])
    for row, camera in zip(placed, found, strict=True):
        cameras[row] = camera
    rows = row_of[model.observations[:, 0]]
    kept = np.stack([rows, model.observations[:, 1]], axis=1)[rows >= 0]
    return cameras, ScenePoints(model.points, kept), faults


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write both lists, and reconstruction.nvm where all intrinsics are known; a folder for each sequence."""
    names = [
        _written_name(name, sequence)
        for name, sequence in zip(scene.names, scene.sequences, strict=True)
    ]
    for split, file in FILES.items():
        chosen = np.flatnonzero(scene.splits == split)
        write_list(folder / file, [names[row] for row in chosen], scene.poses[chosen])
    if names != list(scene.names):
        lost.append("the images' folders: each lies in one called as its sequence")
    cameras = [camera for camera in scene.cameras if camera is not None]
    if len(cameras) < len(scene):
        lost.append("intrinsics, which are not known for every image")
        return names
    if any(
        abs(c.fx / c.fy - 1) > 1e-9 or (c.cx, c.cy) != (c.width / 2, c.height / 2) for c in cameras
    ):
        lost.append("principal points, and the difference between fx and fy")
    if any(c.lens not in ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL") for c in cameras):
        lost.append("lens distortion, but for a single radial coefficient")
    radials = [-c.distortion[0] if c.lens == "SIMPLE_RADIAL" else 0.0 for c in cameras]
    points, tracks = measured_points(scene, lost, from_middle=True)
    focals = [np.sqrt(c.fx * c.fy) for c in cameras]
    gray = np.full((len(points), 3), 128)
    write_nvm(
        folder / "reconstruction.nvm", names, scene.poses, focals, radials, points, gray, tracks
    )
    return names


def _written_name(name: str, sequence: str) -> str:
    """The file in its sequence's folder, without blanks."""
    return replace_spaces(f"{sequence.replace('/', '_')}/{PurePosixPath(name).name}")


def write_list(path: Path, names: list[str], poses: Poses) -> None:
    """A Cambridge list: camera centers, and quaternions world to camera, in digits that read back exactly."""
    table = np.hstack([poses.positions, poses.inverse().quaternions_wxyz]).tolist()
    lines = [
        f"{escape_comment(name)} {' '.join(map(repr, row))}\n"
        for name, row in zip(names, table, strict=True)
    ]
    write_text(path, HEADER + "".join(lines))
