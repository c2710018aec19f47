"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

Source: tensorflow/tpu, efficientnet/lite. Layer names are those of the PyTorch files
(`_blocks.3._depthwise_conv`), with underscores instead of dots. 4,694,024 numbers with the ImageNet
classifier, moving averages of batch normalization included.
"""

from __future__ import annotations

import keras
from keras import layers

from posenet.config import Rotation
from posenet.models.heads import PoseHead
from posenet.models.layers import FastBatchNorm, FastDepthwise

# kernel, repeats, filters in and out, expansion, stride of each stage
STAGES = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)


NUM_BLOCKS = sum(repeats for _, repeats, *_ in STAGES)
# Prefixes of the names of the layers of each block, from the image on, for freezing.
BLOCK_LAYERS = (("_conv_stem", "_bn0"), *((f"_blocks_{row}_",) for row in range(NUM_BLOCKS)))


def efficientnet_lite0(image):
    """Build the last feature map of EfficientNet-Lite0.

    Args:
        image: raw RGB images, shape (b, h, w, 3).

    Returns:
        A map (b, h / 32, w / 32, 1280).
    """
    _, x = feature_maps(image)
    x = layers.Conv2D(1280, 1, use_bias=False, name="_conv_head")(x)
    return _norm_relu6(x, "_bn1")


def feature_maps(image):
    """Build the feature maps of EfficientNet-Lite0.

    Args:
        image: raw RGB images, shape (b, h, w, 3).

    Returns:
        Maps (b, h / 16, w / 16, 112) and (b, h / 32, w / 32, 320).
    """
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocess")(image)
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="_conv_stem")(x)
    x = _norm_relu6(x, "_bn0")
    number = 0
    for kernel, repeats, _, filters, expansion, stride in STAGES:
        for repeat in range(repeats):
            x = _block(
                x, f"_blocks_{number}", kernel, filters, expansion, stride if repeat == 0 else 1
            )
            number += 1
        if filters == 112:
            fine = x
    return fine, x


def efficientnet_lite0_heads(
    image, auxiliary: bool = True, rotation: Rotation = "quaternion"
) -> dict:
    """Build the pose head on EfficientNet-Lite0.

    Args:
        image: raw RGB images, shape (b, h, w, 3).
        auxiliary: ignored; there are no auxiliary heads.
        rotation: parameterization of the rotation.

    Returns:
        Outputs as of `posenet_2015`.
    """
    return PoseHead("cls3", rotation=rotation)(efficientnet_lite0(image))


def classifier() -> keras.Model:
    """Build the ImageNet classifier.

    Returns:
        A network: raw RGB images (b, 224, 224, 3) -> probabilities (b, 1000).
    """
    image = keras.Input((224, 224, 3))
    x = layers.GlobalAveragePooling2D(name="pool")(efficientnet_lite0(image))
    return keras.Model(image, layers.Dense(1000, activation="softmax", name="_fc")(x))


def _block(x, name, kernel, filters, expansion, stride):
    """Return an inverted residual: widen, filter each channel, narrow."""
    inputs = x
    if expansion > 1:
        x = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}__expand_conv")(
            x
        )
        x = _norm_relu6(x, f"{name}__bn0")
    x = FastDepthwise(kernel, stride, "same", use_bias=False, name=f"{name}__depthwise_conv")(x)
    x = _norm_relu6(x, f"{name}__bn1")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}__project_conv")(x)
    x = FastBatchNorm(epsilon=1e-3, momentum=0.9, name=f"{name}__bn2")(x)
    if stride == 1 and inputs.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([inputs, x])
    return x


def _norm_relu6(x, name):
    x = FastBatchNorm(epsilon=1e-3, momentum=0.9, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)
