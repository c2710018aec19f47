"""VisualSFM's NVM files, version 3 (http://ccwu.me/vsfm/doc.html#nvm): cameras and points.

A camera line is `name focal qw qx qy qz cx cy cz radial 0`: world-to-camera quaternion, camera CENTRE. A point
line is `X Y Z R G B count (image feature x y) ...`, x and y in pixels from the principal point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError


@dataclass(frozen=True, eq=False)
class NVMModel:
    """n cameras and m points.

    focals, radials: (n,) pixels and VisualSFM's radial coefficient. centres: (n, 3).
    camera_from_world_wxyz: (n, 4). points: (m, 3). observations: (k, 2) int rows (camera, point).
    """

    names: list[str]
    focals: np.ndarray
    camera_from_world_wxyz: np.ndarray
    centres: np.ndarray
    radials: np.ndarray
    points: np.ndarray
    observations: np.ndarray


class _Lines:
    """The lines that are not empty, with their numbers."""

    def __init__(self, path: Path):
        self.path = path
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        self.lines = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        self.at = 0

    def next(self, what: str) -> str:
        if self.at >= len(self.lines):
            raise PoseNetError(f"{self.path}: {what} must follow, the file ends")
        self.at += 1
        return self.lines[self.at - 1][1]

    def wrong(self, what: str) -> PoseNetError:
        number, line = self.lines[self.at - 1]
        return PoseNetError(f"{self.path}:{number}: {what}, received {line[:60]!r}")

    def count(self, what: str) -> int:
        try:
            return max(0, int(self.next(what)))
        except ValueError:
            raise self.wrong(f"{what} must be a whole number") from None


def read_nvm(path: Path) -> NVMModel:
    """Read the first model of an NVM file. Raises PoseNetError (file:line) for what is malformed."""
    lines = _Lines(path)
    if not lines.next("NVM_V3").startswith("NVM_V3"):
        raise lines.wrong("an NVM file must begin with NVM_V3")
    names, cameras = [], []
    for _ in range(lines.count("the number of cameras")):
        words = lines.next("a camera line").rsplit(maxsplit=10)
        try:
            cameras.append([float(word) for word in words[1:]])
        except ValueError:
            cameras.append([])
        if len(cameras[-1]) != 10:
            raise lines.wrong("a camera line must be a name and 10 numbers")
        names.append(words[0].strip('"'))
    points, observations = _read_points(lines)
    table = np.array(cameras).reshape(-1, 10)
    if len(observations) and observations[:, 0].max() >= len(names):
        raise PoseNetError(
            f"{path}: points must be seen by the {len(names)} cameras, one names camera {observations[:, 0].max()}"
        )
    return NVMModel(names, table[:, 0], table[:, 1:5], table[:, 5:8], table[:, 8], points, observations)


def _read_points(lines: _Lines) -> tuple[np.ndarray, np.ndarray]:
    points, observations = [], []
    for point in range(lines.count("the number of points") if lines.at < len(lines.lines) else 0):
        words = lines.next("a point line").split()
        try:
            points.append([float(word) for word in words[:3]])
            seen = [int(word) for word in words[7::4]]
            complete = len(words) == 7 + 4 * int(words[6])
        except (ValueError, IndexError):
            complete = False
        if not complete:
            raise lines.wrong("a point line must be X Y Z R G B, a count, and 4 numbers for each measurement")
        observations += [(camera, point) for camera in seen]
    return np.array(points).reshape(-1, 3), np.array(observations, int).reshape(-1, 2)
