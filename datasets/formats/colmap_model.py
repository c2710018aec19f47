"""The files of a COLMAP model, text and binary: cameras, images, points3D.

Layout: colmap.github.io/format.html and COLMAP's src/colmap/scene/reconstruction_io*.cc. An image holds
cam_from_world: a Hamilton quaternion, w first, and a translation. Rigs and frames (COLMAP 4) are not needed: every
image also states its own pose.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import parse_floats, raw_lines, shortened, tidy_name
from posenet.datasets.formats.tracks import measured_points
from posenet.datasets.intrinsics import guess_camera
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS, camera_from_colmap, colmap_parameters
from posenet.io.files import write_text

BY_NUMBER = {lens.number: name for name, lens in CAMERA_MODELS.items()}
NO_POINT = 2**64 - 1  # a keypoint that belongs to no 3-D point


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """n images and m points; rows as in the files.

    names, sources ("file:line" or "file"): n. quaternions_wxyz: (n, 4) and translations: (n, 3), camera_from_world.
    cameras: n. points: (m, 3). observations: (k, 2) int rows (image, point).
    """

    names: list[str]
    sources: list[str]
    quaternions_wxyz: np.ndarray
    translations: np.ndarray
    cameras: list[Camera]
    points: np.ndarray
    observations: np.ndarray


def model_suffix(folder: Path) -> str | None:
    """ ".bin" or ".txt" where the folder holds cameras and images in that form, else None."""
    for suffix in (".bin", ".txt"):
        if all((folder / (name + suffix)).is_file() for name in ("cameras", "images")):
            return suffix
    return None


def read_model(folder: Path) -> ColmapModel:
    """Read the model in a folder. Raises PoseNetError (file:line, or file and byte) for what is malformed."""
    suffix = model_suffix(folder)
    if suffix is None:
        raise PoseNetError(f"{folder} must hold cameras and images, .bin or .txt")
    binary = suffix == ".bin"
    cameras = (_binary_cameras if binary else _text_cameras)(folder / f"cameras{suffix}")
    rows = (_binary_images if binary else _text_images)(folder / f"images{suffix}")
    for row in rows:
        if row.camera not in cameras:
            raise PoseNetError(
                f"{row.source}: the camera {row.camera} must stand in cameras{suffix}, it does not"
            )
    file = folder / f"points3D{suffix}"
    numbers = {row.number: at for at, row in enumerate(rows)}
    points, seen = (
        (_binary_points if binary else _text_points)(file) if file.is_file() else ([], [])
    )
    counts = [len(images) for images in seen]
    images = np.array([numbers.get(image, -1) for each in seen for image in each], np.int64)
    observations = np.stack([images, np.repeat(np.arange(len(points)), counts)], axis=1)
    poses = np.array([row.pose for row in rows], np.float64).reshape(-1, 7)
    return ColmapModel(
        [row.name for row in rows], [row.source for row in rows], poses[:, :4], poses[:, 4:],
        [cameras[row.camera] for row in rows], np.array(points, np.float64).reshape(-1, 3),
        np.unique(observations[observations[:, 0] >= 0], axis=0),
    )  # fmt: skip


@dataclass(frozen=True)
class _Image:
    number: int
    pose: tuple[float, ...]
    camera: int
    name: str
    source: str


def _camera(lens: str, size: tuple[int, int], parameters: tuple[float, ...], place: str) -> Camera:
    try:
        camera = camera_from_colmap(lens, *size, parameters)
    except KeyError:
        raise PoseNetError(
            f"{place}: the camera model must be one of COLMAP's, received {shortened(lens)}"
        ) from None
    except ValueError as error:
        raise PoseNetError(f"{place}: {error}") from None
    good = min(size) > 0 and np.isfinite(parameters).all() and min(camera.fx, camera.fy) > 0
    if not good:
        raise PoseNetError(
            f"{place}: a camera's size and focal length must be finite and above 0, received {camera}"
        )
    return camera


# Text


def _whole(column: str, place: str, what: str) -> int:
    if not (column.isascii() and column.lstrip("-").isdigit() and len(column) < 20):
        raise PoseNetError(f"{place}: {what} must be a whole number, received {shortened(column)}")
    return int(column)


def _text_cameras(path: Path) -> dict[int, Camera]:
    wanted = "a camera line must be CAMERA_ID MODEL WIDTH HEIGHT PARAMS..."
    cameras = {}
    for place, line in raw_lines(path):
        columns = line.split()
        if not columns:
            continue
        if len(columns) < 4:
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
        size = _whole(columns[2], place, "the width"), _whole(columns[3], place, "the height")
        parameters = parse_floats(columns[4:], place, wanted)
        cameras[_whole(columns[0], place, "the camera's number")] = _camera(
            columns[1], size, parameters, place
        )
    return cameras


def _text_images(path: Path) -> list[_Image]:
    """Two lines an image; the second holds the keypoints and may be empty."""
    wanted = "an image line must be IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
    rows = []
    lines = raw_lines(path)
    at = 0
    while at < len(lines):
        place, line = lines[at]
        if not line:  # an empty line where an image may begin separates nothing
            at += 1
            continue
        columns = line.split(maxsplit=9)
        if len(columns) != 10:
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
        number, camera = (
            _whole(columns[0], place, "IMAGE_ID"),
            _whole(columns[8], place, "CAMERA_ID"),
        )
        pose = parse_floats(columns[1:8], place, wanted)
        if at + 1 < len(lines) and len(lines[at + 1][1].split()) % 3:
            raise PoseNetError(
                f"{lines[at + 1][0]}: the line behind an image must hold X Y POINT3D_ID for each keypoint, or be "
                f"empty, received {shortened(lines[at + 1][1])}"
            )
        rows.append(_Image(number, pose, camera, tidy_name(columns[9]), place))
        at += 2
    return rows


def _text_points(path: Path) -> tuple[list[tuple[float, ...]], list[list[int]]]:
    wanted = "a point line must be POINT3D_ID X Y Z R G B ERROR and pairs IMAGE_ID POINT2D_IDX"
    points, seen = [], []
    for place, line in raw_lines(path):
        columns = line.split()
        if not columns:
            continue
        if len(columns) < 8 or len(columns) % 2:
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
        points.append(parse_floats(columns[1:4], place, wanted))
        seen.append([_whole(column, place, "IMAGE_ID") for column in columns[8::2]])
    return points, seen


# Binary, little-endian


class _Bytes:
    """A file read piece by piece, never beyond its end."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise PoseNetError(f"{path}: the file cannot be read ({error.strerror})") from None
        self.at = 0

    def take(self, form: str) -> tuple:
        size = struct.calcsize("<" + form)
        self.need(size)
        self.at += size
        return struct.unpack_from("<" + form, self.data, self.at - size)

    def need(self, size: int) -> None:
        left = len(self.data) - self.at
        if size > left:
            raise PoseNetError(
                f"{self.path}: {size} more bytes are needed at byte {self.at}, only {left} follow"
            )

    def count(self, smallest: int) -> int:
        """A count of entries of at least so many bytes each: one that the file cannot hold is refused."""
        (number,) = self.take("Q")
        self.need(number * smallest)
        return number

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise PoseNetError(
                f"{self.path}: the name at byte {self.at} must end, the file does before"
            )
        piece, self.at = self.data[self.at : end], end + 1
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            raise PoseNetError(
                f"{self.path}: the name before byte {end} must be UTF-8, received {shortened(repr(piece))}"
            ) from None

    def skip(self, size: int) -> None:
        self.need(size)
        self.at += size


def _binary_cameras(path: Path) -> dict[int, Camera]:
    file = _Bytes(path)
    cameras = {}
    for _ in range(file.count(24)):
        place = f"{path} at byte {file.at}"
        number, model, width, height = file.take("iiQQ")
        lens = BY_NUMBER.get(model)
        if lens is None:
            raise PoseNetError(
                f"{place}: the camera model must be one of COLMAP's (0 to {max(BY_NUMBER)}), received {model}"
            )
        parameters = file.take(f"{CAMERA_MODELS[lens].parameters}d")
        cameras[number] = _camera(lens, (width, height), parameters, place)
    return cameras


def _binary_images(path: Path) -> list[_Image]:
    file = _Bytes(path)
    rows = []
    for _ in range(file.count(73)):
        place = f"{path} at byte {file.at}"
        number, *pose, camera = file.take("i7di")
        name = file.text()
        file.skip(24 * file.count(24))
        rows.append(_Image(number, tuple(pose), camera, tidy_name(name), place))
    return rows


def _binary_points(path: Path) -> tuple[list[tuple[float, ...]], list[list[int]]]:
    file = _Bytes(path)
    points: list[tuple[float, ...]] = []
    seen: list[list[int]] = []
    for _ in range(file.count(51)):
        _, x, y, z, *_ = file.take("Q3d3Bd")
        length = file.count(8)
        points.append((x, y, z))
        seen.append(list(file.take(f"{2 * length}i"))[::2])
    return points, seen


NO_POINT = -1


def write_model(folder: Path, scene: Scene, names: list[str], lost: list[str]) -> None:
    """Write the model of a scene whose images are called `names` in it.

    A image of unknown intrinsics gets guessed ones, which `lost` says. Keypoints are the projections of the
    scene's points.
    """
    cameras = [
        camera or guess_camera(path)
        for camera, path in zip(scene.cameras, scene.paths, strict=True)
    ]
    if None in scene.cameras:
        lost.append("that intrinsics are unknown: guessed ones are written")
    numbers = {camera: number for number, camera in enumerate(dict.fromkeys(cameras), 1)}
    folder.mkdir(parents=True)
    write_text(
        folder / "cameras.txt",
        "".join(_camera_line(number, each) for each, number in numbers.items()),
    )
    points, tracks = measured_points(scene, lost)
    keypoints: list[list[tuple[float, float, int]]] = [[] for _ in names]
    for point, track in enumerate(tracks):
        for row, _, x, y in track:
            keypoints[row].append((x, y, point + 1))
    camera_from_world = scene.poses.inverse()
    lines = []
    for row, (quaternion, translation) in enumerate(
        zip(
            camera_from_world.quaternions_wxyz.tolist(),
            camera_from_world.positions.tolist(),
            strict=True,
        )
    ):
        pose = " ".join(map(repr, (*quaternion, *translation)))
        lines.append(f"{row + 1} {pose} {numbers[cameras[row]]} {names[row]}\n")
        lines.append(" ".join(f"{x:.6f} {y:.6f} {point}" for x, y, point in keypoints[row]) + "\n")
    write_text(folder / "images.txt", "".join(lines))
    at = [0] * len(names)
    lines = []
    for point, (place, track) in enumerate(zip(points.tolist(), tracks, strict=True)):
        seen = []
        for row, *_ in track:
            seen.append(f"{row + 1} {at[row]}")
            at[row] += 1
        lines.append(
            f"{point + 1} {' '.join(map(repr, place))} 128 128 128 0 {' '.join(seen)}".rstrip()
            + "\n"
        )
    write_text(folder / "points3D.txt", "".join(lines))


def _camera_line(number: int, camera) -> str:
    lens, parameters = colmap_parameters(camera)
    return f"{number} {lens} {camera.width} {camera.height} {' '.join(map(repr, parameters))}\n"
