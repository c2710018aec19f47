"""7-Scenes (Shotton et al. 2013), the layout of Microsoft's own download.

`seq-NN/frame-NNNNNN.color.png` (or .jpg) beside `frame-NNNNNN.pose.txt`, a 4 x 4 camera-to-world matrix in
meters, OpenCV axes: already the canonical pose. `TrainSplit.txt` and `TestSplit.txt` list sequences, as
`sequence1` or `seq-01`. `camera-intrinsics.txt`, a 3 x 3 matrix, where present; otherwise the values of the
data set's page: focal length 585, principal point (320, 240), for 640 x 480.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.parsing import natural_key, parse_floats, read_lines, shortened
from posenet.datasets.formats.pose_conversion import from_matrices
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text
from posenet.io.images import IMAGE_SUFFIXES

NAME = "7-Scenes"
LOOKS_FOR = "TrainSplit.txt or TestSplit.txt beside seq-NN folders"

SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
KINECT = Camera(640, 480, 585.0, 585.0, 320.0, 240.0)
_WINDOWS_NAN = re.compile(rb"-?1\.#[A-Z0-9]+")
_FRAME = re.compile(
    rf"(frame-[^.]+)\.(?:color\.({'|'.join(each[1:] for each in IMAGE_SUFFIXES)})|pose\.txt)"
)


def recognizes(folder: Path) -> bool:
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
            for image, pose_file in _frames(folder / sequence):
                names.append(f"{sequence}/{image}")
                splits.append(split)
                pose_files.append(pose_file)
    matrices = np.array([read_pose(path) for path in pose_files], np.float64).reshape(-1, 4, 4)
    positions, quaternions = from_matrices(matrices)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names,
        positions=positions, quaternions_wxyz=quaternions,
        splits=splits, sequences=[name.split("/")[0] for name in names],
        sources=[f"{path}:1" for path in pose_files], cameras=_cameras(folder, names),
    )  # fmt: skip


def kinect_camera(size: tuple[int, int] | None) -> Camera | None:
    """The Kinect's intrinsics for images of that (width, height)."""
    return KINECT.resized(*size) if size is not None else None


def _listed_sequences(path: Path) -> list[str]:
    """The sequences' folders that a split file names; none when there is no such file."""
    sequences = []
    for place, line in read_lines(path) if path.is_file() else []:
        found = re.fullmatch(r"(?:sequence|seq-?)\s*([0-9]{1,9})", line)
        if not found:
            raise PoseNetError(
                f"{place}: a line must name a sequence like 'sequence1', received {shortened(line)}"
            )
        sequence = f"seq-{int(found[1]):02d}"
        if not (path.parent / sequence).is_dir():
            raise PoseNetError(
                f"{place}: the listed sequence needs a folder {path.parent / sequence}"
            )
        sequences.append(sequence)
    return sequences


def _frames(sequence: Path) -> list[tuple[str, Path]]:
    """The (image's name, pose file) of every frame that has either, sorted."""
    frames: dict[str, str | None] = {}
    for name in sorted(os.listdir(sequence)):
        match = _FRAME.fullmatch(name)
        if match:
            frames[match[1]] = match[2] or frames.get(match[1])
    usual = next((suffix for suffix in frames.values() if suffix), "png")
    ordered = sorted(frames, key=natural_key)
    return [
        (f"{frame}.color.{frames[frame] or usual}", sequence / f"{frame}.pose.txt")
        for frame in ordered
    ]


def read_pose(path: Path) -> list[float]:
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
        return (
            read_matrix(path, 4).ravel().tolist()
        )  # takes comments and byte order marks, or says what is wrong
    return values


def read_matrix(path: Path, size: int) -> np.ndarray:
    """A size x size matrix of numbers in a text file. Raises PoseNetError that names the first wrong line."""
    rows: list[tuple[float, ...]] = []
    wanted = f"{size} lines of {size} numbers are needed"
    for place, line in read_lines(path):
        words = line.split()
        if len(words) != size or len(rows) == size:
            raise PoseNetError(
                f"{place}: {wanted}, received {shortened(line)} as line {len(rows) + 1}"
            )
        rows.append(parse_floats(words, place, wanted))
    if len(rows) != size:
        raise PoseNetError(f"{path}:{len(rows) + 1}: {wanted}, the file ends after {len(rows)}")
    return np.array(rows)


def _cameras(folder: Path, names: list[str]) -> list[Camera | None]:
    """The intrinsics of the file for the images as they are, or the Kinect's scaled to them."""
    sizes = [size_or_none(folder / name) for name in names]
    file = folder / "camera-intrinsics.txt"
    if not file.is_file():
        return [kinect_camera(size) for size in sizes]
    k = read_matrix(file, 3)
    if not (np.isfinite(k).all() and k[0, 0] > 0 and k[1, 1] > 0):
        raise PoseNetError(
            f"{file}:1: focal lengths must be finite and above 0, received {k[0, 0]} and {k[1, 1]}"
        )
    fx, fy, cx, cy = (float(value) for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2]))
    return [
        Camera(size[0], size[1], fx, fy, cx, cy) if size is not None else None for size in sizes
    ]


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write a pose file a image, the split files, and camera-intrinsics.txt where all images share one camera.

    Each sequence of a split becomes a folder seq-NN; files are numbered anew.
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
        write_text(folder / f"{frame}.pose.txt", _text(matrix))
    lost.append("names: sequences and images are numbered")
    for split, file in SPLITS.items():
        listed = [
            f"sequence{number}\n"
            for (its_split, _), number in numbers.items()
            if its_split == split
        ]
        write_text(folder / file, "".join(listed))
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera}:
        lost.append(
            "intrinsics, which are unknown or not the same for all images; readers take the Kinect's"
        )
    else:
        write_text(folder / "camera-intrinsics.txt", _text(camera.matrix))
        if camera.has_distortion:
            lost.append("lens distortion")
    return names


def _text(matrix: np.ndarray) -> str:
    return "".join(" ".join(map(repr, row)) + "\n" for row in matrix.tolist())
