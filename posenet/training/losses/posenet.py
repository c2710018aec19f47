"""The loss of PoseNet (2015)."""

from __future__ import annotations

from typing import Any

import keras

from posenet.models.quaternions import distance, nearer_sign
from posenet.training.losses.heads import present_heads


@keras.saving.register_keras_serializable("posenet")
class PoseNetLoss(keras.layers.Layer):
    """The fixed-weight loss |x - x'| + beta |q - q'/|q'||, summed over the heads.

    Kendall et al. (2015): beta is 120 to 750 indoors and 250 to 2000 outdoors, positions in meters.
    """

    def __init__(self, beta: float = 500.0, **kwargs: Any) -> None:
        """Set the weight of the rotation."""
        # A mixed policy would round the truth to three digits.
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.beta = beta

    def call(self, truth: dict[str, Any], heads: dict[str, Any]) -> Any:
        """Return the loss of each image, shape (b,).

        Args:
            truth: "position" (b, 3) and "quaternion" (b, 4).
            heads: the outputs of the network.
        """
        total = 0.0
        for prefix, weight in present_heads(heads):
            quaternion = heads[f"{prefix}quaternion"]
            position = distance(heads[f"{prefix}position"], truth["position"])
            rotation = distance(quaternion, nearer_sign(quaternion, truth["quaternion"]))
            total = total + weight * (position + self.beta * rotation)
        return total

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"beta": self.beta}
