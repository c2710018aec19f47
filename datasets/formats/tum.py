"""TUM RGB-D: `rgb.txt` and `groundtruth.txt`.

Lines are `timestamp file`, and `timestamp tx ty tz qx qy qz qw`: camera to world, meters, OpenCV
axes. Each image gets the pose nearest in time, at most 0.02 s away, as in the benchmark's
associate.py. Images without one are reported. Timestamps are seconds, or nanoseconds since 1970.
Intrinsics are those of `calibration.txt`, a file with the numbers `fx fy cx cy [k1 k2 p1 p2 [k3]]`.
Without it, they are the benchmark's calibration of the camera that the name of the sequence
contains.
Source: vision.in.tum.de/data/datasets/rgbd-dataset, pages "file formats" and "intrinsic camera
calibration".
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.calibration import PIXEL_OFFSET, first_size
from posenet.datasets.formats.image_files import fit_cameras
from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.parsing import (
    is_number,
    parse_floats,
    read_lines,
    read_text,
    shorten,
)
from posenet.datasets.formats.timestamps import (
    TimedImage,
    describe_repeated,
    rows_by_time,
    seconds_from_timestamps,
)
from posenet.datasets.formats.tum_trajectory import read_tum_table, write_tum
from posenet.datasets.scene import Scene
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text

NAME = "TUM RGB-D"
LOOKS_FOR = "rgb.txt beside groundtruth.txt"
IMAGE_LIST = "rgb.txt"
GROUND_TRUTH = "groundtruth.txt"
CALIBRATION = "calibration.txt"
# Camera model by the number of distortion parameters of a calibration.
MODELS = {0: "PINHOLE", 4: "OPENCV", 5: "FULL_OPENCV"}
# Number of distortion parameters that are written for each camera model.
WRITTEN_PARAMETERS = {
    "PINHOLE": 0,
    "SIMPLE_PINHOLE": 0,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 4,
    "OPENCV": 4,
    "FULL_OPENCV": 5,
}
# Lines at the start of groundtruth.txt whose comments may contain the name of the sequence.
NUM_COMMENT_LINES = 3
_SEQUENCE_NAME = re.compile(r"(?:freiburg|fr)([123])")


def _make_camera(size: tuple[int, int], numbers: tuple[float, ...]) -> Camera:
    """Return the camera of a calibration fx fy cx cy [k1 k2 p1 p2 [k3]]."""
    fx, fy, cx, cy, *distortion = numbers
    model = MODELS[len(distortion)]
    if model == "FULL_OPENCV":
        # Parameters k4 to k6.
        distortion += [0.0, 0.0, 0.0]
    width, height = size
    center = (cx + PIXEL_OFFSET, cy + PIXEL_OFFSET)
    return Camera(width, height, fx, fy, *center, model, tuple(distortion))


# The benchmark's calibrations of its cameras, freiburg1 to freiburg3.
FREIBURG_CAMERAS = {
    "1": _make_camera(
        (640, 480), (517.3, 516.5, 318.6, 255.3, 0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    ),
    "2": _make_camera(
        (640, 480), (520.9, 521.0, 325.1, 249.7, 0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    ),
    "3": _make_camera((640, 480), (535.4, 539.2, 320.1, 247.6)),
}


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains both files.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return (folder / IMAGE_LIST).is_file() and (folder / GROUND_TRUTH).is_file()


def read(folder: Path) -> RawScene:
    """Read the images in the order of time.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a line is malformed.
    """
    images = _read_images(folder / IMAGE_LIST)
    table, sources = read_tum_table(folder / GROUND_TRUTH)
    notes = describe_repeated(table, sources)
    poses = rows_by_time(images, table)
    sources = [image.source for image in images]
    names = find_images(folder, [image.name for image in images], sources, notes)
    camera = _read_camera(folder, names)
    cameras, issues = fit_cameras([camera] * len(names), folder, names)
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=poses[:, 1:4],
        quaternions_wxyz=np.roll(poses[:, 4:], 1, axis=1),
        splits=None,
        sequences=["all"] * len(names),
        sources=sources,
        cameras=cameras,
        issues=issues,
        notes=notes,
        times=[image.time for image in images],
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write rgb.txt, groundtruth.txt, calibration.txt and test.txt, with one image per second.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, in rgb/.
    """
    names = [
        f"rgb/{row:06d}{PurePosixPath(name).suffix.lower()}" for row, name in enumerate(scene.names)
    ]
    lines = [f"{row:.6f} {name}\n" for row, name in enumerate(names)]
    write_text(folder / IMAGE_LIST, "# timestamp filename\n" + "".join(lines))
    write_tum(folder / GROUND_TRUTH, scene.poses, range(len(names)))
    write_test_list(folder, scene, names)
    lost.append("names, times and sequences: images are numbered, one per second")
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera} or camera.model not in WRITTEN_PARAMETERS:
        lost.append(
            "intrinsics of several cameras, unknown ones, or of camera models other than OpenCV's"
        )
        return names
    if camera.model == "FULL_OPENCV" and any(camera.distortion[5:]):
        lost.append("the distortion parameters k4 to k6")
    distortion = (*camera.distortion, 0.0, 0.0, 0.0)[: WRITTEN_PARAMETERS[camera.model]]
    center = (camera.cx - PIXEL_OFFSET, camera.cy - PIXEL_OFFSET)
    numbers = (camera.fx, camera.fy, *center, *distortion)
    write_text(folder / CALIBRATION, " ".join(map(repr, numbers)) + "\n")
    return names


def _read_images(path: Path) -> list[TimedImage]:
    """Return the images sorted by time."""
    images = []
    for source, line in read_lines(path):
        columns = line.split(maxsplit=1)
        if len(columns) != 2 or not is_number(columns[0]):
            raise PoseNetError(
                f"{source}: a line must be 'timestamp file', received {shorten(line)}"
            )
        images.append(TimedImage(float(columns[0]), tidy_name(columns[1]), source))
    seconds = seconds_from_timestamps(
        np.array([image.time for image in images]), [image.source for image in images]
    )
    return sorted(
        image._replace(time=time) for image, time in zip(images, seconds.tolist(), strict=True)
    )


def _read_camera(folder: Path, names: list[str]) -> Camera | None:
    """Return the camera of calibration.txt, or that of the sequence if its name is known."""
    if (folder / CALIBRATION).is_file():
        return _read_calibration(folder / CALIBRATION, folder, names)
    comments = read_text(folder / GROUND_TRUTH).split("\n")[:NUM_COMMENT_LINES]
    match = _SEQUENCE_NAME.search(folder.resolve().name + "\n".join(comments))
    return FREIBURG_CAMERAS[match[1]] if match else None


def _read_calibration(path: Path, folder: Path, names: list[str]) -> Camera | None:
    """Return the camera of a file, for images of the size of the first that can be read."""
    (source, line), *others = read_lines(path) or [(f"{path}:1", "")]
    wanted = "a calibration must be fx fy cx cy [k1 k2 p1 p2 [k3]]"
    if others:
        raise PoseNetError(
            f"{others[0][0]}: {wanted} in one line, received {shorten(others[0][1])}"
        )
    numbers = parse_floats(line.split(), source, wanted)
    is_complete = len(numbers) in (4, 8, 9) and np.isfinite(numbers).all()
    if not is_complete or min(numbers[:2]) <= 0:
        raise PoseNetError(f"{source}: {wanted}, received {shorten(line)}")
    size = first_size(folder, names)
    return _make_camera(size, numbers) if size else None
