"""Scenes of ACE and DSAC*: `train/` and `test/`, each with `rgb/`, `poses/` and `calibration/`.

A pose file is a 4 x 4 camera-to-world matrix, OpenCV axes, meters. A calibration file is one focal
length in pixels, with the principal point in the image center, or a 3 x 3 matrix. Files are matched
by name: `seq-01-frame-000000.color.png`, `.pose.txt`, `.calibration.txt`, or
`seq1_frame00001.png` and `.txt`.
Source: github.com/nianticlabs/ace, dataset.py and README ("Your own data").
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from posenet.datasets.formats.calibration import check_intrinsics
from posenet.datasets.formats.image_files import describe_unsupported, size_or_none
from posenet.datasets.formats.image_names import natural_key
from posenet.datasets.formats.matrix_files import read_matrix, read_poses
from posenet.datasets.formats.parsing import parse_floats, read_lines
from posenet.datasets.formats.pose_matrices import from_matrices
from posenet.datasets.validation import RawScene
from posenet.geometry.camera import Camera
from posenet.io.folders import list_folder, normalize_name
from posenet.io.image_headers import IMAGE_SUFFIXES

NAME = "ACE, DSAC*"
LOOKS_FOR = "train/rgb beside train/poses, and test/"
_KIND = re.compile(r"\.(color|pose|calibration)$")
_SEQUENCE = re.compile(r"(seq-?\d+)[-_]")


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains the images and poses of a split.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return any(
        (folder / split / "rgb").is_dir() and (folder / split / "poses").is_dir()
        for split in ("train", "test")
    )


def read(folder: Path) -> RawScene:
    """Read both splits, each in the natural order of names.

    An image without a pose file gets a NaN pose, which label validation reports.

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
    cameras: list[Camera | None] = []
    notes: list[str] = []
    for split in ("train", "test"):
        base = folder / split
        images = _files_by_stem(base / "rgb")
        notes += describe_unsupported(base / "rgb")
        files = _files_by_stem(base / "poses")
        calibrations = _files_by_stem(base / "calibration")
        for stem in sorted(images, key=natural_key):
            name = f"{split}/rgb/{images[stem]}"
            names.append(name)
            splits.append(split)
            pose_files.append(base / "poses" / files.get(stem, f"{stem}.txt"))
            calibration = calibrations.get(stem)
            path = None if calibration is None else base / "calibration" / calibration
            cameras.append(_read_camera(path, folder / name))
    poses = from_matrices(read_poses(pose_files))
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=poses.positions,
        quaternions_wxyz=poses.quaternions_wxyz,
        splits=splits,
        sequences=[_sequence_from_name(name) for name in names],
        sources=[f"{path}:1" for path in pose_files],
        cameras=cameras,
        notes=notes,
        row_issues=poses.issues,
    )


def _files_by_stem(folder: Path) -> dict[str, str]:
    """Return the file names of a folder by their stem, without .color, .pose and the like."""
    names = [path.name for path in list_folder(folder)] if folder.is_dir() else []
    usable = [name for name in names if name.lower().endswith((*IMAGE_SUFFIXES, ".txt"))]
    return {_KIND.sub("", os.path.splitext(normalize_name(name))[0]): name for name in usable}


def _sequence_from_name(name: str) -> str:
    """Return the sequence that a file name starts with, or the split if there is none."""
    split, _, file = name.split("/")
    match = _SEQUENCE.match(file)
    return match[1] if match else split


def _read_camera(path: Path | None, image: Path) -> Camera | None:
    """Read a calibration file; None without it or without the size of the image."""
    size = size_or_none(image)
    if path is None or size is None:
        return None
    width, height = size
    lines = read_lines(path)
    if len(lines) == 1 and len(lines[0][1].split()) == 1:
        source, line = lines[0]
        wanted = "a calibration must be a focal length or a 3 x 3 matrix"
        (focal,) = parse_floats([line], source, wanted)
        camera = Camera(width, height, focal, focal, width / 2, height / 2)
    else:
        k = read_matrix(path, 3)
        camera = Camera(width, height, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    check_intrinsics(camera.fx, camera.fy, camera.cx, camera.cy, source=f"{path}:1")
    return camera
