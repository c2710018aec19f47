"""7-Scenes (Shotton et al. 2013), the layout of Microsoft's own download.

`seq-NN/frame-NNNNNN.color.png` (or .jpg) beside `frame-NNNNNN.pose.txt`, a 4 x 4 camera-to-world matrix in
metres, OpenCV axes: already the canonical pose. `TrainSplit.txt` and `TestSplit.txt` list sequences, as
`sequence1` or `seq-01`. `camera-intrinsics.txt`, a 3 x 3 matrix, where present; otherwise the values of the
data set's page: focal length 585, principal point (320, 240), for 640 x 480.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.cambridge import size_or_none
from posenet.datasets.text import natural_key, numbers_of, read_lines, shortened
from posenet.errors import PoseNetError
from posenet.hygiene import RawScene
from posenet.scene import Camera

NAME = "7-Scenes"
LOOKS_FOR = "TrainSplit.txt or TestSplit.txt beside seq-NN folders"

SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
KINECT = Camera(640, 480, 585.0, 585.0, 320.0, 240.0)
_WINDOWS_NAN = re.compile(rb"-?1\.#[A-Z0-9]+")
_FRAME = re.compile(r"(frame-[^.]+)\.(?:color\.(png|jpg|jpeg)|pose\.txt)")


def recognises(folder: Path) -> bool:
    """Whether one of the two split files is there."""
    return any((folder / name).is_file() for name in SPLITS.values())


def read(folder: Path) -> RawScene:
    """Read all frames of the listed sequences, in the order of their numbers.

    A frame without a pose file, and a matrix that is not rigid to within 1e-2, becomes a row of NaN for the label
    hygiene. Raises PoseNetError (file:line) for what is malformed.
    """
    names: list[str] = []
    splits: list[str] = []
    pose_files: list[Path] = []
    for split, file_name in SPLITS.items():
        for sequence in _listed_sequences(folder / file_name):
            for picture, pose_file in _frames(folder / sequence):
                names.append(f"{sequence}/{picture}")
                splits.append(split)
                pose_files.append(pose_file)
    matrices = np.array([_read_pose(path) for path in pose_files], np.float64).reshape(-1, 4, 4)
    rigid = _rigid(matrices)
    matrices[~rigid] = np.eye(4)
    quaternions = Rotation.from_matrix(matrices[:, :3, :3]).as_quat(canonical=True, scalar_first=True)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names,
        positions=np.where(rigid[:, None], matrices[:, :3, 3], np.nan),
        quaternions_wxyz=np.where(rigid[:, None], quaternions, np.nan),
        splits=splits, sequences=[name.split("/")[0] for name in names],
        sources=[f"{path}:1" for path in pose_files], cameras=_cameras(folder, names),
    )  # fmt: skip


def kinect_camera(size: tuple[int, int] | None) -> Camera | None:
    """The Kinect's intrinsics for pictures of that (width, height)."""
    return KINECT.resized(*size) if size is not None else None


def _listed_sequences(path: Path) -> list[str]:
    """The sequences' folders that a split file names; none when there is no such file."""
    sequences = []
    for place, line in read_lines(path) if path.is_file() else []:
        found = re.fullmatch(r"(?:sequence|seq-?)\s*([0-9]{1,9})", line)
        if not found:
            raise PoseNetError(f"{place}: a line must name a sequence like 'sequence1', received {shortened(line)}")
        sequence = f"seq-{int(found[1]):02d}"
        if not (path.parent / sequence).is_dir():
            raise PoseNetError(f"{place}: the listed sequence needs a folder {path.parent / sequence}")
        sequences.append(sequence)
    return sequences


def _frames(sequence: Path) -> list[tuple[str, Path]]:
    """The (picture's name, pose file) of every frame that has either, sorted."""
    frames: dict[str, str | None] = {}
    for name in sorted(os.listdir(sequence)):
        match = _FRAME.fullmatch(name)
        if match:
            frames[match[1]] = match[2] or frames.get(match[1])
    usual = next((suffix for suffix in frames.values() if suffix), "png")
    ordered = sorted(frames, key=natural_key)
    return [(f"{frame}.color.{frames[frame] or usual}", sequence / f"{frame}.pose.txt") for frame in ordered]


def _read_pose(path: Path) -> list[float]:
    """The 16 numbers of a pose file; NaN when there is no such file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [np.nan] * 16
    except OSError as error:
        raise PoseNetError(f"{path}: the pose cannot be read ({error.strerror})") from None
    try:
        values = [float(word) for word in _WINDOWS_NAN.sub(b"nan", data).split()]
    except ValueError:
        values = []
    if len(values) != 16:
        _read_matrix(path, 4)  # says which line is wrong
        raise PoseNetError(f"{path}:1: 4 lines of 4 numbers are needed, received {len(values)} numbers")
    return values


def _read_matrix(path: Path, size: int) -> np.ndarray:
    """A size x size matrix of numbers in a text file. Raises PoseNetError that names the first wrong line."""
    rows: list[tuple[float, ...]] = []
    wanted = f"{size} lines of {size} numbers are needed"
    for place, line in read_lines(path):
        words = line.split()
        if len(words) != size or len(rows) == size:
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)} as line {len(rows) + 1}")
        rows.append(numbers_of(words, place, wanted))
    if len(rows) != size:
        raise PoseNetError(f"{path}:{len(rows) + 1}: {wanted}, the file ends after {len(rows)}")
    return np.array(rows)


def _rigid(matrices: np.ndarray) -> np.ndarray:
    """(n,) whether a matrix is finite, its rotation orthonormal within 1e-2, and its last row 0 0 0 1."""
    finite = np.isfinite(matrices).all(axis=(1, 2))
    good = np.where(finite[:, None, None], np.clip(matrices, -1e9, 1e9), 0)
    turn = good[:, :3, :3]
    orthonormal = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0) < 1e-2
    last_row = np.abs(good[:, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) < 1e-6
    return finite & orthonormal & last_row & (np.linalg.det(turn) > 0)


def _cameras(folder: Path, names: list[str]) -> list[Camera | None]:
    """The intrinsics of the file for the pictures as they are, or the Kinect's scaled to them."""
    sizes = [size_or_none(folder / name) for name in names]
    file = folder / "camera-intrinsics.txt"
    if not file.is_file():
        return [kinect_camera(size) for size in sizes]
    k = _read_matrix(file, 3)
    if not (np.isfinite(k).all() and k[0, 0] > 0 and k[1, 1] > 0):
        raise PoseNetError(f"{file}:1: focal lengths must be finite and above 0, received {k[0, 0]} and {k[1, 1]}")
    fx, fy, cx, cy = (float(value) for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2]))
    return [Camera(size[0], size[1], fx, fy, cx, cy) if size is not None else None for size in sizes]
