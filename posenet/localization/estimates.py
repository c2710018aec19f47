"""Estimated poses with their uncertainty: of one image, and of many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from posenet.errors import count
from posenet.geometry.poses import Poses, is_valid_quaternion
from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.refinement import RefinementResult


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """The estimated pose of one image, world_from_camera.

    Attributes:
        position: camera center in the world frame, scene units, shape (3,); NaN if not `valid`.
        quaternion_wxyz: rotation from camera axes (x right, y down, z forward) to world axes,
            Hamilton, w >= 0, shape (4,); NaN if not `valid`.
        rotation_spread_deg: mean angle between the rotations of the test-time augmentation views
            and their mean, degrees; NaN with one view.
        position_std: standard deviation of the position, scene units; NaN without refinement.
        rotation_std_deg: standard deviation of the rotation, degrees; NaN without refinement.
        num_inliers: number of keypoints that agree with the refined pose; 0 if not `refined`.
        refined: whether the pose was refined by PnP; otherwise it is the regressed pose.
        valid: whether the image could be read and localized.
    """

    position: np.ndarray
    quaternion_wxyz: np.ndarray
    rotation_spread_deg: float
    position_std: float
    rotation_std_deg: float
    num_inliers: int
    refined: bool
    valid: bool

    def __str__(self) -> str:
        """Return the pose in one line."""
        if not self.valid:
            return "PoseEstimate(invalid)"
        position = ", ".join(f"{value:.3f}" for value in self.position)
        quaternion = ", ".join(f"{value:.4f}" for value in self.quaternion_wxyz)
        text = f"position [{position}], quaternion_wxyz [{quaternion}]"
        if self.refined:
            text += f", refined with {count(self.num_inliers, 'inlier')}"
            text += f", position_std {self.position_std:.2g}"
        return f"PoseEstimate({text})"

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class PoseEstimates:
    """The estimated poses of n images, world_from_camera.

    Attributes:
        poses: the best poses, meaningless where not `valid`.
        valid: whether an image could be read and localized, shape (n,).
        regressed: the poses from the network alone, meaningless where not `regressed_valid`.
        regressed_valid: whether the network predicted a pose, shape (n,).
        rotation_spread_deg: mean angle between the rotations of the views and their mean, degrees,
            shape (n,); None with one view.
        descriptors: global descriptors for image retrieval, shape (n, d).
        refinement: the refinement, None if it was not requested.
    """

    poses: Poses
    valid: np.ndarray
    regressed: Poses
    regressed_valid: np.ndarray
    rotation_spread_deg: np.ndarray | None
    descriptors: np.ndarray
    refinement: RefinementResult | None = None

    @property
    def positions(self) -> np.ndarray:
        """Camera centers in the world frame, scene units, shape (n, 3); NaN where not valid."""
        return np.where(self.valid[:, None], self.poses.positions, np.nan)

    @property
    def quaternions_wxyz(self) -> np.ndarray:
        """Camera axes to world axes, Hamilton, w >= 0, shape (n, 4); NaN where not valid."""
        return np.where(self.valid[:, None], self.poses.quaternions_wxyz, np.nan)

    @property
    def refined(self) -> np.ndarray:
        """Whether a pose was refined by PnP, shape (n,)."""
        return self.refinement.refined if self.refinement else np.zeros(len(self), bool)

    @property
    def num_inliers(self) -> np.ndarray:
        """Number of keypoints that agree with the refined pose, shape (n,); 0 without one."""
        return self.refinement.num_inliers if self.refinement else np.zeros(len(self), int)

    @property
    def position_std(self) -> np.ndarray:
        """Standard deviations of the positions, shape (n,); NaN without refinement."""
        return self.refinement.position_std if self.refinement else np.full(len(self), np.nan)

    @property
    def rotation_std_deg(self) -> np.ndarray:
        """Standard deviations of the rotations, degrees, shape (n,); NaN without refinement."""
        return self.refinement.rotation_std_deg if self.refinement else np.full(len(self), np.nan)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.valid)

    def __getitem__(self, row: int) -> PoseEstimate:
        """Return the estimate of one image."""
        spread = self.rotation_spread_deg
        return PoseEstimate(
            position=self.positions[row],
            quaternion_wxyz=self.quaternions_wxyz[row],
            rotation_spread_deg=float("nan") if spread is None else float(spread[row]),
            position_std=float(self.position_std[row]),
            rotation_std_deg=float(self.rotation_std_deg[row]),
            num_inliers=int(self.num_inliers[row]),
            refined=bool(self.refined[row]),
            valid=bool(self.valid[row]),
        )

    def __str__(self) -> str:
        """Return a summary in one line."""
        text = f"{int(self.valid.sum())} of {count(len(self), 'image')} localized"
        if self.refinement is not None:
            text += f", {int(self.refined.sum())} refined"
        return f"PoseEstimates({text})"

    __repr__ = __str__

    def scatter(self, rows: np.ndarray, total: int) -> PoseEstimates:
        """Return the same estimates among images that could not be read.

        Args:
            rows: indices of these images among all, shape (n,).
            total: number of all images.

        Returns:
            The estimates of all images; those not in `rows` are invalid.
        """
        spread = self.rotation_spread_deg
        refinement = self.refinement
        if refinement is not None:
            poses: list[AbsolutePose | None] = [None] * total
            for row, pose in zip(rows, refinement.absolute_poses, strict=True):
                poses[row] = pose
            refinement = replace(
                refinement,
                poses=_scatter_poses(refinement.poses, rows, total),
                absolute_poses=poses,
                neighbors=_scatter(refinement.neighbors, rows, total, 0),
            )
        return PoseEstimates(
            poses=_scatter_poses(self.poses, rows, total),
            valid=_scatter(self.valid, rows, total, False),
            regressed=_scatter_poses(self.regressed, rows, total),
            regressed_valid=_scatter(self.regressed_valid, rows, total, False),
            rotation_spread_deg=None if spread is None else _scatter(spread, rows, total, np.nan),
            descriptors=_scatter(self.descriptors, rows, total, 0),
            refinement=refinement,
        )


def valid_poses(
    outputs: dict[str, np.ndarray], origin: ArrayLike = (0.0, 0.0, 0.0)
) -> tuple[Poses, np.ndarray]:
    """Convert the outputs of a network to poses.

    Args:
        outputs: "position" (n, 3) and "quaternion" (n, 4).
        origin: the network's origin in the world frame, shape (3,), or that of each image, (n, 3).

    Returns:
        n poses, and a mask (n,) of those that are finite and have a rotation.
    """
    position = outputs["position"]
    quaternion = outputs["quaternion"]
    valid = np.isfinite(position).all(axis=1) & is_valid_quaternion(quaternion)
    poses = Poses.from_quaternions(
        np.where(valid[:, None], position, 0) + np.asarray(origin, float),
        np.where(valid[:, None], quaternion, [1, 0, 0, 0]),
    )
    return poses, valid


def _scatter(values: np.ndarray, rows: np.ndarray, total: int, fill: float) -> np.ndarray:
    scattered = np.full((total, *values.shape[1:]), fill, values.dtype)
    scattered[rows] = values
    return scattered


def _scatter_poses(poses: Poses, rows: np.ndarray, total: int) -> Poses:
    quaternions = np.tile([1.0, 0, 0, 0], (total, 1))
    quaternions[rows] = poses.quaternions_wxyz
    return Poses.from_quaternions(_scatter(poses.positions, rows, total, 0), quaternions)
