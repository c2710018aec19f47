"""The registry of backbones, and building a network for a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers

from posenet.config import Head, Rotation
from posenet.errors import PoseNetError
from posenet.models import efficientnet_lite, googlenet, inception_v4
from posenet.models.applications import (
    application_classifier,
    application_heads,
    application_names,
)
from posenet.models.layers import FastBatchNorm, FastDepthwise
from posenet.models.scene_coordinates import SceneCoordinateHead

# Networks of keras.applications that bfloat16 makes faster on CPUs that compute it.
FAST_IN_BFLOAT16 = ("VGG", "ResNet", "DenseNet", "Inception")
# Keras' own layers that saved models contain in place of faster ones.
STOCK_LAYERS = {FastBatchNorm: layers.BatchNormalization, FastDepthwise: layers.DepthwiseConv2D}


@dataclass(frozen=True)
class Backbone:
    """A backbone network.

    Attributes:
        build_heads: (image tensor, auxiliary: bool, rotation) -> dict of heads, for the pose head.
        learning_rate: the highest one that it trains well with.
        fixed_size: the only (height, width) that it accepts, if any. Those of 2015, which predict
            quaternions only.
        auxiliary: whether it has auxiliary heads for training.
        benefits_from_bfloat16: whether bfloat16 makes it faster on CPUs that compute it, which is
            not so with Keras' own depthwise convolutions.
        feature_maps: image tensor -> feature maps of stride 16 and 32, for the scene-coordinate
            head; None if unsupported.
        classifier: builds its ImageNet network, raw RGB -> probabilities.
        stages: prefixes of the names of the layers of each stage, from the image on. A training
            may freeze the first of them, if they are pretrained.
    """

    build_heads: Callable[..., dict[str, Any]]
    learning_rate: float
    fixed_size: tuple[int, int] | None = None
    auxiliary: bool = True
    benefits_from_bfloat16: bool = True
    feature_maps: Callable[[Any], tuple[Any, Any]] | None = None
    classifier: Callable[[], keras.Model] | None = None
    stages: tuple[tuple[str, ...], ...] = ()

    def keep_statistics(self, network: keras.Model) -> None:
        """Let batch normalization keep its averages in training, for pretrained weights.

        Args:
            network: a network of this backbone.
        """
        for layer in self._stage_layers(network, len(self.stages)):
            if isinstance(layer, FastBatchNorm):
                layer.keeps_statistics = True

    def freeze(self, network: keras.Model, count: int) -> None:
        """Exclude the first stages of a network from training.

        Args:
            network: a network of this backbone.
            count: number of stages.
        """
        for layer in self._stage_layers(network, count):
            layer.trainable = False

    def _stage_layers(self, network: keras.Model, count: int) -> list[layers.Layer]:
        """Return the layers of the first stages."""
        prefixes = tuple(prefix for stage in self.stages[:count] for prefix in stage)
        return [layer for layer in network.layers if layer.name.startswith(prefixes)]


BACKBONES = {
    "googlenet": Backbone(
        googlenet.googlenet_bn,
        2e-3,
        feature_maps=googlenet.feature_maps,
        classifier=googlenet.classifier,
    ),
    "efficientnet_lite0": Backbone(
        efficientnet_lite.efficientnet_lite0_heads,
        2e-3,
        auxiliary=False,
        feature_maps=efficientnet_lite.feature_maps,
        classifier=efficientnet_lite.classifier,
        stages=efficientnet_lite.BLOCK_LAYERS,
    ),
    "inception_v4": Backbone(
        inception_v4.inception_v4_heads,
        1e-3,
        auxiliary=False,
        classifier=inception_v4.classifier,
    ),
    "posenet": Backbone(partial(googlenet.posenet_2015, variant="caffe"), 1e-4, (224, 224)),
    "posenet_tensorflow": Backbone(
        partial(googlenet.posenet_2015, variant="tensorflow"), 1e-4, (224, 224)
    ),
    "posenet_keras": Backbone(partial(googlenet.posenet_2015, variant="keras"), 1e-4, (224, 224)),
}


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is built from.

    Attributes:
        backbone: name of the backbone.
        size: (height, width) of the input.
        position_mean: mean of the training positions, scene units.
        position_scale: scale of the training positions, scene units.
        head: the network head.
        rotation: parameterization of the rotation in the pose head.
    """

    backbone: str
    size: tuple[int, int]
    position_mean: tuple[float, ...]
    position_scale: float
    head: Head
    rotation: Rotation

    def build(self) -> keras.Model:
        """Build the network for training.

        Returns:
            The network with its auxiliary heads.
        """
        return build_network(**vars(self))

    def build_inference(self, trained: keras.Model) -> keras.Model:
        """Build the network for inference.

        Args:
            trained: the trained network.

        Returns:
            The float32 network of the final head with its weights.
        """
        return inference_network(trained, **vars(self))


def get_backbone(name: str) -> Backbone:
    """Return a backbone by its name.

    Args:
        name: one of `BACKBONES`, or a network of keras.applications.

    Returns:
        The backbone.

    Raises:
        PoseNetError: there is no such backbone.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if name in application_names():
        return Backbone(
            partial(application_heads, name=name),
            1e-3,
            auxiliary=False,
            benefits_from_bfloat16=name.startswith(FAST_IN_BFLOAT16),
            classifier=partial(application_classifier, name),
        )
    raise PoseNetError(
        f"--backbone must be one of {', '.join(BACKBONES)}, or of keras.applications, such as "
        f"MobileNetV2; received {name!r}"
    )


def build_network(
    backbone: str,
    size: tuple[int, int],
    position_mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    position_scale: float = 1.0,
    *,
    auxiliary: bool = True,
    head: Head = "pose",
    rotation: Rotation = "quaternion",
) -> keras.Model:
    """Build a functional network on raw RGB images.

    Args:
        backbone: name of the backbone.
        size: (height, width) of the input, values 0 to 255.
        position_mean: added to the positions, scene units.
        position_scale: factor of the positions, scene units.
        auxiliary: include what only training needs.
        head: the network head.
        rotation: parameterization of the rotation in the pose head.

    Returns:
        A network with the outputs "position" (b, 3) in scene units and "quaternion" (b, 4) wxyz,
        not normalized. The scene-coordinate head also gives "residual_rms" (b,) and, with
        `auxiliary`, "scene_coordinates" and "camera_coordinates" (b, h / 16, w / 16, 3). Other
        heads give "aux1_position", "aux1_quaternion" and so on with `auxiliary`.
    """
    image = keras.Input((*size, 3), name="image")
    chosen = get_backbone(backbone)
    if head == "scene-coordinates":
        assert chosen.feature_maps, f"{backbone} does not support the scene-coordinate head"
        outputs = SceneCoordinateHead()(*chosen.feature_maps(image))
        if not auxiliary:
            outputs = {k: v for k, v in outputs.items() if not k.endswith("_coordinates")}
    elif chosen.fixed_size:
        outputs = chosen.build_heads(image, auxiliary=auxiliary)
    else:
        outputs = chosen.build_heads(image, auxiliary=auxiliary, rotation=rotation)
    mean = [float(value) for value in position_mean]
    for name in outputs:
        if name.endswith(("position", "_coordinates", "residual_rms")):
            is_absolute = name.endswith("position") or name == "scene_coordinates"
            offset = mean if is_absolute else 0.0
            to_world = layers.Rescaling(
                position_scale, offset, dtype="float32", name=f"{name}_world"
            )
            outputs[name] = to_world(outputs[name])
    return keras.Model(image, outputs, name="posenet")


def inference_network(
    trained: keras.Model,
    backbone: str,
    size: tuple[int, int],
    position_mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    position_scale: float = 1.0,
    head: Head = "pose",
    rotation: Rotation = "quaternion",
) -> keras.Model:
    """Build the network of the final head with the weights of a trained network.

    It is always float32, and of Keras' own layers wherever there is one, so that the file runs
    everywhere and can be exported.

    Args:
        trained: the trained network.
        backbone: as for `build_network`.
        size: as for `build_network`.
        position_mean: as for `build_network`.
        position_scale: as for `build_network`.
        head: as for `build_network`.
        rotation: as for `build_network`.

    Returns:
        A network with the outputs "position" (b, 3), "quaternion" (b, 4) of unit length and, with
        the scene-coordinate head, "residual_rms" (b,).
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        plain = build_network(
            backbone,
            size,
            position_mean,
            position_scale,
            auxiliary=False,
            head=head,
            rotation=rotation,
        )
        plain = keras.models.clone_model(plain, clone_function=_with_stock_layers)
    finally:
        keras.config.set_dtype_policy(policy)
    for layer in plain.layers:
        if layer.weights:
            weights = trained.get_layer(layer.name).get_weights()
            layer.set_weights([np.asarray(weight, np.float32) for weight in weights])
    normalize = layers.UnitNormalization(name="unit_quaternion", dtype="float32")
    outputs = plain.output | {"quaternion": normalize(plain.output["quaternion"])}
    return keras.Model(plain.input, outputs, name="posenet")


def _with_stock_layers(layer: layers.Layer) -> layers.Layer:
    return STOCK_LAYERS.get(type(layer), type(layer)).from_config(layer.get_config())
