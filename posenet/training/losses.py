"""Losses on poses, per image. keras.ops only, one value a image, so that replicas average rightly."""

from __future__ import annotations

import keras
from keras import ops

from posenet.models.quaternions import distance, nearer_sign, rotate, unit

# Caffe's train_posenet.prototxt weighs each head's position by .3, .3, 1 and its quaternion by beta times that.
AUXILIARY_WEIGHT = 0.3
HEADS = {"": 1.0, "aux1_": AUXILIARY_WEIGHT, "aux2_": AUXILIARY_WEIGHT}


@keras.saving.register_keras_serializable("posenet")
class PoseNetLoss(keras.layers.Layer):
    """The 2015 loss: |x - x'| + beta |q - q'/|q'||, for each head, summed by the head weights.

    Kendall et al. (2015): beta 120 to 750 indoors, 250 to 2000 outdoors, positions in meters.
    """

    def __init__(self, beta: float = 500.0, **kwargs):
        super().__init__(
            **{"dtype": "float32"} | kwargs
        )  # a mixed policy would round the truth to three digits
        self.beta = beta

    def call(self, truth, heads):
        """truth {"position", "quaternion"}, heads as the network gives them -> (b,)."""
        total = 0.0
        for prefix, weight in _present(heads):
            quaternion = heads[f"{prefix}quaternion"]
            position = distance(heads[f"{prefix}position"], truth["position"])
            rotation = distance(quaternion, nearer_sign(quaternion, truth["quaternion"]))
            total = total + weight * (position + self.beta * rotation)
        return total

    def get_config(self):
        return super().get_config() | {"beta": self.beta}


@keras.saving.register_keras_serializable("posenet")
class LearnedWeightsLoss(keras.layers.Layer):
    """Position and rotation weighed by two learned log variances (Kendall & Cipolla 2017):
    Lx exp(-sx) + sx + Lq exp(-sq) + sq, with L1 norms as there.

    Positions are divided by `scale`, the scene's size: both errors then start at about 1, and sx = sq = 0 fits.
    Where the network also tells scene and camera points (see models/scene_points.py), their distances from the true
    ones, averaged over the cells where these are known, are weighed by a third learned variance.
    The variables hold a tenth of sx and sq: the optimizer's steps, sized for the network's weights, then move
    them ten times as fast, so that they settle within a short training.
    The value may well become negative: that is no fault.
    """

    PACE = 10.0

    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.scale = scale

    def build(self, *_):
        self.paced = self.add_weight(shape=(3,), initializer="zeros", name="paced", dtype="float32")

    @property
    def log_variances(self):
        """(3,) sx, sq and that of the points."""
        return self.PACE * ops.convert_to_tensor(self.paced)

    def call(self, truth, heads):
        """truth {"position", "quaternion"}, heads as the network gives them -> (b,)."""
        log_position, log_rotation, log_points = ops.unstack(self.log_variances)
        total = 0.0
        if "scene_coordinates" in heads:
            total = _points_off(truth, heads) / self.scale * ops.exp(-log_points) + log_points
        for prefix, weight in _present(heads):
            quaternion = unit(heads[f"{prefix}quaternion"])
            position = _l1(heads[f"{prefix}position"], truth["position"]) / self.scale
            rotation = _l1(quaternion, nearer_sign(quaternion, truth["quaternion"]))
            total = total + weight * (
                position * ops.exp(-log_position)
                + log_position
                + rotation * ops.exp(-log_rotation)
                + log_rotation
            )
        return total

    def get_config(self):
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable("posenet")
class GeometricLoss(LearnedWeightsLoss):
    """How far the scene's points lie from where the camera sees them, if it stood as answered, by their depth.

    The idea of Kendall & Cipolla's (2017) reprojection error, which weighs position against rotation by what they do to
    the image; but before the projection, so that it is smooth and counts the depth too: |R^T (X - C) - p| / p_z.
    Needs points that the image's cells show. Weighed against the points' own error by learned variances.
    """

    def call(self, truth, heads):
        """truth {"position", "quaternion", "scene_coordinates", "camera_coordinates"}, heads -> (b,)."""
        log_pose, _, log_points = ops.unstack(self.log_variances)
        total = 0.0
        if "scene_coordinates" in heads:
            total = _points_off(truth, heads) / self.scale * ops.exp(-log_points) + log_points
        known = ops.cast(ops.isfinite(truth["scene_coordinates"][..., 0]), "float32")
        scene, camera = (
            ops.where(known[..., None] > 0, truth[name], 1.0)
            for name in ("scene_coordinates", "camera_coordinates")
        )
        for prefix, weight in _present(heads):
            quaternion = unit(heads[f"{prefix}quaternion"]) * ops.array([1.0, -1.0, -1.0, -1.0])
            seen = rotate(
                quaternion[:, None, None], scene - heads[f"{prefix}position"][:, None, None]
            )
            off = distance(seen, camera) / ops.maximum(camera[..., 2], 1e-6)
            mean = ops.sum(known * off, axis=(1, 2)) / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
            total = total + weight * (mean * ops.exp(-log_pose) + log_pose)
        return total


def _points_off(truth, heads):
    """(b,) mean distance of both kinds of points from the true ones, over the cells where these are known."""
    known = ops.cast(ops.isfinite(truth["scene_coordinates"][..., 0]), "float32")
    total = 0.0
    for name in ("scene_coordinates", "camera_coordinates"):
        aim = ops.where(known[..., None] > 0, truth[name], heads[name])
        total = total + ops.sum(known * distance(aim, heads[name]), axis=(1, 2))
    return total / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)


def _l1(a, b):
    return ops.sum(ops.abs(a - b), axis=-1)


def _present(heads):
    return [(prefix, weight) for prefix, weight in HEADS.items() if f"{prefix}position" in heads]
