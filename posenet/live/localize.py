"""Localize the images of clients with one localizer, and describe the poses as JSON."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.image_cache import ImageArray
from posenet.io.image_headers import image_size
from posenet.io.images import load_image
from posenet.live.query import Query
from posenet.live.worker import Answer
from posenet.localization.estimates import PoseEstimate
from posenet.localization.localizer import Localizer
from posenet.localization.query_images import query_camera
from posenet.localization.tracking import PoseTracker
from posenet.mapping.parallel import NUM_CORES, in_threads

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

    def __call__(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        """Localize queries.

        Args:
            queries: single images, or one image of a track.

        Returns:
            For each query its answer, or the exception if it cannot be localized.
        """
        try:
            return self._localize(queries)
        except Exception as error:
            if len(queries) == 1:
                return [_rename(error, queries[0])]
            # One image must not fail the others.
            return [self([query])[0] for query in queries]

    def _localize(self, queries: Sequence[Query]) -> list[Answer | Exception]:
        start = time.perf_counter()
        if len(queries) == 1 and queries[0].track is not None and self.refines:
            return [self._track(queries[0], start)]
        run = self.localizer.run
        decoded = in_threads(self._decode, queries, NUM_CORES)
        resized = {row: image for row, image in enumerate(decoded) if isinstance(image, np.ndarray)}
        usable = list(resized)
        answers: list[Answer | Exception] = [
            image if isinstance(image, Exception) else {} for image in decoded
        ]
        if not usable:
            return answers
        images = ImageArray(np.stack(list(resized.values())), np.arange(len(usable)), [])
        paths = [queries[row].path for row in usable]
        cameras = [queries[row].camera or query_camera(run, queries[row].path) for row in usable]
        estimates = self.localizer.estimate(
            images, paths, cameras, np.arange(len(usable)), smooth=False
        )
        retrieved: Sequence[str | None] = [None] * len(usable)
        if self._scene is not None:
            retrieved = self.localizer.retrieve(estimates)
        seconds = time.perf_counter() - start
        for index, row in enumerate(usable):
            answers[row] = to_answer(
                queries[row],
                estimates[index],
                cameras[index],
                unit=run.unit,
                refines=self.refines,
                retrieved=retrieved[index],
                seconds=seconds,
            )
        return answers

    def _decode(self, query: Query) -> np.ndarray | Exception:
        try:
            return load_image(query.path, *self.localizer.run.crop.resized)
        except PoseNetError as error:
            return _rename(error, query)

    def _track(self, query: Query, start: float) -> Answer:
        """Localize the next image of a track."""
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
            query.camera or query_camera(self.localizer.run, query.path),
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
        return self._scene.names[self.localizer.refiner.nearest_views(poses, 0)[0]]

    def _warm_up(self) -> None:
        """Localize one image, and two together: the first time takes seconds longer than later."""
        if self._scene is None:
            return
        path = self._scene.paths[0]
        query = Query(path, *image_size(path))
        for number in (1, 2):
            for answer in self([query] * number):
                if isinstance(answer, Exception):
                    log.warning("a training image cannot be localized: %s", answer)


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


def _rename(error: Exception, query: Query) -> Exception:
    """Return an error that names the client's image instead of its temporary file."""
    if not isinstance(error, PoseNetError):
        return error
    return PoseNetError(f"{query.name}: " + str(error).rpartition(f"{query.path}: ")[2])
