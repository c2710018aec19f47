"""Smooth the poses of a stream causally: a constant-velocity Kalman filter.

A stream has no future, so a pose is drawn towards what the motion until then predicts. How far
depends on its own uncertainty: precise poses stay nearly unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import CameraPose

# Standard deviation of the acceleration of a camera that is carried or driven: of its position, as
# a fraction of the scene's median depth per second squared, and of its rotation, degrees per second
# squared. Chosen on training sequences whose own images were not matched (docs/stream.md).
ACCELERATION = 1.0
ROTATION_ACCELERATION_DEG = 600.0
# Standard deviations from the predicted pose beyond which the motion was not constant: the filter
# starts again from the measured pose, which many keypoints support. Where every tenth frame of two
# training sequences at 10 frames per second was dropped, keeping the prediction once instead gave
# errors of 1.1 m beside 7 mm.
MAX_DEVIATIONS = 3.0
# Seconds without a pose after which the motion before says nothing about the next pose.
MAX_GAP_SECONDS = 1.0


@dataclass
class _MotionFilter:
    """A Kalman filter of three axes with the same uncertainty: value and velocity of each.

    Values are offsets from a reference that the caller moves, so that rotations can be filtered as
    rotation vectors.
    """

    acceleration: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))

    def start(self, variance: float) -> None:
        """Start at a measured value, with an unknown velocity."""
        self.velocity = np.zeros(3)
        # After a second at this acceleration the velocity is as uncertain.
        self.covariance = np.diag([variance, self.acceleration**2])

    def predict(self, seconds: float) -> None:
        """Let time pass."""
        step = np.array([[1, seconds], [0, 1]])
        push = np.array([seconds**2 / 2, seconds]) * self.acceleration
        self.covariance = step @ self.covariance @ step.T + np.outer(push, push)

    def deviations(self, offset: np.ndarray, variance: float) -> float:
        """Return by how many standard deviations a measured value differs from the predicted."""
        total = max(float(self.covariance[0, 0]) + variance, 1e-30)
        return float(np.linalg.norm(offset) / np.sqrt(3 * total))

    def correct(self, offset: np.ndarray, variance: float) -> np.ndarray:
        """Return by how much the predicted value moves towards the measured one."""
        gain = self.covariance[:, 0] / max(float(self.covariance[0, 0]) + variance, 1e-30)
        self.velocity = self.velocity + gain[1] * offset
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        correction: np.ndarray = gain[0] * offset
        return correction


class CausalSmoother:
    """Smooths poses as they come, each with those before it."""

    def __init__(
        self, depth: float, *, acceleration: float = ACCELERATION, rotation: float | None = None
    ) -> None:
        """Start without a pose.

        Args:
            depth: median depth of the scene, scene units.
            acceleration: standard deviation of the acceleration of the position, depths per second
                squared; a larger one smooths less.
            rotation: the same of the rotation, degrees per second squared. Default: 600.
        """
        degrees = ROTATION_ACCELERATION_DEG if rotation is None else rotation
        self._position = _MotionFilter(acceleration * depth)
        self._rotation = _MotionFilter(float(np.radians(degrees)))
        self._pose: CameraPose | None = None
        self._seconds = 0.0

    def reset(self) -> None:
        """Forget the motion, as after the camera was lost."""
        self._pose = None

    def smooth(
        self, pose: CameraPose, position_std: float, rotation_std_deg: float, seconds: float
    ) -> CameraPose:
        """Smooth the next pose.

        Args:
            pose: the measured pose, world_from_camera.
            position_std: standard deviation of its position over all axes, scene units.
            rotation_std_deg: standard deviation of its rotation over all axes, degrees.
            seconds: its time.

        Returns:
            The smoothed pose.
        """
        variances = position_std**2 / 3, np.radians(rotation_std_deg) ** 2 / 3
        passed = seconds - self._seconds
        if self._pose is None or not 0 < passed <= MAX_GAP_SECONDS:
            return self._start(pose, variances, seconds)
        self._position.predict(passed)
        self._rotation.predict(passed)
        expected = CameraPose(
            self._pose.position + passed * self._position.velocity,
            self._pose.rotation * Rotation.from_rotvec(passed * self._rotation.velocity),
        )
        offset = pose.position - expected.position
        turn = (expected.rotation.inv() * pose.rotation).as_rotvec()
        worst = max(
            self._position.deviations(offset, variances[0]),
            self._rotation.deviations(turn, variances[1]),
        )
        if worst > MAX_DEVIATIONS:
            return self._start(pose, variances, seconds)
        offset = self._position.correct(offset, variances[0])
        turn = self._rotation.correct(turn, variances[1])
        rotation = expected.rotation * Rotation.from_rotvec(turn)
        self._pose, self._seconds = CameraPose(expected.position + offset, rotation), seconds
        return self._pose

    def _start(
        self, pose: CameraPose, variances: tuple[float, float], seconds: float
    ) -> CameraPose:
        self._position.start(variances[0])
        self._rotation.start(variances[1])
        self._pose, self._seconds = pose, seconds
        return pose
