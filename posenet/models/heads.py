"""From backbone features to a position and a quaternion."""

from __future__ import annotations

from dataclasses import dataclass

from keras import initializers, layers

from posenet.config import Rotation
from posenet.models.layers import FastBatchNorm
from posenet.models.rotations import STARTS, ToQuaternion

HIDDEN = 256


def pose_outputs(
    x,
    names: tuple[str, str],
    prefix: str = "",
    spread: float | None = None,
    rotation: Rotation = "quaternion",
) -> dict:
    """Features (b, n) -> {prefix + "position": (b, 3), prefix + "quaternion": (b, 4)}, both float32.

    spread: standard deviation of the starting weights; Caffe's are 0.5 for the position and 0.01 for the quaternion.
    rotation: the numbers that tell it; others than a quaternion become a unit one.
    """
    started = [initializers.RandomNormal(stddev=spread or caffe) for caffe in (0.5, 0.01)]
    position = layers.Dense(3, kernel_initializer=started[0], dtype="float32", name=names[0])(x)
    numbers = 4 if rotation == "quaternion" else len(STARTS[rotation])
    turn = layers.Dense(numbers, kernel_initializer=started[1], dtype="float32", name=names[1])(x)
    if rotation != "quaternion":
        turn = ToQuaternion(rotation, name=f"{names[1]}_unit")(turn)
    return {f"{prefix}position": position, f"{prefix}quaternion": turn}


@dataclass(frozen=True)
class PoseHead:
    """Feature map (b, h, w, c) -> pose.

    Two views of the map are joined: its global average, and a 1 x 1 convolution to `spatial` channels
    that is flattened, which tells where in the image something is seen.
    """

    name: str
    spatial: int = 64
    prefix: str = ""
    rotation: Rotation = "quaternion"

    def __call__(self, x) -> dict:
        pooled = layers.GlobalAveragePooling2D(name=f"{self.name}_pool")(x)
        where = layers.Conv2D(self.spatial, 1, use_bias=False, name=f"{self.name}_where")(x)
        where = FastBatchNorm(momentum=0.9, name=f"{self.name}_where_bn")(where)
        where = layers.ReLU(name=f"{self.name}_where_relu")(where)
        where = layers.Flatten(name=f"{self.name}_where_flat")(where)
        x = layers.Concatenate(name=f"{self.name}_features")([pooled, where])
        x = layers.Dense(
            HIDDEN, kernel_initializer="he_normal", activation="relu", name=f"{self.name}_hidden"
        )(x)
        return pose_outputs(
            x, (f"{self.name}_xyz", f"{self.name}_wpqr"), self.prefix, 0.01, self.rotation
        )
