"""A head that answers by geometry: where in the world, and where before the camera, lies what each cell shows?

The pose is the rigid motion that lays the second set of points on the first (Horn 1987), weighed by how much each cell
is trusted. All of it is differentiable, so that the pose itself is trained too.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from posenet.models.layers import FastBatchNorm
from posenet.models.quaternions import rotate
from posenet.models.rotations import nearest_rotation

WIDTH = 128


class SceneCoordinateHead:
    """Feature maps -> pose and points. fine: (b, h, w, c), stride 16. coarse: (b, h / 2, w / 2, d), stride 32."""

    def __init__(self, name: str = "points"):
        self.name = name

    def __call__(self, fine, coarse) -> dict:
        name = self.name
        rows, columns = fine.shape[1:3]
        far = self._convolution(coarse, 1, "coarse")
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(coarse)
        whole = layers.Conv2D(WIDTH, 1, name=f"{name}_whole")(pooled)
        far = layers.Add(name=f"{name}_context")([far, whole])
        far = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(far)
        far = layers.Cropping2D(
            ((0, far.shape[1] - rows), (0, far.shape[2] - columns)), name=f"{name}_cut"
        )(far)
        x = layers.Concatenate(name=f"{name}_joined")([self._convolution(fine, 1, "fine"), far])
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
        direct = layers.Dense(256, activation="relu", name=f"{name}_hidden")(
            layers.Flatten(name=f"{name}_flat")(pooled)
        )
        direct = layers.Dense(3, dtype="float32", name=f"{name}_direct")(direct)
        outputs["position"] = BlendedPosition(dtype="float32", name=f"{name}_mixed")(
            [outputs["position"], direct]
        )
        return outputs

    def _convolution(self, x, size: int, name: str):
        x = layers.Conv2D(WIDTH, size, padding="same", use_bias=False, name=f"{self.name}_{name}")(
            x
        )
        x = FastBatchNorm(momentum=0.9, name=f"{self.name}_{name}_bn")(x)
        return layers.ReLU(name=f"{self.name}_{name}_relu")(x)


@keras.saving.register_keras_serializable("posenet", name="PointsToPose")  # as saved models call it
class CoordinatesToPose(keras.layers.Layer):
    """(b, h, w, 7) -> points and pose.

    Channels: 3 scene point; 3 camera point: its distance along z, and how far it lies beside the cell's ray; 1 trust.
    Units are the scene's scale, its center at 0.
    """

    def build(self, shape):
        rows, columns = shape[1:3]
        y, x = (
            np.linspace(-1, 1, count) * count / max(rows, columns) * 0.55
            for count in (rows, columns)
        )
        start = np.stack(np.meshgrid(x, y), -1)
        self.rays = self.add_weight(
            shape=(rows, columns, 2),
            initializer=keras.initializers.Constant(start),
            name="rays",
            dtype="float32",
        )

    def call(self, x):
        scene = x[..., :3]
        depth = ops.softplus(x[..., 3:4] + 0.5)
        beside = ops.convert_to_tensor(self.rays) + 0.1 * x[..., 4:6]
        camera = depth * ops.concatenate([beside, ops.ones_like(depth)], axis=-1)
        trust = ops.softmax(ops.reshape(x[..., 6], (-1, x.shape[1] * x.shape[2])), axis=-1)
        flat = (-1, x.shape[1] * x.shape[2], 3)
        position, quaternion, residual = weighted_procrustes(
            ops.reshape(camera, flat), ops.reshape(scene, flat), trust
        )
        return {
            "position": position, "quaternion": quaternion, "residual_rms": residual,
            "scene_coordinates": scene, "camera_coordinates": camera,
        }  # fmt: skip


@keras.saving.register_keras_serializable("posenet", name="Mixed")  # as saved models call it
class BlendedPosition(keras.layers.Layer):
    """Two answers (b, 3), mixed by one learned share: how well geometry tells the position depends on the scene.

    Where the camera hardly moves, an error of depth is larger than all its movement, and features alone tell more.
    The variable holds a tenth of the share's logit, so that it settles within a short training.
    """

    PACE = 10.0

    def build(self, *_):
        self.paced = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.1), name="paced"
        )

    def call(self, answers):
        share = ops.sigmoid(self.PACE * ops.convert_to_tensor(self.paced))
        return share * answers[0] + (1 - share) * answers[1]


def weighted_procrustes(points, targets, weights):
    """The motion that lays points (b, n, 3) on targets (b, n, 3) best, by weights (b, n) that sum to 1.

    Returns the translation (b, 3), the unit quaternion (b, 4) wxyz, and the root mean square distance left (b,).
    """
    weights = weights[..., None]
    middle, aim = ops.sum(weights * points, axis=1), ops.sum(weights * targets, axis=1)
    centerd, aimed = points - middle[:, None], targets - aim[:, None]
    products = ops.matmul(ops.transpose(weights * centerd, (0, 2, 1)), aimed)
    quaternion = nearest_rotation(products)
    turned = rotate(quaternion[:, None], centerd)
    left = ops.sum(weights[..., 0] * ops.sum(ops.square(turned - aimed), axis=-1), axis=1)
    position = aim - rotate(quaternion, middle)
    return position, quaternion, ops.sqrt(left + 1e-12)
