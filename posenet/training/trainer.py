"""The Keras model that `fit` runs: a network, its loss, and two metrics."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from posenet.models.quaternions import distance, rotation_angle

DEGREES_PER_RADIAN = 57.29577951308232


@keras.saving.register_keras_serializable("posenet", name="PerPicture")
class PerImage(keras.losses.Loss):
    """Passes the losses of the images on, so that Keras averages them over all replicas."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses, shape (b,)."""
        return y_pred


class Trainer(keras.Model):
    """Fits a network by a loss that may have learned weights of its own."""

    def __init__(self, network: keras.Model, pose_loss: keras.layers.Layer) -> None:
        """Combine a network and a loss.

        Args:
            network: its outputs are a dict of heads.
            pose_loss: a layer with call(truth, heads) -> (b,).
        """
        super().__init__()
        self.network = network
        self.pose_loss = pose_loss
        self.mean_over_images = PerImage(dtype="float32")
        self.position_error = keras.metrics.Mean(name="position_error")
        self.rotation_error = keras.metrics.Mean(name="rotation_error_deg")
        if isinstance(network.output, dict) and not isinstance(network.input, list):
            outputs = {name: network.output[name] for name in ("position", "quaternion")}
            self.final_head = keras.Model(network.input, outputs)
        if not pose_loss.built:
            pose_loss.build(None)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Return the outputs of the network."""
        return self.network(images, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean loss of a batch, and update the metrics."""
        losses = self.pose_loss(y, y_pred)
        self.position_error.update_state(distance(y_pred["position"], y["position"]))
        angle = rotation_angle(y_pred["quaternion"], y["quaternion"])
        self.rotation_error.update_state(angle * DEGREES_PER_RADIAN)
        return self.mean_over_images(ops.zeros_like(losses), losses)
