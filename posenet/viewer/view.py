"""What a 3-D page shows, and its encoding as JSON that viewer/src/data.js decodes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.viewer.encoding import encode_array, finite_or_none
from posenet.viewer.points import PointCloud

# Field of view of a camera with unknown intrinsics, as the sides of its image on the plane z = 1.
UNKNOWN_SIDES = (-0.6, 0.6, -0.45, 0.45)
# Digits after the point of the sides of an image.
SIDE_DIGITS = 5


@dataclass(frozen=True, eq=False)
class CameraSet:
    """n images with their poses.

    Attributes:
        names: names of the images.
        poses: n poses, world_from_camera.
        cameras: n cameras, None where the intrinsics are unknown.
        sequences: the sequence of each image, shape (n,).
        thumbnails: n JPEG files, empty without a thumbnail.
        issues: what is wrong with the label of each image, None where nothing is.
    """

    names: Sequence[str]
    poses: Poses
    cameras: Sequence[Camera | None]
    sequences: Sequence[str]
    thumbnails: Sequence[bytes]
    issues: Sequence[str | None] | None = None


@dataclass(frozen=True, eq=False)
class MethodResult:
    """The estimates of one method for the n query images.

    Attributes:
        name: name of the method, such as "refined".
        summary: its median errors as text.
        poses: n poses, meaningless where not `valid`.
        valid: whether there is an estimate, shape (n,).
        position_errors: in scene units, not finite without an estimate, shape (n,).
        rotation_errors_deg: in degrees, shape (n,).
        num_inliers: number of inliers, shape (n,), if poses were refined.
        position_std: standard deviations of the positions in scene units, shape (n,), if known.
    """

    name: str
    summary: str
    poses: Poses
    valid: np.ndarray
    position_errors: np.ndarray
    rotation_errors_deg: np.ndarray
    num_inliers: np.ndarray | None = None
    position_std: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class View:
    """The content of a page.

    Attributes:
        kind: "evaluation", "scene" or "live".
        title: name of the scene.
        subtitle: a line below it.
        unit: unit of positions.
        axes: two horizontal axes and the up direction of the world frame in rows, shape (3, 3).
        center: the point of the world frame in the middle of the page, shape (3,).
        training: the training images.
        queries: the query images; none on a page without results.
        methods: the methods, the one shown at first comes first; at most two.
        baselines: names and median errors of the baselines, as text.
        matches: index of the training image that each query image matches best, -1 without one.
        points: colored points.
        notes: remarks, such as what was thinned.
        live: whether the page asks the server that it comes from.
    """

    kind: str
    title: str
    subtitle: str
    unit: str
    axes: np.ndarray
    center: np.ndarray
    training: CameraSet
    queries: CameraSet
    methods: Sequence[MethodResult] = ()
    baselines: dict[str, str] = field(default_factory=dict)
    matches: np.ndarray | None = None
    points: PointCloud | None = None
    notes: Sequence[str] = ()
    live: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the view as values that JSON can store.

        Returns:
            Arrays are base64 text: poses float32 relative to the center, points 16 bits in their
            box.
        """
        lenses = _Lenses()
        training = self._encode_cameras(self.training, lenses)
        queries = self._encode_cameras(self.queries, lenses)
        if self.matches is not None:
            queries["matches"] = [int(row) if row >= 0 else None for row in self.matches]
        return {
            "kind": self.kind,
            "title": self.title,
            "subtitle": self.subtitle,
            "unit": self.unit,
            "axes": self.axes.round(9).tolist(),
            "center": self.center.tolist(),
            "training": training,
            "queries": queries,
            "methods": [self._encode_method(method) for method in self.methods],
            "baselines": self.baselines,
            "points": self.points.to_dict(self.center) if self.points else None,
            "notes": list(self.notes),
            "live": self.live,
            "cameras": lenses.sides,
        }

    def _encode_cameras(self, cameras: CameraSet, lenses: _Lenses) -> dict[str, Any]:
        valid = np.isfinite(cameras.poses.positions).all(axis=1)
        return {
            "names": list(cameras.names),
            "sequences": [str(sequence) for sequence in cameras.sequences],
            "poses": self._encode_poses(cameras.poses, valid),
            "cameras": [lenses.index_of(camera) for camera in cameras.cameras],
            "images": [base64.b64encode(jpeg).decode() for jpeg in cameras.thumbnails],
            "issues": list(cameras.issues) if cameras.issues else None,
        }

    def _encode_method(self, method: MethodResult) -> dict[str, Any]:
        optional = {"num_inliers": method.num_inliers, "position_std": method.position_std}
        return {
            "name": method.name,
            "summary": method.summary,
            "poses": self._encode_poses(method.poses, method.valid),
            "position_errors": finite_or_none(method.position_errors),
            "rotation_errors_deg": finite_or_none(method.rotation_errors_deg),
            **{
                name: finite_or_none(values)
                for name, values in optional.items()
                if values is not None
            },
        }

    def _encode_poses(self, poses: Poses, valid: np.ndarray) -> dict[str, str]:
        positions = np.where(valid[:, None], poses.positions - self.center, np.nan)
        return {
            "positions": encode_array(positions, "<f4"),
            "quaternions_wxyz": encode_array(poses.quaternions_wxyz, "<f4"),
        }


class _Lenses:
    """The distinct fields of view of a page."""

    def __init__(self) -> None:
        self.sides: list[tuple[float, ...]] = []
        self.rows: dict[tuple[float, ...], int] = {}

    def index_of(self, camera: Camera | None) -> int:
        """Return the index of a camera's field of view."""
        sides = image_sides(camera)
        if sides not in self.rows:
            self.rows[sides] = len(self.sides)
            self.sides.append(sides)
        return self.rows[sides]


def image_sides(camera: Camera | None) -> tuple[float, ...]:
    """Return where the sides of an image are on the plane z = 1 of its camera.

    Args:
        camera: the camera, None if unknown. Lens distortion is ignored.

    Returns:
        Left, right, top and bottom; y points down.
    """
    if camera is None:
        return UNKNOWN_SIDES
    sides = (
        -camera.cx / camera.fx,
        (camera.width - camera.cx) / camera.fx,
        -camera.cy / camera.fy,
        (camera.height - camera.cy) / camera.fy,
    )
    return tuple(round(side, SIDE_DIGITS) for side in sides)
