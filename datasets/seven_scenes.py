"""7-Scenes (Shotton et al. 2013), the layout of Microsoft's own download.

`seq-NN/frame-NNNNNN.color.png` (or .jpg) beside `frame-NNNNNN.pose.txt`, a 4 x 4 camera-to-world matrix in
metres, OpenCV axes: already the canonical pose. `TrainSplit.txt` and `TestSplit.txt` list sequences, as
`sequence1` or `seq-01`. `camera-intrinsics.txt`, a 3 x 3 matrix, where present; otherwise the values of the
data set's page: focal length 585, principal point (320, 240), for 640 x 480.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.hygiene import RawScene
from posenet.images import picture_size
from posenet.scene import Camera

NAME = "7-Scenes"
LOOKS_FOR = "TrainSplit.txt or TestSplit.txt beside seq-NN folders"

SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
KINECT = (640, 480, 585.0, 585.0, 320.0, 240.0)


def recognises(folder: Path) -> bool:
    """Whether a split file lies beside sequence folders."""
    return any((folder / name).is_file() for name in SPLITS.values()) and any(folder.glob("seq-*"))


def read(folder: Path) -> RawScene:
    """Read all listed sequences. Raises PoseNetError (file:line) for what is malformed."""
    names, matrices, splits, sequences, sources = [], [], [], [], []
    for split, file_name in SPLITS.items():
        for sequence in _listed_sequences(folder / file_name):
            for pose_file in sorted((folder / sequence).glob("*.pose.txt")):
                names.append(f"{sequence}/{_picture_beside(pose_file)}")
                matrices.append(_read_matrix(pose_file, 4))
                splits.append(split)
                sequences.append(sequence)
                sources.append(f"{pose_file}:1")
    stacked = np.array(matrices).reshape(-1, 4, 4)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=stacked[:, :3, 3],
        quaternions_wxyz=_quaternions(stacked[:, :3, :3]), splits=splits, sequences=sequences, sources=sources,
        cameras=_cameras(folder, names),
    )  # fmt: skip


def _listed_sequences(path: Path) -> list[str]:
    if not path.is_file():
        return []
    sequences = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"\s*(?:sequence|seq-?)\s*(\d+)\s*", line)
        if not found:
            raise PoseNetError(f"{path}:{number}: a line must name a sequence like 'sequence1', received {line[:60]!r}")
        sequence = f"seq-{int(found[1]):02d}"
        if not (path.parent / sequence).is_dir():
            raise PoseNetError(f"{path}:{number}: the listed sequence needs a folder {path.parent / sequence}")
        sequences.append(sequence)
    return sequences


def _picture_beside(pose_file: Path) -> str:
    stem = pose_file.name.removesuffix(".pose.txt")
    for suffix in ("png", "jpg", "jpeg"):
        if (pose_file.parent / f"{stem}.color.{suffix}").exists():
            return f"{stem}.color.{suffix}"
    return f"{stem}.color.png"


def _read_matrix(path: Path, size: int) -> np.ndarray:
    """A size x size matrix of numbers in a text file."""
    rows = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != size:
            raise PoseNetError(f"{path}:{number}: a line must hold {size} numbers, received {line[:60]!r}")
        rows.append(row)
    if len(rows) != size:
        raise PoseNetError(f"{path}:{len(rows) + 1}: {size} lines of {size} numbers are needed, received {len(rows)}")
    return np.array(rows)


def _quaternions(matrices: np.ndarray) -> np.ndarray:
    """(n, 3, 3) -> (n, 4) wxyz; NaN where a matrix is no rotation to within 1e-2."""
    quaternions = np.full((len(matrices), 4), np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0)
        good = (off < 1e-2) & (np.linalg.det(np.nan_to_num(matrices, posinf=0, neginf=0)) > 0)
    if good.any():
        quaternions[good] = Rotation.from_matrix(matrices[good]).as_quat(canonical=True, scalar_first=True)
    return quaternions


def _cameras(folder: Path, names: list[str]) -> list[Camera | None]:
    camera = Camera(*KINECT)
    if (folder / "camera-intrinsics.txt").is_file():
        k = _read_matrix(folder / "camera-intrinsics.txt", 3)
        camera = Camera(640, 480, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    for name in names:
        try:
            camera = camera.resized(*picture_size(folder / name))
            break
        except PoseNetError:
            continue
    return [camera] * len(names)
