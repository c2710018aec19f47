"""The geometric loss: where would the scene's points be, seen from the predicted pose?"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from posenet.models.quaternions import distance, rotate, unit
from posenet.training.losses.heads import coordinate_error, present_heads
from posenet.training.losses.learned import LearnedWeightsLoss


@keras.saving.register_keras_serializable("posenet")
class GeometricLoss(LearnedWeightsLoss):
    """The distance between predicted and true scene points in the camera frame, divided by depth.

    The idea of the reprojection error of Kendall and Cipolla (2017), which weights position against
    rotation by their effect on the image, but before the projection, so that it is smooth and
    includes the depth: |R^T (X - C) - p| / p_z. It requires points that the cells show, and is
    weighted against the error of the coordinates by learned log variances.
    """

    def call(self, truth: dict[str, Any], heads: dict[str, Any]) -> Any:
        """Return the loss of each image, shape (b,).

        Args:
            truth: "position" (b, 3), "quaternion" (b, 4), "scene_coordinates" and
                "camera_coordinates" (b, rows, columns, 3), NaN if unknown.
            heads: the outputs of the network.
        """
        log_pose, _, log_points = ops.unstack(self.log_variances)
        total = 0.0
        if "scene_coordinates" in heads:
            error = coordinate_error(truth, heads) / self.scale
            total = error * ops.exp(-log_points) + log_points
        known = ops.cast(ops.isfinite(truth["scene_coordinates"][..., 0]), "float32")
        scene = ops.where(known[..., None] > 0, truth["scene_coordinates"], 1.0)
        camera = ops.where(known[..., None] > 0, truth["camera_coordinates"], 1.0)
        for prefix, weight in present_heads(heads):
            conjugate = ops.array([1.0, -1.0, -1.0, -1.0])
            quaternion = unit(heads[f"{prefix}quaternion"]) * conjugate
            position = heads[f"{prefix}position"]
            seen = rotate(quaternion[:, None, None], scene - position[:, None, None])
            errors = distance(seen, camera) / ops.maximum(camera[..., 2], 1e-6)
            count = ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
            mean = ops.sum(known * errors, axis=(1, 2)) / count
            total = total + weight * (mean * ops.exp(-log_pose) + log_pose)
        return total
