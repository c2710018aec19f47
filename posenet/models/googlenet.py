"""GoogLeNet (Szegedy et al. 2014), as PoseNet uses it and with batch normalization.

`posenet_2015` is PoseNet exactly (Kendall et al. 2015: train_posenet.prototxt), in the four public
variants, whose weight files fit only their own graph: VARIANTS says how they differ. Layer names
are those of the published files. 12,431,173 parameters with all three heads (Caffe, TensorFlow).
`googlenet_bn` is the backbone that trains well from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from posenet.config import Rotation
from posenet.models.heads import PoseHead, pose_outputs
from posenet.models.layers import CAFFE_MEAN_BGR, FastBatchNorm, LocalResponseNorm, ToMeanBGR

# Filters of each inception block: 1x1, reduction to 3x3, 3x3, reduction to 5x5, 5x5, pool
# projection.
BLOCKS = {
    "icp1": (64, 96, 128, 16, 32, 32),  # 3a
    "icp2": (128, 128, 192, 32, 96, 64),  # 3b
    "icp3": (192, 96, 208, 16, 48, 64),  # 4a, feeds the first auxiliary head
    "icp4": (160, 112, 224, 24, 64, 64),  # 4b
    "icp5": (128, 128, 256, 24, 64, 64),  # 4c
    "icp6": (112, 144, 288, 32, 64, 64),  # 4d, feeds the second auxiliary head
    "icp7": (256, 160, 320, 32, 128, 128),  # 4e
    "icp8": (256, 160, 320, 32, 128, 128),  # 5a
    "icp9": (384, 192, 384, 48, 128, 128),  # 5b
}


@dataclass(frozen=True)
class ArchitectureVariant:
    """How the public PoseNet graphs differ.

    Attributes:
        symmetric_start: conv1 is padded by 3 on every side (Caffe), otherwise SAME (2 before, 3
            after).
        normalization: local response ("lrn") or batch normalization ("bn") after pool1 and conv2.
        pool2_padding: "same" gives 28 x 28, "valid" 27 x 27.
        dropout: rates before the two auxiliary outputs and the final one.
        symmetric_pools: pools that halve the size are padded by 1 on every side, otherwise SAME
            (right and bottom only).
        rgb: the weights expect RGB, otherwise BGR.
    """

    symmetric_start: bool
    normalization: str
    pool2_padding: str
    dropout: tuple[float, float, float]
    symmetric_pools: bool = False
    rgb: bool = False


VARIANTS = {
    "caffe": ArchitectureVariant(True, "lrn", "same", (0.7, 0.7, 0.5)),
    "tensorflow": ArchitectureVariant(False, "lrn", "same", (0.0, 0.0, 0.0)),
    "keras": ArchitectureVariant(False, "bn", "valid", (0.0, 0.0, 0.0)),
    "pytorch": ArchitectureVariant(
        True, "lrn", "same", (0.7, 0.7, 0.5), symmetric_pools=True, rgb=True
    ),
}


def posenet_2015(
    image,
    variant: str = "caffe",
    auxiliary: bool = True,
    preprocess: bool = True,
    batchnorm_epsilon: float = 1e-3,
) -> dict:
    """Build PoseNet (2015).

    Args:
        image: raw RGB images, shape (b, 224, 224, 3).
        variant: one of `VARIANTS`.
        auxiliary: build the two auxiliary heads too.
        preprocess: False if the images already have the channels of the variant without their mean.
        batchnorm_epsilon: epsilon of batch normalization in the keras variant.

    Returns:
        "position" (b, 3) and "quaternion" (b, 4), not normalized; with `auxiliary` also
        "aux1_position" and so on.
    """
    chosen = VARIANTS[variant]
    x = _minus_mean(image, chosen) if preprocess else image
    blocks = _plain_backbone(x, chosen, batchnorm_epsilon)
    outputs: dict = {}
    if auxiliary:
        outputs |= _auxiliary_head(blocks["icp3"], 1, "cls1_fc1_pose", chosen.dropout[0])
        outputs |= _auxiliary_head(blocks["icp6"], 2, "cls2_fc1", chosen.dropout[1])
    x = layers.AveragePooling2D(7, 1, name="cls3_pool")(blocks["icp9"])
    x = layers.Flatten(name="cls3_flatten")(x)
    x = layers.Dense(2048, activation="relu", name="cls3_fc1_pose")(x)
    x = layers.Dropout(chosen.dropout[2], name="cls3_drop")(x)
    return pose_outputs(x, names=("cls3_fc_pose_xyz", "cls3_fc_pose_wpqr")) | outputs


def classifier() -> keras.Model:
    """Build GoogLeNet for ImageNet as BVLC trained it.

    Returns:
        A network: raw RGB images (b, 224, 224, 3) -> probabilities (b, 1000).
    """
    image = keras.Input((224, 224, 3))
    blocks = _plain_backbone(ToMeanBGR(name="preprocess")(image), VARIANTS["caffe"])
    x = layers.Flatten()(layers.AveragePooling2D(7, 1, name="cls3_pool")(blocks["icp9"]))
    return keras.Model(image, layers.Dense(1000, activation="softmax", name="cls3_classifier")(x))


def _minus_mean(image, variant: ArchitectureVariant):
    if variant.rgb:
        return layers.Rescaling(
            1.0, [-mean for mean in reversed(CAFFE_MEAN_BGR)], name="preprocess"
        )(image)
    return ToMeanBGR(name="preprocess")(image)


def _plain_backbone(x, variant: ArchitectureVariant, epsilon: float = 1e-3):
    def normalized(x, name):
        return (
            layers.BatchNormalization(epsilon=epsilon, name=name)(x)
            if variant.normalization == "bn"
            else LocalResponseNorm(name=name)(x)
        )

    if variant.symmetric_start:
        x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    padding = "valid" if variant.symmetric_start else "same"
    x = layers.Conv2D(64, 7, 2, padding, activation="relu", name="conv1")(x)
    x = _halved(x, "pool1", variant)
    x = normalized(x, "norm1")
    x = _conv_relu(x, 64, 1, "reduction2")
    x = normalized(_conv_relu(x, 192, 3, "conv2"), "norm2")
    x = _halved(x, "pool2", variant, variant.pool2_padding)
    return _inception_blocks(x, _conv_relu, variant)


def _halved(x, name, variant: ArchitectureVariant, padding="same"):
    if variant.symmetric_pools:  # what comes in is not negative: a border of zeros never wins
        return layers.MaxPooling2D(3, 2, name=name)(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))
    return layers.MaxPooling2D(3, 2, padding, name=name)(x)


def _conv_relu(x, filters, size, name):
    return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)(x)


def _inception_blocks(x, conv, variant: ArchitectureVariant):
    """Return the outputs of icp1 to icp9, with the pools between them."""
    outputs = {}
    for name, filters in BLOCKS.items():
        if name in ("icp3", "icp8"):
            x = _halved(x, f"{name}_in", variant)
        outputs[name] = x = _inception(x, filters, name, conv)
    return outputs


def _inception(x, filters, name, conv):
    one, reduce3, three, reduce5, five, projection = filters
    pooled = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    branches = [
        conv(x, one, 1, f"{name}_out0"),
        conv(conv(x, reduce3, 1, f"{name}_reduction1"), three, 3, f"{name}_out1"),
        conv(conv(x, reduce5, 1, f"{name}_reduction2"), five, 5, f"{name}_out2"),
        conv(pooled, projection, 1, f"{name}_out3"),
    ]
    return layers.Concatenate(name=f"{name}_out")(branches)


def _auxiliary_head(x, number, dense_name, dropout):
    x = layers.AveragePooling2D(5, 3, name=f"cls{number}_pool")(x)
    x = _conv_relu(x, 128, 1, f"cls{number}_reduction_pose")
    x = layers.Flatten(name=f"cls{number}_flatten")(x)
    x = layers.Dense(1024, activation="relu", name=dense_name)(x)
    x = layers.Dropout(dropout, name=f"cls{number}_drop")(x)
    names = (f"cls{number}_fc_pose_xyz", f"cls{number}_fc_pose_wpqr")
    return pose_outputs(x, names=names, prefix=f"aux{number}_")


def googlenet_bn(image, auxiliary: bool = True, rotation: Rotation = "quaternion") -> dict:
    """Build GoogLeNet with batch normalization after every convolution.

    It trains from scratch in minutes on small scenes.

    Args:
        image: raw RGB images, shape (b, h, w, 3), at least 32 x 32.
        auxiliary: build the two auxiliary heads too.
        rotation: parameterization of the rotation.

    Returns:
        Outputs as of `posenet_2015`.
    """
    blocks = _normalized_blocks(image)
    outputs = PoseHead("cls3", rotation=rotation)(blocks["icp9"])
    if auxiliary:
        outputs |= PoseHead("cls1", 8, "aux1_", rotation)(blocks["icp3"])
        outputs |= PoseHead("cls2", 8, "aux2_", rotation)(blocks["icp6"])
    return outputs


def feature_maps(image):
    """Build the feature maps of GoogLeNet with batch normalization.

    Args:
        image: raw RGB images, shape (b, h, w, 3).

    Returns:
        Maps (b, h / 16, w / 16, 832) and (b, h / 32, w / 32, 1024).
    """
    blocks = _normalized_blocks(image)
    return blocks["icp7"], blocks["icp9"]


def _normalized_blocks(image) -> dict:
    """Return the outputs of the inception blocks, each convolution with batch normalization."""
    x = layers.Rescaling(1 / 64.0, offset=-2.0, name="preprocess")(image)
    x = _conv_bn(x, 64, 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = _conv_bn(_conv_bn(x, 64, 1, "reduction2"), 192, 3, "conv2")
    x = layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
    return _inception_blocks(x, _conv_bn, VARIANTS["tensorflow"])


def _conv_bn(x, filters, size, name, strides=1):
    x = layers.Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    x = FastBatchNorm(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
