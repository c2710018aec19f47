"""NeRF's `transforms.json`, as instant-ngp, nerfstudio and the Blender scenes write it, and `_train`, `_val`, `_test`.

`frames[].transform_matrix` is camera to world, 4 x 4, OpenGL camera axes (x right, y up, z back): the second and the
third column change sign here. Intrinsics stand at the top or in each frame: fl_x, fl_y, cx, cy, w, h, k1, k2, p1, p2
(OpenCV's), or camera_angle_x alone. The world is the file's own: instant-ngp's script turns, shifts and scales
COLMAP's, so its unit is free. Sources: instant-ngp docs/nerf_dataset_tips.md, docs.nerf.studio data conventions; for
numbers as text, absolute paths and FISHEYE624 nerfstudio's process_data (RealityCapture, Project Aria).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import (
    apply_exif_orientation,
    existing_name,
    fitted_cameras,
    sequence_of,
)
from posenet.datasets.formats.parsing import (
    below,
    is_number,
    natural_key,
    read_text,
    shortened,
    tidy_name,
)
from posenet.datasets.formats.pose_conversion import OPENCV_FROM_OPENGL, from_matrices
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS, FISHEYES, PANORAMA, camera_from_colmap
from posenet.io.files import write_text
from posenet.io.images import stored_size_and_turns

NAME = "NeRF, nerfstudio, instant-ngp"
LOOKS_FOR = "transforms.json or transforms_train.json"
ARIA, ARIAS = "FISHEYE624", "RAD_TAN_THIN_PRISM_FISHEYE"  # nerfstudio's name and COLMAP's
WRITTEN_AS = {
    **dict.fromkeys(
        ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"), "OPENCV"
    ),
    **dict.fromkeys(FISHEYES, "OPENCV_FISHEYE"),
    PANORAMA: PANORAMA,
    ARIAS: ARIA,
}
ALL, TRAIN, VALIDATION, TEST = (
    f"transforms{part}.json" for part in ("", "_train", "_val", "_test")
)


def recognizes(folder: Path) -> bool:
    """Whether transforms.json or transforms_train.json is there."""
    return (folder / ALL).is_file() or (folder / TRAIN).is_file()


def read(folder: Path) -> RawScene:
    """Read the frames of all files, each file's in the natural order of their names.

    The split files decide; _val counts as training where there is a _test, and as test otherwise. transforms.json
    alone may name its own in train_filenames and test_filenames (nerfstudio). Raises PoseNetError for malformed files.
    """
    files = {
        TRAIN: "train",
        VALIDATION: "train" if (folder / TEST).is_file() else "test",
        TEST: "test",
    }
    if not (folder / TRAIN).is_file():
        files = {ALL: ""}
    frames = [
        frame
        for name, split in files.items()
        if (folder / name).is_file()
        for frame in _frames(folder / name, split)
    ]
    names = [existing_name(folder, _relative(folder, frame.name)) for frame in frames]
    matrices = np.array([frame.matrix for frame in frames], np.float64).reshape(-1, 4, 4)
    with np.errstate(invalid="ignore"):  # a matrix that is not finite stays so
        matrices[:, :3, :3] = matrices[:, :3, :3] @ OPENCV_FROM_OPENGL
    positions, quaternions = from_matrices(matrices)
    paths = [folder / name for name in names]
    given: list[Camera | None] = [
        _camera(frame, path) for frame, path in zip(frames, paths, strict=True)
    ]
    if not all(
        "unit" in frame.values for frame in frames
    ):  # convert wrote it, of images as they are seen
        quaternions, given = apply_exif_orientation(quaternions, given, paths)
    cameras, faults = fitted_cameras(given, folder, names)
    splits = [frame.split for frame in frames]
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=splits if all(splits) and splits else None, sequences=[sequence_of(name) for name in names],
        sources=[frame.place for frame in frames], cameras=cameras, faults=faults,
        unit=str(frames[0].values.get("unit", "scene units")) if frames else "scene units",
    )  # fmt: skip


def _relative(folder: Path, name: str) -> str:
    """A image's name below the folder; nerfstudio's of Aria are absolute."""
    return (below(folder, name) or name) if name.startswith("/") else name


class _Frame:
    """A frame of a file: its numbers are looked up in the frame, then at the top of the file."""

    def __init__(self, top: dict, entry: object, place: str, split: str):
        self.place = place
        if not isinstance(entry, dict) or not isinstance(entry.get("file_path"), str):
            raise PoseNetError(
                f"{place} must hold a file_path and a transform_matrix, received {shortened(repr(entry))}"
            )
        self.values = top | entry
        self.name = tidy_name(entry["file_path"])
        self.split = split
        try:
            self.matrix = np.array(entry["transform_matrix"], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.matrix = np.zeros(0)
        if self.matrix.shape == (3, 4):
            self.matrix = np.vstack([self.matrix, [0, 0, 0, 1]])
        if self.matrix.shape != (4, 4):
            raise PoseNetError(
                f"{place} must hold a transform_matrix of 4 x 4 numbers, {self.name} does not"
            )

    def number(self, key: str, default: float = 0.0) -> float:
        value = self.values.get(key, default)
        if isinstance(value, str) and is_number(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
            raise PoseNetError(
                f"{self.place}: {key} must be a number, received {shortened(repr(value))}"
            )
        return float(value)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        values = self.values.get(key)
        numbers = values if isinstance(values, list) else []
        if len(numbers) != count or not all(
            type(each) in (int, float) and abs(each) < 1e12 for each in numbers
        ):
            raise PoseNetError(
                f"{self.place}: {key} must be {count} numbers, received {shortened(repr(values))}"
            )
        return tuple(map(float, numbers))


def _frames(path: Path, split: str) -> list[_Frame]:
    try:
        top = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise PoseNetError(
            f"{path}:{line}: the file must be JSON, {error}".split("\n")[0]
        ) from None
    if not isinstance(top, dict) or not isinstance(top.get("frames"), list):
        raise PoseNetError(f"{path}: the file must be an object with a list of frames")
    frames = [
        _Frame(top, entry, f"{path}: frame {at}", split) for at, entry in enumerate(top["frames"])
    ]
    if not split:
        _take_listed_splits(top, frames)
    return sorted(frames, key=lambda frame: natural_key(frame.name))


def _take_listed_splits(top: dict, frames: list[_Frame]) -> None:
    """Give the frames the split of nerfstudio's lists, where there are some."""
    testing = [
        top[key] for key in ("test_filenames", "val_filenames") if isinstance(top.get(key), list)
    ]
    if testing and isinstance(top.get("train_filenames"), list):
        names = {tidy_name(str(each)) for each in next(filter(None, testing), [])}
        for frame in frames:
            frame.split = "test" if frame.name in names else "train"


def _camera(frame: _Frame, path: Path) -> Camera | None:
    """The intrinsics that apply to a frame; None where the file has none, or no size to relate them to."""
    size, _ = stored_size_and_turns(path)
    width, height = (frame.number(key, default) for key, default in zip("wh", size, strict=True))
    if width < 1 or height < 1:
        return None
    lens, distortion = _lens(frame)
    if lens == PANORAMA:
        return camera_from_colmap(lens, int(width), int(height), (width, height))
    fx = frame.number("fl_x") or _focal(width, frame.number("camera_angle_x"))
    fy = frame.number("fl_y") or _focal(height, frame.number("camera_angle_y")) or fx
    if fx <= 0 or fy <= 0:
        return None
    center = frame.number("cx", width / 2), frame.number("cy", height / 2)
    return Camera(int(width), int(height), fx, fy, *center, lens, distortion)


def _focal(size: float, angle: float) -> float:
    """Pixels, from the angle of view in radians; 0 for no angle."""
    return size / 2 / math.tan(angle / 2) if 0 < angle < math.pi else 0.0


def _lens(frame: _Frame) -> tuple[str, tuple[float, ...]]:
    """COLMAP's name and parameters of the lens."""
    k1, k2, k3, k4, p1, p2 = (frame.number(key) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    model = str(frame.values.get("camera_model", "")).upper()
    if model == PANORAMA:
        return PANORAMA, ()
    if model == ARIA:
        return ARIAS, frame.numbers("distortion_params", len(CAMERA_MODELS[ARIAS].extra))
    if "FISHEYE" in model or frame.values.get("is_fisheye") is True:
        return "OPENCV_FISHEYE", (k1, k2, k3, k4)
    if k3:
        return "FULL_OPENCV", (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    if any((k1, k2, p1, p2)):
        return "OPENCV", (k1, k2, p1, p2)
    return "PINHOLE", ()


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write transforms.json with each frame's intrinsics, and the split as train_filenames and test_filenames."""
    names = list(scene.names)
    matrices = scene.poses.matrices
    matrices[:, :3, :3] = matrices[:, :3, :3] @ OPENCV_FROM_OPENGL
    frames = [
        {"file_path": name, "transform_matrix": matrix} | _intrinsics(camera)
        for name, matrix, camera in zip(names, matrices.tolist(), scene.cameras, strict=True)
    ]
    if None in scene.cameras:
        lost.append("intrinsics, which are not known for every image")
    if other := {camera.lens for camera in scene.cameras if camera} - set(WRITTEN_AS):
        lost.append(f"intrinsics of the lenses {', '.join(sorted(other))}")
    if any(
        camera and camera.lens == "FULL_OPENCV" and any(camera.distortion[5:])
        for camera in scene.cameras
    ):
        lost.append("the lens' parameters k4 to k6")
    lists = {
        f"{split}_filenames": [
            name for name, its in zip(names, scene.splits, strict=True) if its == split
        ]
        for split in ("train", "test")
    }
    write_text(
        folder / ALL, json.dumps({"unit": scene.unit} | lists | {"frames": frames}, indent=1) + "\n"
    )
    return names


def _intrinsics(camera: Camera | None) -> dict:
    if camera is None or camera.lens not in WRITTEN_AS:
        return {}
    values: dict = {"camera_model": WRITTEN_AS[camera.lens], "w": camera.width, "h": camera.height}
    if camera.lens == PANORAMA:
        return values
    values |= {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
    if camera.lens == ARIAS:
        return values | {"distortion_params": list(camera.distortion)}
    names = ["k1" if name == "k" else name for name in CAMERA_MODELS[camera.lens].extra]
    return values | dict(zip(names[:5], camera.distortion, strict=False))
