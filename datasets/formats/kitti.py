"""KITTI odometry: one sequence, `image_2/000000.png`, `calib.txt` and its poses, 12 numbers a line.

A pose is a 3 x 4 matrix, row by row, that takes the axes of camera 0 to those of the first frame: camera to world,
OpenCV axes, meters. Another camera stands aside of camera 0 by what its projection matrix P = K [1 | t] in calib.txt
tells: its center is at -t there. The poses lie in `poses.txt` in the sequence's folder or, as the benchmark packs
them, in `poses/00.txt` beside `sequences/00`. Each sequence has a world of its own. Source: the readme of the KITTI
odometry development kit.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.image_files import fitted_cameras, size_or_none
from posenet.datasets.formats.parsing import natural_key, parse_floats, read_lines, shortened
from posenet.datasets.formats.pose_conversion import from_matrices
from posenet.datasets.scene import Scene
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text
from posenet.io.images import IMAGE_SUFFIXES

NAME = "KITTI odometry"
LOOKS_FOR = "image_2 (or image_0, image_1, image_3) beside poses.txt or ../../poses/NN.txt; or sequences/ beside poses/"
CAMERAS = ("image_2", "image_0", "image_3", "image_1")  # color before gray, left before right


def recognizes(folder: Path) -> bool:
    """Whether it is a sequence with poses, or the benchmark's root."""
    return _pose_file(folder) is not None or bool(_sequences(folder))


def read(folder: Path) -> RawScene:
    """Read one sequence. Raises PoseNetError for a root of several, and (file:line) for what is malformed."""
    sequences = _sequences(folder)
    if len(sequences) > 1 and _pose_file(folder) is None:
        known = ", ".join(path.name for path in sequences)
        raise PoseNetError(
            f"{folder}: each sequence has its own world, give one: {folder}/sequences/NN of {known}"
        )
    below = f"sequences/{sequences[0].name}/" if sequences else ""
    sequence = folder / below
    pose_file = _pose_file(sequence)
    if pose_file is None:
        raise PoseNetError(f"{sequence} must have poses, in poses.txt or ../../poses/NN.txt")
    camera = next(name for name in CAMERAS if (sequence / name).is_dir())
    lines = read_lines(pose_file)
    world_from_camera0 = _matrices(lines)
    projection = _projection(sequence / "calib.txt", f"P{camera[-1]}:")
    images = _numbered_images(sequence / camera)
    names = [below + f"{camera}/" + images.get(row, f"{row:06d}.png") for row in range(len(lines))]
    given, faults = fitted_cameras(_cameras(projection, sequence, names, folder), folder, names)
    with np.errstate(invalid="ignore"):  # a matrix that is not finite stays so
        world_from_camera = world_from_camera0 @ _camera0_from_camera(projection)
    positions, quaternions = from_matrices(world_from_camera)
    return RawScene(
        name=sequence.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=None, sequences=[sequence.resolve().name] * len(names), sources=[place for place, _ in lines],
        cameras=given, faults=faults,
    )  # fmt: skip


def _sequences(folder: Path) -> list[Path]:
    """The sequences with poses below the benchmark's root."""
    below = folder / "sequences"
    return [path for path in sorted(below.iterdir()) if _pose_file(path)] if below.is_dir() else []


def _pose_file(sequence: Path) -> Path | None:
    """The poses of a sequence's folder; None where it is no such folder or has none."""
    if not any((sequence / name).is_dir() for name in CAMERAS):
        return None
    resolved = sequence.resolve()
    places = (sequence / "poses.txt", resolved.parent.parent / "poses" / f"{resolved.name}.txt")
    return next((path for path in places if path.is_file()), None)


def _numbered_images(folder: Path) -> dict[int, str]:
    """{frame number: file name}."""
    images = sorted((path.name for path in folder.iterdir()), key=natural_key)
    stems = (
        (name, Path(name).stem) for name in images if Path(name).suffix.lower() in IMAGE_SUFFIXES
    )
    return {
        int(stem): name
        for name, stem in stems
        if stem.isascii() and stem.isdigit() and len(stem) < 10
    }


def _matrices(lines: list[tuple[str, str]]) -> np.ndarray:
    """(n, 4, 4) world_from_camera0."""
    wanted = "a pose must be 12 numbers, a 3 x 4 matrix row by row"
    rows = []
    for place, line in lines:
        columns = line.split()
        if len(columns) != 12:
            raise PoseNetError(
                f"{place}: {wanted}, received {len(columns)} columns: {shortened(line)}"
            )
        rows.append([*parse_floats(columns, place, wanted), 0.0, 0.0, 0.0, 1.0])
    return np.array(rows, np.float64).reshape(-1, 4, 4)


def _projection(path: Path, key: str) -> np.ndarray | None:
    """(3, 4) the camera's projection matrix of calib.txt; None without the file."""
    for place, line in read_lines(path) if path.is_file() else []:
        columns = line.split()
        if columns[0] != key:
            continue
        wanted = f"{key} must be followed by 12 numbers"
        numbers = parse_floats(columns[1:], place, wanted)
        if (
            len(numbers) != 12
            or not np.isfinite(numbers).all()
            or not (numbers[0] > 0 and numbers[5] > 0)
        ):
            raise PoseNetError(
                f"{place}: {wanted}, focal lengths above 0, received {shortened(line)}"
            )
        return np.reshape(numbers, (3, 4))
    return None


def _camera0_from_camera(projection: np.ndarray | None) -> np.ndarray:
    """(4, 4) where the camera stands in the axes of camera 0."""
    matrix = np.eye(4)
    if projection is not None:
        matrix[:3, 3] = -np.linalg.solve(projection[:, :3], projection[:, 3])
    return matrix


def _cameras(
    projection: np.ndarray | None, sequence: Path, names: list[str], folder: Path
) -> list[Camera | None]:
    """The intrinsics, of images as large as the first."""
    size = next(filter(None, (size_or_none(folder / name) for name in names)), None)
    if projection is None or size is None:
        return [None] * len(names)
    k = projection
    return [Camera(size[0], size[1], k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5)] * len(names)


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write poses.txt, calib.txt, times.txt and test.txt as one sequence; the images belong into image_2/.

    The world stays the scene's own: the first pose need not be the identity.
    """
    names = [
        f"image_2/{row:06d}{PurePosixPath(name).suffix.lower()}"
        for row, name in enumerate(scene.names)
    ]
    rows = scene.poses.matrices[:, :3].reshape(-1, 12).tolist()
    lost.append("names and sequences: images are numbered")
    write_text(folder / "poses.txt", "".join(" ".join(map(repr, row)) + "\n" for row in rows))
    write_text(folder / "times.txt", "".join(f"{row:.6e}\n" for row in range(len(names))))
    write_test_list(folder, scene, names)
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera}:
        lost.append("intrinsics of several cameras, or unknown ones")
    else:
        numbers = (
            camera.fx,
            0.0,
            camera.cx - 0.5,
            0.0,
            0.0,
            camera.fy,
            camera.cy - 0.5,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
        )
        projection = " ".join(map(repr, numbers))
        write_text(
            folder / "calib.txt", "".join(f"P{number}: {projection}\n" for number in range(4))
        )
        if camera.has_distortion:
            lost.append("lens distortion")
    return names
