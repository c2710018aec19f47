"""Layers of model.keras files written before 0.1.0, under the names that those files contain.

Keras finds the weights of a layer by the name of its class, and its outputs by their position among
the sorted keys. Both were others then, so each renamed layer has a subclass here. New models never
contain them.
"""

from __future__ import annotations

from typing import Any

import keras

from posenet.models.scene_coordinates import BlendedPosition, CoordinatesToPose

# Output keys by their names in the old files.
OLD_KEYS = {
    "residual_rms": "doubt",
    "scene_coordinates": "scene_points",
    "camera_coordinates": "camera_points",
}


@keras.saving.register_keras_serializable("posenet")
class PointsToPose(CoordinatesToPose):
    """`CoordinatesToPose` with the output keys of old files."""

    def call(self, x: Any) -> dict[str, Any]:
        """Return the outputs of `CoordinatesToPose` under their old keys."""
        return {OLD_KEYS.get(key, key): value for key, value in super().call(x).items()}


@keras.saving.register_keras_serializable("posenet")
class Mixed(BlendedPosition):
    """`BlendedPosition` under its old name."""
