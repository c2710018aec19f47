"""Follow the camera of a video: the last pose replaces retrieval and the network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.acceptance import choose_pose
from posenet.localization.estimates import PoseEstimate
from posenet.localization.hypotheses import are_near
from posenet.localization.localizer import Localizer
from posenet.localization.pnp import CameraPose
from posenet.localization.query_images import (
    QueryImage,
    array_camera,
    as_files,
    check_array,
    query_camera,
)
from posenet.mapping.keypoints import Keypoints, detect, detect_in
from posenet.mapping.landmarks import MAX_KEYPOINTS
from posenet.run import Run


class PreparedImage(NamedTuple):
    """An image with what can be computed before the pose of the image before it is known.

    Attributes:
        image: the image, as it was given.
        camera: its camera.
        keypoints: its keypoints.
    """

    image: QueryImage
    camera: Camera
    keypoints: Keypoints


class PoseTracker:
    """Estimates the poses of consecutive images of a video or stream.

    Each image is matched with the few training images nearest to the pose that the motion so far
    predicts. If no pose is accepted, or it is far from both the last and the predicted one, this
    image is localized by retrieval as `Localizer.localize` does.
    """

    def __init__(self, localizer: Localizer) -> None:
        """Start without a pose.

        Args:
            localizer: a localizer that refines.

        Raises:
            PoseNetError: the localizer does not refine.
        """
        if not localizer.refines:
            raise PoseNetError("tracking requires a localizer with refine=True, received False")
        self.localizer = localizer
        self._last: CameraPose | None = None
        self._before: CameraPose | None = None

    def reset(self) -> None:
        """Forget the last pose, so that the next image is localized by retrieval."""
        self._last = self._before = None

    def track(self, image: QueryImage, *, camera: Camera | None = None) -> PoseEstimate:
        """Estimate the pose of the next image.

        Args:
            image: an image file (str or Path), RGB values of shape (h, w, 3) and type uint8, or a
                PIL image.
            camera: the camera of the upright image. Default: by `query_camera`.

        Returns:
            The pose, world_from_camera, with its uncertainty.

        Raises:
            PoseNetError: the image cannot be read, or the run cannot localize.
        """
        if self._last is None:  # the full search detects keypoints itself
            return self._search(image, camera)
        return self.track_prepared(prepare_image(self.localizer.run, image, camera=camera))

    def track_prepared(self, prepared: PreparedImage) -> PoseEstimate:
        """Estimate the pose of the next image, whose keypoints are known.

        Args:
            prepared: the image, as `prepare_image` returned it.

        Returns:
            The pose, world_from_camera, with its uncertainty.

        Raises:
            PoseNetError: the image cannot be read, or the run cannot localize.
        """
        pose = self._track_last(prepared) if self._last else None
        if pose is None:
            return self._search(prepared.image, prepared.camera)
        self._before, self._last = self._last, pose.pose
        return self._to_estimate(pose)

    def _search(self, image: QueryImage, camera: Camera | None) -> PoseEstimate:
        """Localize an image without the last pose."""
        self.reset()
        estimate = self.localizer.localize(image, camera=camera)
        if estimate.refined:
            rotation = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
            self._last = CameraPose(estimate.position, rotation)
        return estimate

    def _track_last(self, prepared: PreparedImage) -> AbsolutePose | None:
        """Return the accepted pose near the last one, None if the camera is lost."""
        refiner = self.localizer.refiner
        assert self._last is not None
        predicted = _continue_motion(self._before, self._last)
        pose = refiner.estimate_near(
            prepared.keypoints,
            predicted,
            has_known_focal_length=prepared.camera.has_known_focal_length,
        )
        if pose is not None:
            pose = choose_pose(pose, predicted, self.localizer.uncertainty)
        if pose is not None and any(
            are_near(pose.pose, expected, refiner.depth) for expected in (self._last, predicted)
        ):
            return pose
        return None

    def _to_estimate(self, pose: AbsolutePose) -> PoseEstimate:
        position_std, rotation_std_deg = self.localizer.uncertainty.standard_deviations(pose)
        return PoseEstimate(
            position=pose.position,
            quaternion_wxyz=pose.rotation.as_quat(canonical=True, scalar_first=True),
            rotation_spread_deg=float(np.nan),
            position_std=position_std,
            rotation_std_deg=rotation_std_deg,
            num_inliers=pose.num_inliers,
            refined=True,
            valid=True,
        )


def prepare_image(run: Run, image: QueryImage, *, camera: Camera | None = None) -> PreparedImage:
    """Detect the keypoints of an image. Another thread may do this for the next image.

    Args:
        run: the run.
        image: an image file (str or Path), RGB values of shape (h, w, 3) and type uint8, or a PIL
            image.
        camera: the camera of the upright image. Default: by `query_camera`.

    Returns:
        The image with its camera and keypoints.

    Raises:
        PoseNetError: the image cannot be read.
    """
    if isinstance(image, np.ndarray):
        check_array(image)
        camera = camera or array_camera(run, image)
        return PreparedImage(image, camera, detect_in(image, camera, MAX_KEYPOINTS))
    with as_files([image]) as [path]:
        camera = camera or query_camera(run, path)
        return PreparedImage(image, camera, detect(path, camera, MAX_KEYPOINTS))


def _continue_motion(before: CameraPose | None, last: CameraPose) -> CameraPose:
    """Return the next pose if the camera moves and rotates as between the last two images."""
    if before is None:
        return last
    rotation = last.rotation * (before.rotation.inv() * last.rotation)
    return CameraPose(2 * last.position - before.position, rotation)
