"""Pose head: from backbone features to a position and a quaternion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import initializers, layers

from posenet.config import Rotation
from posenet.models.layers import FastBatchNorm
from posenet.models.rotations import IDENTITY, ToQuaternion

# Width of the hidden layer.
HIDDEN = 256
# Standard deviations of Caffe's initial weights of position and quaternion, and that of this head.
CAFFE_POSITION_STD = 0.5
CAFFE_QUATERNION_STD = 0.01
INITIAL_STD = 0.01


def pose_outputs(
    x: Any,
    names: tuple[str, str],
    *,
    prefix: str = "",
    initial_std: float | None = None,
    rotation: Rotation = "quaternion",
) -> dict[str, Any]:
    """Add the output layers of a pose.

    Args:
        x: features, shape (b, n).
        names: names of the layers of position and rotation.
        prefix: prefix of the outputs.
        initial_std: standard deviation of the initial weights. Default: those of Caffe.
        rotation: parameterization of the rotation; others than a quaternion become a unit one.

    Returns:
        prefix + "position" (b, 3) and prefix + "quaternion" (b, 4), both float32.
    """
    position_start = initializers.RandomNormal(stddev=initial_std or CAFFE_POSITION_STD)
    rotation_start = initializers.RandomNormal(stddev=initial_std or CAFFE_QUATERNION_STD)
    position = layers.Dense(3, kernel_initializer=position_start, dtype="float32", name=names[0])(x)
    size = 4 if rotation == "quaternion" else len(IDENTITY[rotation])
    parameters = layers.Dense(
        size, kernel_initializer=rotation_start, dtype="float32", name=names[1]
    )(x)
    if rotation != "quaternion":
        parameters = ToQuaternion(rotation, name=f"{names[1]}_unit")(parameters)
    return {f"{prefix}position": position, f"{prefix}quaternion": parameters}


@dataclass(frozen=True)
class PoseHead:
    """Builds a pose from a feature map (b, h, w, c).

    Two views of the map are joined: its global average, and a 1 x 1 convolution to few channels
    that is flattened, which keeps where in the image something is.

    Attributes:
        name: prefix of the layer names.
        spatial: channels of the flattened map.
        prefix: prefix of the outputs.
        rotation: parameterization of the rotation.
    """

    name: str
    spatial: int = 64
    prefix: str = ""
    rotation: Rotation = "quaternion"

    def __call__(self, x: Any) -> dict[str, Any]:
        """Return the pose."""
        name = self.name
        pooled = layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)
        spatial = layers.Conv2D(self.spatial, 1, use_bias=False, name=f"{name}_where")(x)
        spatial = FastBatchNorm(momentum=0.9, name=f"{name}_where_bn")(spatial)
        spatial = layers.ReLU(name=f"{name}_where_relu")(spatial)
        spatial = layers.Flatten(name=f"{name}_where_flat")(spatial)
        x = layers.Concatenate(name=f"{name}_features")([pooled, spatial])
        x = layers.Dense(
            HIDDEN, kernel_initializer="he_normal", activation="relu", name=f"{name}_hidden"
        )(x)
        return pose_outputs(
            x,
            (f"{name}_xyz", f"{name}_wpqr"),
            prefix=self.prefix,
            initial_std=INITIAL_STD,
            rotation=self.rotation,
        )
