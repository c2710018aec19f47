"""VisualSFM's NVM files, version 3 (http://ccwu.me/vsfm/doc.html#nvm): cameras and points.

A camera line is `name focal qw qx qy qz cx cy cz radial 0`: world-to-camera quaternion, camera CENTRE. A point
line is `X Y Z R G B count (image feature x y) ...`, x and y in pixels from the principal point, the image's middle.
COLMAP and OpenSfM write them from the upper left corner.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.parsing import escape_comment, read_lines, shortened, tidy_name
from posenet.datasets.validation import LabelIssue
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

log = logging.getLogger("posenet")

SHRUNK = 1.1  # times half a image that measurements must reach to be of a larger one


@dataclass(frozen=True, eq=False)
class NVMModel:
    """n cameras and m points.

    sources: "file:line" of each camera.
    focals, radials: (n,) pixels and VisualSFM's radial coefficient. centers: (n, 3).
    camera_from_world_wxyz: (n, 4). points: (m, 3). observations: (k, 2) int rows (camera, point). reach: (n, 2) how far
    from the image's middle a camera's measurements lie, in pixels along x and y; 0 where that is not to be told.
    """

    names: list[str]
    sources: list[str]
    focals: np.ndarray
    camera_from_world_wxyz: np.ndarray
    centers: np.ndarray
    radials: np.ndarray
    points: np.ndarray
    observations: np.ndarray
    reach: np.ndarray


class _Lines:
    """The lines that are not empty, with their places."""

    def __init__(self, path: Path):
        self.path = path
        self.lines = read_lines(path)
        self.at = 0

    def next(self, what: str) -> str:
        if self.at >= len(self.lines):
            raise PoseNetError(f"{self.path}: {what} must follow, the file ends")
        self.at += 1
        return self.lines[self.at - 1][1]

    def wrong(self, what: str) -> PoseNetError:
        place, line = self.lines[self.at - 1]
        return PoseNetError(f"{place}: {what}, received {shortened(line)}")

    def count(self, what: str) -> int:
        line = self.next(what)
        if not (line.isascii() and line.isdigit()):
            raise self.wrong(f"{what} must be a whole number")
        return int(line)

    def another_model(self) -> bool:
        """Whether one more model follows: the end of them is a 0, or that of the file."""
        line = self.lines[self.at][1] if self.at < len(self.lines) else "0"
        return line.isascii() and line.isdigit() and int(line) > 0


def read_nvm(path: Path) -> NVMModel:
    """Read the model of an NVM file that has most cameras with points. Raises PoseNetError (file:line) for what is
    malformed.

    A file may hold several, each in a world of its own, and last one without points, of images that found no place. A
    fixed calibration in its first line is named in a warning, and not used: the cameras' own focal lengths are.
    """
    lines = _Lines(path)
    version, *calibration = lines.next("NVM_V3").split()
    if version != "NVM_V3":
        raise lines.wrong("an NVM file must begin with NVM_V3")
    if calibration:  # the images' size is not to be told from measurements then: they may count from its own point
        log.warning(
            "%s: the fixed calibration is not used, %s", lines.lines[0][0], " ".join(calibration)
        )
    models = [_read_model(lines)]
    while lines.another_model():
        models.append(_read_model(lines))
    placed = [model for model in models if len(model.points)] or models[:1]
    largest = max(placed, key=lambda model: len(model.names))
    if len(placed) > 1:
        counts = " + ".join(str(len(model.names)) for model in placed)
        log.warning(
            "%s: of models of %s images that of %d is read", path, counts, len(largest.names)
        )
    return replace(largest, reach=np.zeros_like(largest.reach)) if calibration else largest


def _read_model(lines: _Lines) -> NVMModel:
    names: list[str] = []
    sources: list[str] = []
    cameras: list[tuple[float, ...]] = []
    for _ in range(lines.count("the number of cameras")):
        words = lines.next("a camera line").rsplit(maxsplit=10)
        try:
            numbers = tuple(float(word) for word in words[1:])
        except ValueError:
            numbers = ()
        if len(numbers) != 10:
            raise lines.wrong("a camera line must be a name and 10 numbers")
        names.append(
            tidy_name(words[0].replace('"', " "))
        )  # VisualSFM writes a space as a quotation mark
        sources.append(lines.lines[lines.at - 1][0])
        cameras.append(numbers)
    points, observations, reach = _read_points(lines, len(names))
    table = np.array(cameras, np.float64).reshape(-1, 10)
    return NVMModel(
        names,
        sources,
        table[:, 0],
        table[:, 1:5],
        table[:, 5:8],
        table[:, 8],
        points,
        observations,
        reach,
    )


def _read_points(lines: _Lines, cameras: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(m, 3) points, (k, 2) rows (camera, point), and the cameras' reach (n, 2)."""
    points: list[tuple[float, ...]] = []
    seen: list[int] = []
    counts: list[int] = []
    measured: list[float] = []
    for _ in range(lines.count("the number of points") if lines.at < len(lines.lines) else 0):
        words = lines.next("a point line").split()
        try:
            points.append((float(words[0]), float(words[1]), float(words[2])))
            by = [int(word) for word in words[7::4]]
            xy = [float(word) for at in range(9, len(words), 4) for word in words[at : at + 2]]
            complete = len(words) == 7 + 4 * int(words[6])
        except (ValueError, IndexError):
            complete = False
        if not complete:
            raise lines.wrong(
                "a point line must be X Y Z R G B, a count, and 4 numbers for each measurement"
            )
        if by and not 0 <= min(by) <= max(by) < cameras:
            raise lines.wrong(f"a point must be seen by cameras 0 to {cameras - 1}")
        seen += by
        measured += xy
        counts.append(len(by))
    observations = np.column_stack(
        [np.array(seen, np.int64), np.repeat(np.arange(len(points)), counts)]
    )
    reach = np.zeros((cameras, 2))
    spots = np.array(measured).reshape(-1, 2)
    if len(spots) and spots.min() >= 0:  # from the corner
        spots = spots / 2
    np.maximum.at(reach, observations[:, 0].astype(np.int64), np.abs(spots))
    return np.array(points, np.float64).reshape(-1, 3), observations.astype(np.int64), reach


def nvm_cameras(
    model: NVMModel, rows: Sequence[int], root: Path, names: Sequence[str]
) -> tuple[list[Camera | None], list[LabelIssue]]:
    """The cameras of the model's rows, principal points in the middle of the images; None without a focal length.

    The file does not say how large the images were. Where measurements lie outside the images as they are now,
    these were shrunk since, and the focal lengths shrink with them: as far as the measurements reach (they come
    within a hundredth of the edges in scenes of many images).
    """
    sizes = [size_or_none(root / name) for name in names]
    shrunk = _shrinking(model.reach[list(rows)], sizes)
    cameras = [
        _camera(float(model.focals[row]) / shrunk.get(size, 1.0), float(model.radials[row]), size)
        for row, size in zip(rows, sizes, strict=True)
    ]
    resized = [name for name, size in zip(names, sizes, strict=True) if size in shrunk]
    kind = "image smaller than the reconstruction's"
    return cameras, [
        LabelIssue(kind, len(resized), resized[0], "focal length shrunk too")
    ] if resized else []


def _shrinking(
    reach: np.ndarray, sizes: Sequence[tuple[int, int] | None]
) -> dict[tuple[int, int], float]:
    """By how much the images of each size were shrunk, where they were. reach: (n, 2)."""
    factors = {}
    for size in {size for size in sizes if size}:
        of_size = np.array([each == size for each in sizes])
        farthest = np.sort(reach[of_size], axis=1).max(
            axis=0
        )  # files may be of images before their EXIF turned them
        factor = float((farthest / (np.sort(size) / 2)).max())
        if factor > SHRUNK:
            factors[size] = factor
    return factors


def _camera(focal: float, radial: float, size: tuple[int, int] | None) -> Camera | None:
    if size is None or not 0 < focal < np.inf:
        return None
    bent = radial != 0 and np.isfinite(radial)
    lens, distortion = ("SIMPLE_RADIAL", (-radial,)) if bent else ("PINHOLE", ())
    width, height = size
    return Camera(width, height, focal, focal, width / 2, height / 2, lens, distortion)


def write_nvm(
    path: Path, names: list[str], poses: Poses, focals, radials, points, colors, tracks
) -> None:
    """Write a model: n names, poses, focals (n,) and radials (n,), points (m, 3) with colors (m, 3) of 0-255.

    tracks: for each point its measurements (image, keypoint, x, y), pixels from the image's middle; points that
    nobody sees are left out.
    """
    lines = ["NVM_V3", "", str(len(names))]
    table = np.column_stack(
        [focals, poses.inverse().quaternions_wxyz, poses.positions, radials]
    ).tolist()
    for name, row in zip(names, table, strict=True):
        lines.append(f"{escape_comment(name.replace(' ', chr(34)))} {' '.join(map(repr, row))} 0")
    kept = [number for number, track in enumerate(tracks) if track]
    lines += ["", str(len(kept))]
    for number in kept:
        place = " ".join(f"{value:.9f}" for value in points[number])
        color = " ".join(map(str, colors[number]))
        seen = " ".join(
            f"{row} {keypoint} {x:.6f} {y:.6f}" for row, keypoint, x, y in tracks[number]
        )
        lines.append(f"{place} {color} {len(tracks[number])} {seen}")
    write_text(path, "\n".join([*lines, "", "0", ""]))
