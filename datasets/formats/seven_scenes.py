"""7-Scenes (Shotton et al. 2013), in the layout of Microsoft's own download.

`seq-NN/frame-NNNNNN.color.png` (or .jpg) beside `frame-NNNNNN.pose.txt`, a 4 x 4 camera-to-world
matrix in meters, OpenCV axes. `TrainSplit.txt` and `TestSplit.txt` list sequences as `sequence1` or
`seq-01`. `camera-intrinsics.txt`, if present, contains the intrinsics as a 3 x 3 matrix. The
default is from the data set's page: focal length 585, principal point (320, 240), for 640 x 480.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.calibration import check_intrinsics
from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.image_names import natural_key
from posenet.datasets.formats.matrix_files import read_matrix, read_poses
from posenet.datasets.formats.parsing import read_lines, shorten
from posenet.datasets.formats.pose_matrices import from_matrices
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text
from posenet.io.folders import list_folder
from posenet.io.image_headers import IMAGE_SUFFIXES

NAME = "7-Scenes"
LOOKS_FOR = "TrainSplit.txt or TestSplit.txt beside seq-NN folders"

SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
INTRINSICS_FILE = "camera-intrinsics.txt"
# From the data set's page.
KINECT = Camera(640, 480, 585.0, 585.0, 320.0, 240.0)
_SEQUENCE = re.compile(r"(?:sequence|seq-?)\s*([0-9]{1,9})")
_SUFFIXES = "|".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
_FRAME = re.compile(rf"(frame-[^.]+)\.(?:color\.((?i:{_SUFFIXES}))|pose\.txt)")


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains one of the two split files.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return any((folder / name).is_file() for name in SPLITS.values())


def read(folder: Path) -> RawScene:
    """Read all frames of the listed sequences, in the order of their numbers.

    A frame without a pose file or with an unusable matrix gets a NaN pose, which label validation
    reports.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a file is malformed.
    """
    names: list[str] = []
    splits: list[str] = []
    pose_files: list[Path] = []
    for split, file_name in SPLITS.items():
        for sequence in _read_split(folder / file_name):
            for image, pose_file in _find_frames(folder / sequence):
                names.append(f"{sequence}/{image}")
                splits.append(split)
                pose_files.append(pose_file)
    poses = from_matrices(read_poses(pose_files))
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=poses.positions,
        quaternions_wxyz=poses.quaternions_wxyz,
        splits=splits,
        sequences=[name.split("/")[0] for name in names],
        sources=[f"{path}:1" for path in pose_files],
        cameras=_read_cameras(folder, names),
        row_issues=poses.issues,
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write one pose file per image, the split files, and camera-intrinsics.txt for one camera.

    Each sequence of a split becomes a folder seq-NN, and images are numbered.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images.
    """
    numbers: dict[tuple[str, str], int] = {}
    counts: dict[int, int] = {}
    names = []
    for name, split, sequence, matrix in zip(
        scene.names, scene.splits, scene.sequences, scene.poses.matrices, strict=True
    ):
        number = numbers.setdefault((split, sequence), len(numbers) + 1)
        frame = f"seq-{number:02d}/frame-{counts.setdefault(number, 0):06d}"
        counts[number] += 1
        names.append(f"{frame}.color{os.path.splitext(name)[1].lower()}")
        (folder / frame).parent.mkdir(exist_ok=True)
        write_text(folder / f"{frame}.pose.txt", _format_matrix(matrix))
    lost.append("names: sequences and images are numbered")
    for split, file in SPLITS.items():
        lines = [f"sequence{number}\n" for key, number in numbers.items() if key[0] == split]
        write_text(folder / file, "".join(lines))
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera}:
        lost.append(
            "intrinsics, which are unknown or differ between images; readers assume the Kinect's"
        )
    else:
        write_text(folder / INTRINSICS_FILE, _format_matrix(camera.matrix))
        if camera.has_distortion:
            lost.append("lens distortion")
    return names


def kinect_camera(size: tuple[int, int] | None) -> Camera | None:
    """Return the intrinsics of the Kinect for images of a size.

    Args:
        size: (width, height) in pixels.

    Returns:
        The camera; None if the size is.
    """
    return KINECT.resized(*size) if size is not None else None


def _read_split(path: Path) -> list[str]:
    """Return the folders of the sequences in a split file, none if there is no such file."""
    sequences = []
    for source, line in read_lines(path) if path.is_file() else []:
        match = _SEQUENCE.fullmatch(line)
        if not match:
            raise PoseNetError(
                f"{source}: a line must name a sequence like 'sequence1', received {shorten(line)}"
            )
        sequence = f"seq-{int(match[1]):02d}"
        if not (path.parent / sequence).is_dir():
            raise PoseNetError(f"{source}: sequence folder not found: {path.parent / sequence}")
        sequences.append(sequence)
    return sequences


def _find_frames(sequence: Path) -> list[tuple[str, Path]]:
    """Return the name of the image and the pose file of every frame that has either, sorted."""
    suffixes: dict[str, str | None] = {}
    for path in list_folder(sequence):
        match = _FRAME.fullmatch(path.name)
        if match:
            suffixes[match[1]] = match[2] or suffixes.get(match[1])
    usual = next((suffix for suffix in suffixes.values() if suffix), "png")
    return [
        (f"{frame}.color.{suffixes[frame] or usual}", sequence / f"{frame}.pose.txt")
        for frame in sorted(suffixes, key=natural_key)
    ]


def _read_cameras(folder: Path, names: list[str]) -> list[Camera | None]:
    """Return the cameras of the intrinsics file, or the Kinect's, for the sizes of the images."""
    sizes = [size_or_none(folder / name) for name in names]
    file = folder / INTRINSICS_FILE
    if not file.is_file():
        return [kinect_camera(size) for size in sizes]
    k = read_matrix(file, 3)
    check_intrinsics(k[0, 0], k[1, 1], *k.ravel(), source=f"{file}:1")
    return [
        Camera(size[0], size[1], k[0, 0], k[1, 1], k[0, 2], k[1, 2]) if size is not None else None
        for size in sizes
    ]


def _format_matrix(matrix: np.ndarray) -> str:
    """Return a matrix as text, one row per line, with all digits."""
    return "".join(" ".join(map(repr, row)) + "\n" for row in matrix.tolist())
