"""Scene-coordinate head: regresses world and camera coordinates for every cell and aligns them.

The pose is the rigid motion that aligns the camera coordinates with the scene coordinates (Horn,
1987), weighted by the confidence of the cells. It is differentiable, so that the pose is trained
too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from posenet.models.layers import FastBatchNorm
from posenet.models.quaternions import rotate
from posenet.models.rotations import nearest_rotation

# Channels of the head's convolutions, and width of the hidden layer of the direct position.
WIDTH = 128
HIDDEN = 256
# Half the field of view that the rays start with: tan(29 degrees).
INITIAL_HALF_VIEW = 0.55
# Depth that a zero output stands for, before softplus, and scale of the offsets from the rays.
INITIAL_DEPTH = 0.5
OFFSET_SCALE = 0.1
# The variable of the blend holds a tenth of the logit, so that it settles within a short training.
LEARNING_RATE_MULTIPLIER = 10.0


class RigidMotion(NamedTuple):
    """A rigid motion that aligns points.

    Attributes:
        translation: shape (b, 3).
        quaternion: unit quaternions wxyz, shape (b, 4).
        residual_rms: weighted root mean square distance after the alignment, shape (b,).
    """

    translation: Any
    quaternion: Any
    residual_rms: Any


class SceneCoordinateHead:
    """Builds the head on feature maps of stride 16 (b, h, w, c) and 32 (b, h / 2, w / 2, d).

    The names of its layers start with "points" in every saved model.
    """

    def __init__(self, name: str = "points") -> None:
        self.name = name

    def __call__(self, fine: Any, coarse: Any) -> dict[str, Any]:
        """Return "position", "quaternion", "residual_rms" and the coordinates of the cells."""
        name = self.name
        rows, columns = fine.shape[1:3]
        context = self._convolution(coarse, 1, "coarse")
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(coarse)
        whole = layers.Conv2D(WIDTH, 1, name=f"{name}_whole")(pooled)
        context = layers.Add(name=f"{name}_context")([context, whole])
        context = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(context)
        extra = (context.shape[1] - rows, context.shape[2] - columns)
        context = layers.Cropping2D(((0, extra[0]), (0, extra[1])), name=f"{name}_cut")(context)
        fine = self._convolution(fine, 1, "fine")
        x = layers.Concatenate(name=f"{name}_joined")([fine, context])
        x = self._convolution(x, 3, "mix")
        x = self._convolution(x, 1, "deep")
        x = layers.Conv2D(
            7,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name=f"{name}_out",
        )(x)
        outputs = CoordinatesToPose(dtype="float32", name=f"{name}_pose")(x)
        flat = layers.Flatten(name=f"{name}_flat")(pooled)
        direct = layers.Dense(HIDDEN, activation="relu", name=f"{name}_hidden")(flat)
        direct = layers.Dense(3, dtype="float32", name=f"{name}_direct")(direct)
        blend = BlendedPosition(dtype="float32", name=f"{name}_mixed")
        outputs["position"] = blend([outputs["position"], direct])
        return outputs

    def _convolution(self, x: Any, size: int, name: str) -> Any:
        x = layers.Conv2D(WIDTH, size, padding="same", use_bias=False, name=f"{self.name}_{name}")(
            x
        )
        x = FastBatchNorm(momentum=0.9, name=f"{self.name}_{name}_bn")(x)
        return layers.ReLU(name=f"{self.name}_{name}_relu")(x)


@keras.saving.register_keras_serializable("posenet")
class CoordinatesToPose(keras.layers.Layer):
    """Converts seven channels per cell (b, h, w, 7) to coordinates, and these to a pose.

    Channels: three scene coordinates; the depth and the offset from the cell's ray, two, of the
    camera coordinates; the logit of the confidence. The unit is the scale of the scene, whose
    center is at 0.
    """

    def build(self, shape: Any) -> None:
        """Create the rays of the cells."""
        rows, columns = shape[1:3]
        longest = max(rows, columns)
        x = np.linspace(-1, 1, columns) * columns / longest * INITIAL_HALF_VIEW
        y = np.linspace(-1, 1, rows) * rows / longest * INITIAL_HALF_VIEW
        start = np.stack(np.meshgrid(x, y), -1)
        self.rays = self.add_weight(
            shape=(rows, columns, 2),
            initializer=keras.initializers.Constant(start),
            name="rays",
            dtype="float32",
        )

    def call(self, x: Any) -> dict[str, Any]:
        """Return the pose, the residual of the alignment, and the coordinates."""
        scene = x[..., :3]
        depth = ops.softplus(x[..., 3:4] + INITIAL_DEPTH)
        rays = ops.convert_to_tensor(self.rays) + OFFSET_SCALE * x[..., 4:6]
        camera = depth * ops.concatenate([rays, ops.ones_like(depth)], axis=-1)
        cells = x.shape[1] * x.shape[2]
        confidence = ops.softmax(ops.reshape(x[..., 6], (-1, cells)), axis=-1)
        motion = weighted_procrustes(
            ops.reshape(camera, (-1, cells, 3)), ops.reshape(scene, (-1, cells, 3)), confidence
        )
        return {
            "position": motion.translation,
            "quaternion": motion.quaternion,
            "residual_rms": motion.residual_rms,
            "scene_coordinates": scene,
            "camera_coordinates": camera,
        }


@keras.saving.register_keras_serializable("posenet")
class BlendedPosition(keras.layers.Layer):
    """Blends two positions (b, 3) by one learned weight.

    How well the alignment determines the position depends on the scene. Where the camera hardly
    moves, an error of depth is larger than the whole movement, and features alone are better.
    """

    def build(self, *_: Any) -> None:
        """Create the weight."""
        self.paced = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.1), name="paced"
        )

    def call(self, positions: Any) -> Any:
        """Return the blended position, shape (b, 3)."""
        share = ops.sigmoid(LEARNING_RATE_MULTIPLIER * ops.convert_to_tensor(self.paced))
        return share * positions[0] + (1 - share) * positions[1]


def weighted_procrustes(points: Any, targets: Any, weights: Any) -> RigidMotion:
    """Return the rigid motion that aligns points with targets best.

    Args:
        points: shape (b, n, 3).
        targets: shape (b, n, 3).
        weights: shape (b, n), with sum 1.

    Returns:
        The motion.
    """
    weights = weights[..., None]
    point_mean = ops.sum(weights * points, axis=1)
    target_mean = ops.sum(weights * targets, axis=1)
    points_centered = points - point_mean[:, None]
    targets_centered = targets - target_mean[:, None]
    products = ops.matmul(ops.transpose(weights * points_centered, (0, 2, 1)), targets_centered)
    quaternion = nearest_rotation(products)
    rotated = rotate(quaternion[:, None], points_centered)
    squares = ops.sum(ops.square(rotated - targets_centered), axis=-1)
    mean_square = ops.sum(weights[..., 0] * squares, axis=1)
    translation = target_mean - rotate(quaternion, point_mean)
    return RigidMotion(translation, quaternion, ops.sqrt(mean_square + 1e-12))
