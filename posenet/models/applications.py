"""The networks of keras.applications as backbones, by their names (MobileNetV2, ResNet50, ...).

Each contains the preprocessing of its family, so that it takes raw RGB like every other backbone.
The network itself is one nested layer, "backbone".
"""

from __future__ import annotations

from functools import cache

import keras
from keras import layers

from posenet.config import Rotation
from posenet.models.heads import PoseHead
from posenet.models.layers import ToMeanBGR

# What `preprocess_input` of each family does (keras.applications); "inside": the network does it
# itself
_PREPROCESSING = {
    "resnet": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "densenet": "torch",
    "inception_resnet_v2": "tf",
    "inception_v3": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "nasnet": "tf",
    "resnet_v2": "tf",
    "xception": "tf",
    "convnext": "inside",
    "efficientnet": "inside",
    "efficientnet_v2": "inside",
    "mobilenet_v3": "inside",
}
_MEAN_BGR = (103.939, 116.779, 123.68)
_MEAN_RGB = (0.485, 0.456, 0.406)
_DEVIATION_RGB = (0.229, 0.224, 0.225)


@cache
def application_names() -> tuple[str, ...]:
    """Return the networks of keras.applications whose preprocessing is known.

    Returns:
        Their names.
    """
    made = {
        name: getattr(keras.applications, name)
        for name in dir(keras.applications)
        if name[0].isupper()
    }
    return tuple(name for name, make in made.items() if _family(make) in _PREPROCESSING)


def _family(make) -> str:
    return make.__module__.rpartition(".")[2]


def preprocessing(name: str) -> layers.Layer:
    """Return the preprocessing of a network's family.

    Args:
        name: name of the network.

    Returns:
        A layer for raw RGB images.
    """
    mode = _PREPROCESSING[_family(getattr(keras.applications, name))]
    if mode == "caffe":
        return ToMeanBGR(_MEAN_BGR, name="preprocess")
    if mode == "torch":
        scale = [1 / (255 * deviation) for deviation in _DEVIATION_RGB]
        offset = [
            -mean / deviation for mean, deviation in zip(_MEAN_RGB, _DEVIATION_RGB, strict=True)
        ]
        return layers.Rescaling(scale, offset, name="preprocess")
    return (
        layers.Rescaling(1 / 127.5, -1.0, name="preprocess")
        if mode == "tf"
        else layers.Identity(name="preprocess")
    )


def application_heads(
    image, name: str, auxiliary: bool = True, rotation: Rotation = "quaternion"
) -> dict:
    """Build the pose head on a network of keras.applications.

    Args:
        image: raw RGB images, shape (b, h, w, 3).
        name: name of the network.
        auxiliary: ignored; there are no auxiliary heads.
        rotation: parameterization of the rotation.

    Returns:
        Outputs as of `posenet_2015`.
    """
    backbone = _made(name, include_top=False, input_shape=tuple(image.shape[1:]))
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            # A training of minutes ends before averages of 0.99 have followed it.
            layer.momentum = 0.9
    return PoseHead("cls3", rotation=rotation)(backbone(preprocessing(name)(image)))


def application_classifier(name: str) -> keras.Model:
    """Build the ImageNet classifier of a network of keras.applications.

    Args:
        name: name of the network.

    Returns:
        A network: raw RGB images of its own size -> probabilities (b, 1000).
    """
    whole = _made(name)
    side = whole.input_shape[1] or 224  # MobileNetV3 takes any
    image = keras.Input((side, side, 3))
    return keras.Model(image, whole(preprocessing(name)(image)))


def _made(name: str, **options) -> keras.Model:
    """Return a network of keras.applications with random weights."""
    make = getattr(keras.applications, name)
    network = make(weights=None, **options)
    if _family(make) == "efficientnet":
        network = keras.models.clone_model(network, clone_function=_with_imagenet_colors)
    network.name = "backbone"  # not an argument: EfficientNetV2 looks its blocks up by its name
    return network


def _with_imagenet_colors(layer: layers.Layer) -> layers.Layer:
    """Replace EfficientNet's color normalization, whose mean and variance are weights.

    Its ImageNet files contain the deviation instead of the variance, so that Keras divides by its
    root, and once more by that with weights="imagenet": by the deviation in all
    (https://github.com/tensorflow/tensorflow/issues/49930). Constants replace them here.
    """
    if not isinstance(layer, layers.Normalization):
        return type(layer).from_config(layer.get_config())
    offset = [-mean / deviation for mean, deviation in zip(_MEAN_RGB, _DEVIATION_RGB, strict=True)]
    return layers.Rescaling(
        [1 / deviation for deviation in _DEVIATION_RGB], offset, name=layer.name
    )
