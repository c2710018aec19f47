"""The registry of backbones, and building a network for a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import layers

from posenet.config import Head, Rotation
from posenet.errors import PoseNetError
from posenet.models import efficientnet_lite, googlenet, inception_v4
from posenet.models.applications import application_classifier, application_heads, application_names
from posenet.models.efficientnet_lite import efficientnet_lite0_heads
from posenet.models.googlenet import googlenet_bn, posenet_2015
from posenet.models.inception_v4 import inception_v4_heads
from posenet.models.layers import FastBatchNorm, FastDepthwise
from posenet.models.scene_coordinates import SceneCoordinateHead


@dataclass(frozen=True)
class Backbone:
    """outputs: (image tensor, auxiliary: bool, rotation) -> dict of heads. learning_rate: the highest it trains well
    with.

    fixed_size: the only (h, w) it takes, if any: those of 2015, which answer by quaternions only. auxiliary: it has
    training heads. halves: bfloat16 makes it faster on CPUs that compute it, which Keras' own depthwise convolutions
    do not allow. maps: image tensor -> feature maps of stride 16 and 32, for a head that answers by points.
    classifier: makes its ImageNet network, raw RGB -> probabilities.
    """

    outputs: Callable[..., dict]
    learning_rate: float
    fixed_size: tuple[int, int] | None = None
    auxiliary: bool = True
    halves: bool = True
    maps: Callable | None = None
    classifier: Callable[[], keras.Model] | None = None


BACKBONES = {
    "googlenet": Backbone(
        googlenet_bn, 2e-3, maps=googlenet.feature_maps, classifier=googlenet.classifier
    ),
    "efficientnet_lite0": Backbone(
        efficientnet_lite0_heads,
        2e-3,
        auxiliary=False,
        maps=efficientnet_lite.feature_maps,
        classifier=efficientnet_lite.classifier,
    ),
    "inception_v4": Backbone(
        inception_v4_heads, 1e-3, auxiliary=False, classifier=inception_v4.classifier
    ),
    "posenet": Backbone(partial(posenet_2015, graph="caffe"), 1e-4, (224, 224)),
    "posenet_tensorflow": Backbone(partial(posenet_2015, graph="tensorflow"), 1e-4, (224, 224)),
    "posenet_keras": Backbone(partial(posenet_2015, graph="keras"), 1e-4, (224, 224)),
}


def get_backbone(name: str) -> Backbone:
    """The backbone of that name: one of BACKBONES or of keras.applications. Raises PoseNetError with the names."""
    if name in BACKBONES:
        return BACKBONES[name]
    if name in application_names():
        heads, classifier = (
            partial(application_heads, name=name),
            partial(application_classifier, name),
        )
        return Backbone(
            heads,
            1e-3,
            auxiliary=False,
            halves=name.startswith(("VGG", "ResNet", "DenseNet", "Inception")),
            classifier=classifier,
        )
    raise PoseNetError(
        f"--backbone must be one of {', '.join(BACKBONES)}, or of keras.applications, such as MobileNetV2; received {name!r}"
    )


def build_network(
    backbone: str, size: tuple[int, int], center=(0.0, 0.0, 0.0), scale: float = 1.0, auxiliary: bool = True,
    head: Head = "pose", rotation: Rotation = "quaternion",
) -> keras.Model:  # fmt: skip
    """A functional network on raw RGB images, float (b, h, w, 3), values 0-255.

    Its outputs are a dict: "position" (b, 3) in the scene's unit (what the heads say, times scale, plus
    center), "quaternion" (b, 4) wxyz, not normalized (the head of poses tells it by what `rotation` says), and with
    auxiliary=True the training heads "aux1_position", "aux1_quaternion", "aux2_...". The head
    "scene-coordinates" also gives "residual_rms" (b,) in the scene's unit and, with auxiliary=True, "scene_coordinates" and "camera_coordinates"
    (b, h / 16, w / 16, 3).
    """
    image = keras.Input((*size, 3), name="image")
    chosen = get_backbone(backbone)
    if head == "scene-coordinates":
        assert chosen.maps, f"{backbone} has no feature maps for the head of points"
        outputs = SceneCoordinateHead()(*chosen.maps(image))
        if not auxiliary:
            outputs = {
                name: value for name, value in outputs.items() if not name.endswith("_coordinates")
            }
    elif chosen.fixed_size:
        outputs = chosen.outputs(image, auxiliary=auxiliary)
    else:
        outputs = chosen.outputs(image, auxiliary=auxiliary, rotation=rotation)
    center = [float(c) for c in center]
    for name in outputs:
        if name.endswith(("position", "_coordinates", "residual_rms")):
            offset = center if name.endswith("position") or name == "scene_coordinates" else 0.0
            outputs[name] = layers.Rescaling(scale, offset, dtype="float32", name=f"{name}_world")(
                outputs[name]
            )
    return keras.Model(image, outputs, name="posenet")


def inference_network(
    trained: keras.Model,
    backbone: str,
    size,
    center,
    scale,
    head: Head = "pose",
    rotation: Rotation = "quaternion",
) -> keras.Model:
    """The float32 network of the final head alone, with the trained network's weights.

    Outputs "position" (b, 3), "quaternion" (b, 4) of unit length, and "residual_rms" (b,) of the head of points.
    Always float32, and of Keras' own layers wherever there is one, so that the file runs everywhere and exports.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        plain = build_network(backbone, size, center, scale, False, head, rotation)
        plain = keras.models.clone_model(plain, clone_function=_with_stock_layers)
    finally:
        keras.config.set_dtype_policy(policy)
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(
                [
                    np.asarray(weight, np.float32)
                    for weight in trained.get_layer(layer.name).get_weights()
                ]
            )
    unit = layers.UnitNormalization(name="unit_quaternion", dtype="float32")(
        plain.output["quaternion"]
    )
    outputs = plain.output | {"quaternion": unit}
    return keras.Model(plain.input, outputs, name="posenet")


def _with_stock_layers(layer: layers.Layer) -> layers.Layer:
    stock = {FastBatchNorm: layers.BatchNormalization, FastDepthwise: layers.DepthwiseConv2D}
    return stock.get(type(layer), type(layer)).from_config(layer.get_config())
