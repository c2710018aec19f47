"""NeRF's `transforms.json` of instant-ngp, nerfstudio and the Blender scenes.

Splits are in `transforms_train.json`, `_val` and `_test`, or in nerfstudio's lists, ScanNet++'s
`test_frames`, or the key `split` of each frame.
`frames[].transform_matrix` is camera to world, 4 x 4, OpenGL camera axes (x right, y up, z back);
the second and the third column change sign here. Intrinsics are at the top or in each frame: fl_x,
fl_y, cx, cy, w, h, k1, k2, p1, p2 (as in OpenCV), or only camera_angle_x; nerfstudio_keys.py has
their other names, and the keys that are not read. The unit is arbitrary:
instant-ngp's script rotates, translates and scales COLMAP's world frame. Sources: instant-ngp's
docs/nerf_dataset_tips.md, docs.nerf.studio's data conventions, and nerfstudio's process_data
(RealityCapture, Project Aria) for numbers as text, absolute paths and FISHEYE624.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import (
    apply_exif_orientation,
    fit_cameras,
    sequence_from_name,
)
from posenet.datasets.formats.image_names import match_key
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.nerfstudio_cameras import (
    SUPPORTED_MODELS,
    WRITTEN_MODELS,
    camera_of_frame,
    intrinsics_of_camera,
)
from posenet.datasets.formats.nerfstudio_frames import OPENCV_SIGNS, Frame, read_frames
from posenet.datasets.formats.nerfstudio_splits import apply_splits
from posenet.datasets.formats.pose_conversion import OPENCV_FROM_OPENGL
from posenet.datasets.formats.pose_matrices import from_matrices
from posenet.datasets.rig_names import RigImage
from posenet.datasets.scene import Scene
from posenet.datasets.validation import LabelIssue, RawScene
from posenet.geometry.camera import Camera
from posenet.io.files import write_text

NAME = "NeRF, nerfstudio, instant-ngp"
LOOKS_FOR = "transforms.json or transforms_train.json"
ALL = "transforms.json"
TRAIN = "transforms_train.json"
VALIDATION = "transforms_val.json"
TEST = "transforms_test.json"


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains transforms.json or transforms_train.json.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return (folder / ALL).is_file() or (folder / TRAIN).is_file()


def read(folder: Path) -> RawScene:
    """Read the frames of all files, those of each file in the natural order of their names.

    The split files have precedence: _val is for training if there is a _test, otherwise for the
    test. Poses are those of the stored pixels, unless posenet wrote the file: it contains a unit.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a file is malformed.
    """
    notes: list[str] = []
    frames, issues = _drop_bad(_read_all_frames(folder, notes))
    sources = [frame.source for frame in frames]
    names = find_images(folder, [frame.name for frame in frames], sources, notes)
    matrices = np.array([frame.matrix for frame in frames], np.float64).reshape(-1, 4, 4)
    # A matrix that is not finite stays so.
    with np.errstate(invalid="ignore"):
        signs = np.array([OPENCV_SIGNS[frame.camera_axes] for frame in frames]).reshape(-1, 1, 3)
        matrices[:, :3, :3] *= signs
    positions, quaternions, row_issues = from_matrices(matrices)
    paths = [folder / name for name in names]
    cameras: list[Camera | None] = [
        camera_of_frame(frame, path) for frame, path in zip(frames, paths, strict=True)
    ]
    if not all("unit" in frame.values for frame in frames):
        quaternions, cameras = apply_exif_orientation(quaternions, cameras, paths)
    fitted, camera_issues = fit_cameras(cameras, folder, names)
    splits = [frame.split for frame in frames]
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=positions,
        quaternions_wxyz=quaternions,
        splits=splits if splits and all(splits) else None,
        sequences=[sequence_from_name(name) for name in names],
        sources=sources,
        cameras=fitted,
        unit=str(frames[0].values.get("unit", "scene units")) if frames else "scene units",
        camera_axes=frames[0].camera_axes if frames else "OpenGL",
        rig_images=_rig_images(frames, names),
        issues=issues + camera_issues,
        notes=notes,
        row_issues=row_issues,
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write transforms.json, with intrinsics per frame, train_filenames and test_filenames.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, unchanged.
    """
    names = list(scene.names)
    matrices = scene.poses.matrices
    matrices[:, :3, :3] = matrices[:, :3, :3] @ OPENCV_FROM_OPENGL
    frames = [
        {"file_path": name, "transform_matrix": matrix} | intrinsics_of_camera(camera)
        for name, matrix, camera in zip(names, matrices.tolist(), scene.cameras, strict=True)
    ]
    _describe_lost_intrinsics(scene, lost)
    lists = {
        f"{split}_filenames": [
            name for name, of_image in zip(names, scene.splits, strict=True) if of_image == split
        ]
        for split in ("train", "test")
    }
    content = {"unit": scene.unit} | lists | {"frames": frames}
    write_text(folder / ALL, json.dumps(content, indent=1) + "\n")
    return names


def _read_all_frames(folder: Path, notes: list[str]) -> list[Frame]:
    """Return the frames of the split files, or of transforms.json."""
    files = {ALL: ""}
    if (folder / TRAIN).is_file():
        has_test = (folder / TEST).is_file()
        files = {TRAIN: "train", VALIDATION: "train" if has_test else "test", TEST: "test"}
    frames: list[Frame] = []
    ignored: dict[str, None] = {}
    for name, split in files.items():
        if not (folder / name).is_file():
            continue
        content = read_frames(folder / name, split)
        if not split and not content.top.get("test_frames"):
            apply_splits(folder / name, content.top, content.frames, notes)
        ignored |= dict.fromkeys(content.ignored)
        frames += content.frames
    unread = [name for name in (VALIDATION, TEST) if (folder / name).is_file()]
    if ALL in files and unread:
        notes.append(f"{' and '.join(unread)} not read: {TRAIN} is not there")
    unsupported = {frame.model for frame in frames} - SUPPORTED_MODELS
    keys = [*ignored, *(f"camera_model {model}" for model in sorted(unsupported))]
    if keys:
        notes.append(
            f"{folder / next(iter(files))}: ignores what is not supported: {', '.join(keys)}"
        )
    return frames


def _drop_bad(frames: list[Frame]) -> tuple[list[Frame], list[LabelIssue]]:
    """Return the frames without those that the file marks as bad, and the issue of the latter."""
    bad = [frame for frame in frames if frame.is_bad]
    if not bad:
        return frames, []
    first = f"{bad[0].source} {bad[0].name}"
    issue = LabelIssue("frame marked as bad in the file (is_bad)", len(bad), first, "dropped")
    return [frame for frame in frames if not frame.is_bad], [issue]


def _rig_images(frames: list[Frame], names: list[str]) -> list[RigImage] | None:
    """Return the timestamps as moments, as nerfstudio writes them for Project Aria."""
    if not frames or not all("timestamp" in frame.values for frame in frames):
        return None
    return [
        RigImage(repr(frame.values["timestamp"]), _camera_from_name(name))
        for frame, name in zip(frames, names, strict=True)
    ]


def _camera_from_name(name: str) -> str:
    """Return the folder, with what remains of the file name without numbers."""
    folder, _, file = match_key(name).rpartition("/")
    return f"{folder}/{re.sub('[0-9]+', '', file)}".rstrip("/_-.")


def _describe_lost_intrinsics(scene: Scene, lost: list[str]) -> None:
    """Append descriptions of the intrinsics that the format cannot store."""
    cameras = [camera for camera in scene.cameras if camera]
    if len(cameras) < len(scene):
        lost.append("intrinsics, which are not known for every image")
    unsupported = {camera.model for camera in cameras} - set(WRITTEN_MODELS)
    if unsupported:
        models = ", ".join(sorted(unsupported))
        lost.append(f"intrinsics of the camera models {models}")
    if any(camera.model == "FULL_OPENCV" and any(camera.distortion[5:]) for camera in cameras):
        lost.append("the distortion parameters k4 to k6")
