"""Inception-v4 (Szegedy et al., 2016), as in TF-Slim's checkpoint and its Keras port.

Convolutions have no bias; batch normalization without gamma and a ReLU follow. Layers have the
names of TF-Slim's variables, with _ instead of /. 149 convolutions; 42,712,937 numbers with the
ImageNet classifier, moving averages included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import keras
from keras import layers

from posenet.config import Rotation
from posenet.models.heads import PoseHead
from posenet.models.layers import FastBatchNorm

# ImageNet's classes after one for the background.
CLASSES = 1001
# Side of the classifier's input in pixels.
SIZE = 299


@dataclass
class _Builder:
    """Builds convolutions and records their names in order."""

    names: list[str] = field(default_factory=list)

    def conv(
        self,
        x,
        scope: str,
        filters: int,
        height: int,
        width: int,
        stride: int = 1,
        padding: str = "same",
    ):
        """Return a convolution; its name is the scope (Mixed_5b_Branch_1_Conv2d_0b) and size."""
        name = f"{scope}_{height}x{width}"
        self.names.append(name)
        x = layers.Conv2D(filters, (height, width), stride, padding, use_bias=False, name=name)(x)
        x = FastBatchNorm(momentum=0.9, epsilon=1e-3, scale=False, name=f"{name}_BatchNorm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def chain(self, x, scope: str, *kernels: tuple[int, int, int]):
        """Return successive convolutions (filters, height, width), named 0a, 0b and so on."""
        for letter, (filters, height, width) in zip("abcde", kernels, strict=False):
            x = self.conv(x, f"{scope}_Conv2d_0{letter}", filters, height, width)
        return x

    def stem(self, x):
        x = self.conv(x, "Conv2d_1a", 32, 3, 3, 2, "valid")
        x = self.conv(x, "Conv2d_2a", 32, 3, 3, 1, "valid")
        x = self.conv(x, "Conv2d_2b", 64, 3, 3)
        pooled = layers.MaxPooling2D(3, 2, name="Mixed_3a_pool")(x)
        x = _join(
            "Mixed_3a", pooled, self.conv(x, "Mixed_3a_Branch_1_Conv2d_0a", 96, 3, 3, 2, "valid")
        )
        first = self.chain(x, "Mixed_4a_Branch_0", (64, 1, 1))
        first = self.conv(first, "Mixed_4a_Branch_0_Conv2d_1a", 96, 3, 3, 1, "valid")
        second = self.chain(x, "Mixed_4a_Branch_1", (64, 1, 1), (64, 1, 7), (64, 7, 1))
        second = self.conv(second, "Mixed_4a_Branch_1_Conv2d_1a", 96, 3, 3, 1, "valid")
        x = _join("Mixed_4a", first, second)
        halved = self.conv(x, "Mixed_5a_Branch_0_Conv2d_1a", 192, 3, 3, 2, "valid")
        return _join("Mixed_5a", halved, layers.MaxPooling2D(3, 2, name="Mixed_5a_pool")(x))

    def block_a(self, x, name: str):
        return _join(
            name,
            self.chain(x, f"{name}_Branch_0", (96, 1, 1)),
            self.chain(x, f"{name}_Branch_1", (64, 1, 1), (96, 3, 3)),
            self.chain(x, f"{name}_Branch_2", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
            self.pooled(x, name, 96),
        )

    def reduction_a(self, x, name: str = "Mixed_6a"):
        first = self.conv(x, f"{name}_Branch_0_Conv2d_1a", 384, 3, 3, 2, "valid")
        second = self.chain(x, f"{name}_Branch_1", (192, 1, 1), (224, 3, 3))
        second = self.conv(second, f"{name}_Branch_1_Conv2d_1a", 256, 3, 3, 2, "valid")
        return _join(name, first, second, layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x))

    def block_b(self, x, name: str):
        long = ((192, 1, 1), (192, 7, 1), (224, 1, 7), (224, 7, 1), (256, 1, 7))
        return _join(
            name,
            self.chain(x, f"{name}_Branch_0", (384, 1, 1)),
            self.chain(x, f"{name}_Branch_1", (192, 1, 1), (224, 1, 7), (256, 7, 1)),
            self.chain(x, f"{name}_Branch_2", *long),
            self.pooled(x, name, 128),
        )

    def reduction_b(self, x, name: str = "Mixed_7a"):
        first = self.chain(x, f"{name}_Branch_0", (192, 1, 1))
        first = self.conv(first, f"{name}_Branch_0_Conv2d_1a", 192, 3, 3, 2, "valid")
        second = self.chain(x, f"{name}_Branch_1", (256, 1, 1), (256, 1, 7), (320, 7, 1))
        second = self.conv(second, f"{name}_Branch_1_Conv2d_1a", 320, 3, 3, 2, "valid")
        return _join(name, first, second, layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x))

    def block_c(self, x, name: str):
        first = self.chain(x, f"{name}_Branch_0", (256, 1, 1))
        wide = self.chain(x, f"{name}_Branch_1", (384, 1, 1))
        second = [
            self.conv(wide, f"{name}_Branch_1_Conv2d_0b", 256, 1, 3),
            self.conv(wide, f"{name}_Branch_1_Conv2d_0c", 256, 3, 1),
        ]
        deep = self.chain(x, f"{name}_Branch_2", (384, 1, 1), (448, 3, 1), (512, 1, 3))
        third = [
            self.conv(deep, f"{name}_Branch_2_Conv2d_0d", 256, 1, 3),
            self.conv(deep, f"{name}_Branch_2_Conv2d_0e", 256, 3, 1),
        ]
        return _join(name, first, *second, *third, self.pooled(x, name, 256))

    def pooled(self, x, name: str, filters: int):
        """Return the branch after an average pool."""
        x = layers.AveragePooling2D(3, 1, "same", name=f"{name}_pool")(x)
        return self.conv(x, f"{name}_Branch_3_Conv2d_0b", filters, 1, 1)


def _join(name: str, *branches):
    return layers.Concatenate(name=name)(list(branches))


def _features(image, make: _Builder):
    x = make.stem(layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(image))
    for letter in "bcde":
        x = make.block_a(x, f"Mixed_5{letter}")
    x = make.reduction_a(x)
    for letter in "bcdefgh":
        x = make.block_b(x, f"Mixed_6{letter}")
    x = make.reduction_b(x)
    for letter in "bcd":
        x = make.block_c(x, f"Mixed_7{letter}")
    return x


def inception_v4(image):
    """Build the feature map of Inception-v4.

    Args:
        image: raw RGB images, shape (b, h, w, 3), at least 75 x 75.

    Returns:
        A map (b, h', w', 1536); 299 x 299 gives 8 x 8.
    """
    return _features(image, _Builder())


@cache
def convolution_names() -> tuple[str, ...]:
    """Return the names of the 149 convolutions in the order in which the Keras port builds them.

    Returns:
        The names.
    """
    builder = _Builder()
    _features(keras.Input((SIZE, SIZE, 3)), builder)
    return tuple(builder.names)


def inception_v4_heads(image, auxiliary: bool = True, rotation: Rotation = "quaternion") -> dict:
    """Build the pose head on Inception-v4.

    Args:
        image: raw RGB images, shape (b, h, w, 3).
        auxiliary: ignored; there are no auxiliary heads.
        rotation: parameterization of the rotation.

    Returns:
        Outputs as of `posenet_2015`.
    """
    return PoseHead("cls3", rotation=rotation)(inception_v4(image))


def classifier() -> keras.Model:
    """Build the ImageNet classifier.

    Returns:
        A network: raw RGB images (b, 299, 299, 3) -> probabilities (b, 1001), background first.
    """
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D(name="pool")(inception_v4(image))
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="Logits")(x))
