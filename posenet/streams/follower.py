"""Follow the camera of a stream: one pose for every image that can be localized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.localization.estimates import PoseEstimate
from posenet.localization.localizer import Localizer
from posenet.localization.pnp import MIN_INLIERS, CameraPose
from posenet.localization.tracking import PoseTracker, PreparedImage, prepare_image
from posenet.run import Run
from posenet.streams.handover import work_ahead
from posenet.streams.reader import FrameReader, StreamFrame
from posenet.streams.smoothing import CausalSmoother
from posenet.streams.source import StreamSource, find_source

# Views of test-time augmentation if poses are not refined: a stream needs speed.
TTA_VIEWS = 1


@dataclass(frozen=True, eq=False)
class FollowedFrame:
    """An image of a stream with the pose of the camera.

    Attributes:
        number: number of the image in the stream, from 0.
        seconds: its time since the start of the stream.
        image: RGB values, shape (h, w, 3), uint8.
        estimate: the pose, world_from_camera; not `valid` if the camera is lost.
        hfov_deg: horizontal field of view of the camera, degrees.
    """

    number: int
    seconds: float
    image: np.ndarray
    estimate: PoseEstimate
    hfov_deg: float

    @property
    def is_lost(self) -> bool:
        """Whether the image has no trustworthy pose."""
        return not self.estimate.valid


def follow(
    run: Run,
    source: str | int,
    *,
    refine: bool | None = None,
    smooth: bool = True,
    realtime: bool = False,
) -> Iterator[FollowedFrame]:
    """Follow the camera of a video, webcam or network stream with a run.

    ::

        run = posenet.load("runs/courtyard")
        for frame in posenet.follow(run, "walk.mp4"):
            print(frame.seconds, frame.estimate)

    Args:
        run: the run.
        source: a video file, the number of a camera, or an rtsp:// or http:// URL.
        refine: refine each pose by local feature matching and PnP. Default: if it is possible.
        smooth: smooth the poses, each with those before it.
        realtime: read a file at its own speed and drop images, as of a live stream.

    Yields:
        The images with their poses.

    Raises:
        PoseNetError: the source cannot be read, or the run cannot localize.
    """
    stream = find_source(str(source)) or StreamSource(str(source), "file")
    reader = FrameReader(stream, realtime=realtime)
    follower = Follower(Localizer(run, refine=refine, tta_views=tta_views(None)), smooth=smooth)
    with reader:
        yield from follower.follow(reader)


def tta_views(requested: int | None) -> int | None:
    """Return the number of test-time augmentation views for a stream.

    Args:
        requested: the user's choice, None without one.

    Returns:
        The number.
    """
    return TTA_VIEWS if requested is None else requested


class Follower:
    """Estimates the poses of the images of one stream."""

    def __init__(self, localizer: Localizer, *, smooth: bool = True) -> None:
        """Load what tracking needs, so that the first image does not wait for it.

        Args:
            localizer: the localizer; with refinement each pose follows from the last one.
            smooth: smooth the poses, each with those before it.

        Raises:
            PoseNetError: refinement is requested but not possible.
        """
        self.localizer = localizer
        self.tracker = PoseTracker(localizer) if localizer.refines else None
        self.smoother: CausalSmoother | None = None
        if smooth and self.tracker:
            _ = localizer.uncertainty
            self.smoother = CausalSmoother(localizer.refiner.depth)

    def follow(self, frames: FrameReader | Iterator[StreamFrame]) -> Iterator[FollowedFrame]:
        """Estimate the pose of each image of a stream.

        The keypoints of the next image are detected while the last one is matched.

        Args:
            frames: the images in order.

        Yields:
            The images with their poses.
        """
        run = self.localizer.run

        def prepare(frame: StreamFrame) -> tuple[StreamFrame, PreparedImage]:
            return frame, prepare_image(run, frame.image)

        with work_ahead(prepare, iter(frames)) as prepared:
            for each in prepared:
                yield self._follow_one(*each)

    def _follow_one(self, frame: StreamFrame, prepared: PreparedImage) -> FollowedFrame:
        estimate = self._estimate(prepared)
        if self.smoother is not None:
            if estimate.valid:
                estimate = _smoothed(self.smoother, estimate, frame.seconds)
            else:
                self.smoother.reset()
        return FollowedFrame(
            frame.number, frame.seconds, frame.image, estimate, prepared.camera.hfov_deg
        )

    def _estimate(self, prepared: PreparedImage) -> PoseEstimate:
        """Return the pose of an image, not valid if the camera is lost."""
        if len(prepared.keypoints) < MIN_INLIERS:  # nothing to see: dark, covered, a blank wall
            return LOST
        if self.tracker is None:
            return self.localizer.localize(prepared.image)
        estimate = self.tracker.track_prepared(prepared)
        return estimate if estimate.refined else LOST


LOST = PoseEstimate(
    position=np.full(3, np.nan),
    quaternion_wxyz=np.full(4, np.nan),
    rotation_spread_deg=float("nan"),
    position_std=float("nan"),
    rotation_std_deg=float("nan"),
    num_inliers=0,
    refined=False,
    valid=False,
)


def _smoothed(smoother: CausalSmoother, estimate: PoseEstimate, seconds: float) -> PoseEstimate:
    """Return an estimate with its pose smoothed."""
    rotation = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
    pose = smoother.smooth(
        CameraPose(estimate.position, rotation),
        estimate.position_std,
        estimate.rotation_std_deg,
        seconds,
    )
    return replace(
        estimate,
        position=pose.position,
        quaternion_wxyz=pose.rotation.as_quat(canonical=True, scalar_first=True),
    )
