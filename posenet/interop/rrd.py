"""Write a map and an evaluation as a recording for rerun. No viewer is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posenet.environment import import_extra
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.interop.map_export import EDGES, MapExport, frustum_corners
from posenet.io.files import atomic_path

# Name of the time line.
TIMELINE = "image"
POINT_RADIUS_PIXELS = 1.5
ESTIMATE_COLOR = (209, 73, 91)
GROUND_TRUTH_COLOR = (31, 58, 95)
# rerun's names of the views whose up direction is an axis.
UP_NAMES = ("X", "Y", "Z")


@dataclass(frozen=True, eq=False)
class Recording:
    """The evaluated images, one per step of the time line.

    Attributes:
        images: n JPEG files, empty where an image could not be read.
        cameras: n cameras, None where the intrinsics are unknown.
        ground_truth: n true poses.
        estimate: n estimated poses, meaningless where not `valid`.
        valid: whether there is an estimate, shape (n,).
        position_errors: scene units, shape (n,).
        rotation_errors_deg: degrees, shape (n,).
    """

    images: Sequence[bytes]
    cameras: Sequence[Camera | None]
    ground_truth: Poses
    estimate: Poses
    valid: np.ndarray
    position_errors: np.ndarray
    rotation_errors_deg: np.ndarray


def require_rerun() -> Any:
    """Import rerun, an optional dependency.

    Returns:
        The module.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra("rerun", "rerun", "writing an .rrd file")


def write_rrd(path: Path, exported: MapExport, recording: Recording | None) -> None:
    """Write a recording: map, cameras, both paths, images, and errors over time.

    Args:
        path: the file to write.
        exported: the map.
        recording: the evaluated images, None without an evaluation.

    Raises:
        PoseNetError: the file cannot be written, or the extra `rerun` is not installed.
    """
    rerun = require_rerun()
    with atomic_path(path) as temporary:
        stream = rerun.RecordingStream("posenet", recording_id=exported.name)
        stream.save(temporary)
        _log_map(rerun, stream, exported)
        if recording is not None:
            _log_paths(rerun, stream, recording)
            for row in range(len(recording.valid)):
                stream.set_time(TIMELINE, sequence=row)
                _log_image(rerun, stream, recording, row)
        stream.flush()
        stream.disconnect()


def _log_map(rerun: Any, stream: Any, exported: MapExport) -> None:
    up = exported.axes[2]
    axis = int(np.abs(up).argmax())
    name = f"RIGHT_HAND_{UP_NAMES[axis]}_{'UP' if up[axis] > 0 else 'DOWN'}"
    stream.log("world", getattr(rerun.ViewCoordinates, name), static=True)
    points = rerun.Points3D(
        exported.positions,
        colors=exported.colors,
        radii=rerun.Radius.ui_points(POINT_RADIUS_PIXELS),
    )
    stream.log("world/points", points, static=True)
    for group in exported.groups:
        lines = frustum_corners(group, exported.frustum_size)[:, EDGES].reshape(-1, 2, 3)
        entity = f"world/cameras/{group.name.replace(' ', '_')}"
        stream.log(entity, rerun.LineStrips3D(lines, colors=[group.color]), static=True)


def _log_paths(rerun: Any, stream: Any, recording: Recording) -> None:
    paths = {
        "ground_truth": (recording.ground_truth.positions, GROUND_TRUTH_COLOR),
        "estimate": (recording.estimate.positions[recording.valid], ESTIMATE_COLOR),
    }
    for name, (positions, color) in paths.items():
        line = rerun.LineStrips3D([positions], colors=[color])
        stream.log(f"world/path/{name}", line, static=True)


def _log_image(rerun: Any, stream: Any, recording: Recording, row: int) -> None:
    """Log one image with its camera where it was estimated, and its errors."""
    camera = "world/camera"
    if not recording.valid[row]:
        stream.log(camera, rerun.Clear(recursive=True))
        return
    transform = rerun.Transform3D(
        translation=recording.estimate.positions[row],
        mat3x3=recording.estimate.rotations[row].as_matrix(),
    )
    stream.log(camera, transform)
    jpeg = recording.images[row]
    known = recording.cameras[row]
    if jpeg:
        if known is not None:
            decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert decoded is not None  # a thumbnail of the viewer
            height, width = decoded.shape[:2]
            resized = known.resized(width, height)
            pinhole = rerun.Pinhole(
                image_from_camera=resized.matrix,
                resolution=[width, height],
                camera_xyz=rerun.ViewCoordinates.RDF,
            )
            stream.log(camera, pinhole)
        image = rerun.EncodedImage(contents=jpeg, media_type="image/jpeg")
        stream.log(f"{camera}/image", image)
    stream.log("errors/position", rerun.Scalars(float(recording.position_errors[row])))
    stream.log("errors/rotation_deg", rerun.Scalars(float(recording.rotation_errors_deg[row])))
