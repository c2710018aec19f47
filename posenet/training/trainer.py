"""The Keras model that training runs: a network, its loss, and two numbers to watch."""

from __future__ import annotations

import keras
from keras import ops

from posenet.models.quaternions import distance, rotation_angle


@keras.saving.register_keras_serializable("posenet")
class PerImage(keras.losses.Loss):
    """Passes per-image losses on, so that Keras averages them over the images of all replicas."""

    def call(self, y_true, y_pred):
        return y_pred


class Trainer(keras.Model):
    """Fits `network` (a dict of heads) by `pose_loss` (a layer, so that it may own learned weights)."""

    def __init__(self, network: keras.Model, pose_loss: keras.layers.Layer):
        super().__init__()
        self.network, self.pose_loss = network, pose_loss
        self.mean_over_images = PerImage(dtype="float32")
        self.position_error = keras.metrics.Mean(name="position")
        self.rotation_error = keras.metrics.Mean(name="rotation_deg")
        if isinstance(network.output, dict) and not isinstance(network.input, list):
            wanted = {name: network.output[name] for name in ("position", "quaternion")}
            self.final_head = keras.Model(network.input, wanted)
        if not pose_loss.built:
            pose_loss.build(None)
        self.built = True

    def call(self, images, training=False):
        return self.network(images, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        each = self.pose_loss(y, y_pred)
        self.position_error.update_state(distance(y_pred["position"], y["position"]))
        self.rotation_error.update_state(
            rotation_angle(y_pred["quaternion"], y["quaternion"]) * 57.29577951308232
        )
        return self.mean_over_images(ops.zeros_like(each), each)
