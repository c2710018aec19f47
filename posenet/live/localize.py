"""Localize the images of clients with one localizer, and describe the poses as JSON."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.image_headers import image_size
from posenet.live.query import Query
from posenet.live.worker import Answer
from posenet.localization.estimates import PoseEstimate
from posenet.localization.localizer import Localizer
from posenet.localization.query_images import query_camera
from posenet.localization.tracking import PoseTracker

log = logging.getLogger("posenet")

NO_POSE = "the network predicts no finite pose for this image"
NOT_IN_PLACE = (
    "too few keypoints agree on a pose: the image may not show the place, and the pose is the "
    "network's guess"
)


class LiveLocalizer:
    """Answers queries with one localizer; a track has a tracker of its own."""

    def __init__(self, localizer: Localizer, max_tracks: int) -> None:
        """Load all that localizing needs: the model, the landmark map, the uncertainty.

        Args:
            localizer: the localizer.
            max_tracks: number of trackers that are kept.
        """
        self.localizer = localizer
        self.max_tracks = max_tracks
        self.trackers: OrderedDict[str, PoseTracker] = OrderedDict()
        self.refines = localizer.refines
        if self.refines:
            _ = localizer.uncertainty
        self._scene = _training_scene(localizer)
        self._warm_up()

    def __call__(self, query: Query) -> Answer:
        """Localize an image.

        Args:
            query: the image.

        Returns:
            The answer.

        Raises:
            PoseNetError: the image cannot be decoded, or the run cannot localize.
        """
        try:
            if query.track is not None and self.refines:
                return self._track(query)
            return self._localize(query)
        except PoseNetError as error:
            # Named after the client's image instead of its temporary file.
            text = str(error).rpartition(f"{query.path}: ")[2]
            raise PoseNetError(f"{query.name}: {text}") from None

    def _localize(self, query: Query) -> Answer:
        start = time.perf_counter()
        cameras = [self._camera(query)]
        _, estimates = self.localizer.localize_files([query.path], cameras=cameras, smooth=False)
        retrieved = self.localizer.retrieve(estimates)[0] if self._scene is not None else None
        return to_answer(
            query,
            estimates[0],
            cameras[0],
            unit=self.localizer.run.unit,
            refines=self.refines,
            retrieved=retrieved,
            seconds=time.perf_counter() - start,
        )

    def _camera(self, query: Query) -> Camera:
        return query.camera or query_camera(self.localizer.run, query.path)

    def _track(self, query: Query) -> Answer:
        """Localize the next image of a track."""
        start = time.perf_counter()
        assert query.track is not None
        tracker = self.trackers.pop(query.track, None) or PoseTracker(self.localizer)
        self.trackers[query.track] = tracker
        while len(self.trackers) > self.max_tracks:
            self.trackers.popitem(last=False)
        estimate = tracker.track(query.path, camera=query.camera)
        # The network, whose views have a spread, is used only when the camera is lost.
        tracked = estimate.refined and math.isnan(estimate.rotation_spread_deg)
        return to_answer(
            query,
            estimate,
            self._camera(query),
            unit=self.localizer.run.unit,
            refines=True,
            retrieved=self._nearest_training_image(estimate),
            seconds=time.perf_counter() - start,
            tracked=tracked,
        )

    def _nearest_training_image(self, estimate: PoseEstimate) -> str | None:
        """Return the training image whose view is nearest to a pose."""
        if not estimate.valid or self._scene is None:
            return None
        rotation = Rotation.from_quat(estimate.quaternion_wxyz[None], scalar_first=True)
        poses = Poses(estimate.position[None], rotation)
        return self._scene.names[self.localizer.refiner.nearest_views(poses, 0, 1)[0]]

    def _warm_up(self) -> None:
        """Localize an image: the first one takes seconds longer than the next.

        It is a training image, or noise where those are not there, as in a packed run.
        """
        path = self._scene.paths[0] if self._scene is not None else None
        with tempfile.TemporaryDirectory(prefix="posenet-live-") as folder:
            if path is None or not path.is_file():
                path = _write_noise(Path(folder) / "noise.png", self.localizer.run.crop.resized)
            try:
                self(Query(path, *image_size(path)))
            except PoseNetError as error:
                log.warning("no image can be localized: %s", error)


def _write_noise(path: Path, size: tuple[int, int]) -> Path:
    """Write an image of noise of a size (height, width)."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    cv2.imwrite(str(path), noise)
    return path


def _training_scene(localizer: Localizer) -> Scene | None:
    """Return the training images, None if they are not there any more."""
    try:
        return localizer.gallery.scene
    except PoseNetError:  # logged by the localizer
        return None


def to_answer(
    query: Query,
    estimate: PoseEstimate,
    camera: Camera,
    *,
    unit: str,
    refines: bool,
    retrieved: str | None,
    seconds: float,
    tracked: bool = False,
) -> Answer:
    """Return a pose as the JSON object that `POST /localize` answers.

    Args:
        query: the query.
        estimate: its pose.
        camera: the camera that the pose was estimated with.
        unit: unit of positions.
        refines: whether the localizer refines poses.
        retrieved: the training image that is most similar.
        seconds: how long localizing took.
        tracked: whether the pose follows from that of the image before.

    Returns:
        The object. NaN and infinity are None.
    """
    reason = None
    if not estimate.valid:
        reason = NO_POSE
    elif refines and not estimate.refined:
        reason = NOT_IN_PLACE
    return {
        "name": query.name,
        "valid": reason is None,
        "reason": reason,
        "in_place": estimate.refined if refines else None,
        "position": _numbers(estimate.position) if estimate.valid else None,
        "quaternion_wxyz": _numbers(estimate.quaternion_wxyz) if estimate.valid else None,
        "world_from_camera": _matrix(estimate) if estimate.valid else None,
        "unit": unit,
        "refined": estimate.refined,
        "num_inliers": estimate.num_inliers,
        "position_std": _number(estimate.position_std),
        "rotation_std_deg": _number(estimate.rotation_std_deg),
        "rotation_spread_deg": _number(estimate.rotation_spread_deg),
        "retrieved_image": retrieved,
        "fov": _tangents(camera) if camera.has_known_focal_length else None,
        "width": query.width,
        "height": query.height,
        "seconds": round(seconds, 4),
        "tracked": tracked,
    }


def _matrix(estimate: PoseEstimate) -> list[list[float]]:
    matrix = np.eye(4)
    rotation = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
    matrix[:3, :3] = rotation.as_matrix()
    matrix[:3, 3] = estimate.position
    rows: list[list[float]] = matrix.tolist()
    return rows


def _tangents(camera: Camera) -> list[float]:
    """Return width and height of the image at distance 1 from the camera."""
    return [camera.width / camera.fx, camera.height / camera.fy]


def _numbers(values: np.ndarray) -> list[float]:
    numbers: list[float] = np.asarray(values, float).tolist()
    return numbers


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
