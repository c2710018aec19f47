"""Follow the camera of a video: the last pose replaces retrieval and the network."""

from __future__ import annotations

from pathlib import Path

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
from posenet.localization.query_images import QueryImage, as_files, query_camera


class PoseTracker:
    """Estimates the poses of consecutive images of a video or stream.

    Each image is matched with the few training images nearest to the pose of the image before. If
    no pose is accepted, or it is far from the one before, this image is localized by retrieval as
    `Localizer.localize` does.
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

    def reset(self) -> None:
        """Forget the last pose, so that the next image is localized by retrieval."""
        self._last = None

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
        with as_files([image]) as [path]:
            pose = self._track_last(path, camera) if self._last else None
            if pose is not None:
                self._last = pose.pose
                return self._to_estimate(pose)
            self.reset()
            estimate = self.localizer.localize(path, camera=camera)
        if estimate.refined:
            rotation = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
            self._last = CameraPose(estimate.position, rotation)
        return estimate

    def _track_last(self, path: Path, camera: Camera | None) -> AbsolutePose | None:
        """Return the accepted pose near the last one, None if the camera is lost."""
        refiner = self.localizer.refiner
        camera = camera or query_camera(self.localizer.run, path)
        assert self._last is not None
        pose = refiner.estimate_near(path, camera, self._last)
        if pose is not None:
            pose = choose_pose(pose, self._last, self.localizer.uncertainty)
        if pose is not None and are_near(pose.pose, self._last, refiner.depth):
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
