"""The loss with learned weights of position and rotation (2017)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from posenet.models.quaternions import nearer_sign, unit
from posenet.training.losses.heads import coordinate_error, l1_distance, present_heads

# The variables hold a tenth of the log variances, so that the optimizer's steps, which are sized
# for the network's weights, change them ten times as fast and they settle within a short training.
LEARNING_RATE_MULTIPLIER = 10.0


@keras.saving.register_keras_serializable("posenet")
class LearnedWeightsLoss(keras.layers.Layer):
    """Position and rotation errors weighted by learned log variances (Kendall and Cipolla, 2017).

    Lx exp(-sx) + sx + Lq exp(-sq) + sq, with L1 norms as in the paper. Positions are divided by
    `scale`, the size of the scene: both errors then start at about 1, and sx = sq = 0 is adequate.
    If the network predicts scene and camera coordinates, their mean distances from the true ones
    are weighted by a third log variance. The value may become negative.
    """

    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        """Set the size of the scene."""
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.scale = scale

    def build(self, *_: Any) -> None:
        """Create the log variances."""
        self.paced = self.add_weight(shape=(3,), initializer="zeros", name="paced", dtype="float32")

    @property
    def log_variances(self) -> Any:
        """The log variances of position, rotation and coordinates, shape (3,)."""
        return LEARNING_RATE_MULTIPLIER * ops.convert_to_tensor(self.paced)

    def call(self, truth: dict[str, Any], heads: dict[str, Any]) -> Any:
        """Return the loss of each image, shape (b,).

        Args:
            truth: "position" (b, 3), "quaternion" (b, 4), and the coordinates of the cells.
            heads: the outputs of the network.
        """
        log_position, log_rotation, log_points = ops.unstack(self.log_variances)
        total = 0.0
        if "scene_coordinates" in heads:
            error = coordinate_error(truth, heads) / self.scale
            total = error * ops.exp(-log_points) + log_points
        for prefix, weight in present_heads(heads):
            quaternion = unit(heads[f"{prefix}quaternion"])
            position = l1_distance(heads[f"{prefix}position"], truth["position"]) / self.scale
            rotation = l1_distance(quaternion, nearer_sign(quaternion, truth["quaternion"]))
            total = total + weight * (
                position * ops.exp(-log_position)
                + log_position
                + rotation * ops.exp(-log_rotation)
                + log_rotation
            )
        return total

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"scale": self.scale}
