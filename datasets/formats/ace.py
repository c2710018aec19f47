"""The folder form of ACE and DSAC*: `train/` and `test/`, each with `rgb/`, `poses/` and `calibration/`.

A pose file is a 4 x 4 camera-to-world matrix, OpenCV axes, meters; a calibration file one focal length in pixels
(the principal point is the image's middle) or a 3 x 3 matrix. Files belong together by their names:
`seq-01-frame-000000.color.png`, `.pose.txt`, `.calibration.txt`, or `seq1_frame00001.png` and `.txt`.
Source: github.com/nianticlabs/ace, dataset.py and README ("Your own data").
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.parsing import natural_key, parse_floats, read_lines
from posenet.datasets.formats.pose_conversion import from_matrices
from posenet.datasets.formats.seven_scenes import read_matrix, read_pose
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.images import IMAGE_SUFFIXES

NAME = "ACE, DSAC*"
LOOKS_FOR = "train/rgb beside train/poses, and test/"
_KIND = re.compile(r"\.(color|pose|calibration)$")
_SEQUENCE = re.compile(r"(seq-?\d+)[-_]")


def recognizes(folder: Path) -> bool:
    """Whether a split's images and poses are there."""
    return any(
        (folder / split / "rgb").is_dir() and (folder / split / "poses").is_dir()
        for split in ("train", "test")
    )


def read(folder: Path) -> RawScene:
    """Read both splits, each in the natural order of names; a image without a pose is reported.

    Raises PoseNetError (file:line) for what is malformed.
    """
    names: list[str] = []
    splits: list[str] = []
    pose_files: list[Path] = []
    cameras: list[Camera | None] = []
    for split in ("train", "test"):
        base = folder / split
        images, poses, calibrations = (
            _stems(base / kind) for kind in ("rgb", "poses", "calibration")
        )
        for stem in sorted(images, key=natural_key):
            names.append(f"{split}/rgb/{images[stem]}")
            splits.append(split)
            pose_files.append(base / "poses" / poses.get(stem, f"{stem}.txt"))
            calibration = (
                base / "calibration" / calibrations[stem] if stem in calibrations else None
            )
            cameras.append(_camera(calibration, folder / names[-1]))
    matrices = np.array([read_pose(path) for path in pose_files], np.float64).reshape(-1, 4, 4)
    positions, quaternions = from_matrices(matrices)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=splits, sequences=[_sequence(name) for name in names], sources=[f"{path}:1" for path in pose_files],
        cameras=cameras,
    )  # fmt: skip


def _stems(folder: Path) -> dict[str, str]:
    """{stem: file name}, the stem without .color, .pose and the like."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    usable = [name for name in names if name.lower().endswith((*IMAGE_SUFFIXES, ".txt"))]
    return {_KIND.sub("", os.path.splitext(name)[0]): name for name in usable}


def _sequence(name: str) -> str:
    """The sequence that a file's name begins with, below its split."""
    split, _, file = name.split("/")
    found = _SEQUENCE.match(file)
    return found[1] if found else split


def _camera(path: Path | None, image: Path) -> Camera | None:
    """The camera of a calibration file."""
    size = size_or_none(image)
    if path is None or size is None:
        return None
    lines = read_lines(path)
    if len(lines) == 1 and len(lines[0][1].split()) == 1:
        place, line = lines[0]
        (focal,) = parse_floats(
            [line], place, "a calibration must be a focal length or a 3 x 3 matrix"
        )
        fx, fy, cx, cy = focal, focal, size[0] / 2, size[1] / 2
    else:
        k = read_matrix(path, 3)
        fx, fy, cx, cy = (float(k[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if not (np.isfinite((fx, fy, cx, cy)).all() and min(fx, fy) > 0):
        raise PoseNetError(
            f"{path}:1: a focal length must be finite and above 0, received {fx} and {fy}"
        )
    return Camera(size[0], size[1], fx, fy, cx, cy)
