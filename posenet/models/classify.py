"""Classify images with a backbone's own ImageNet classifier, to check its weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.images import load_image
from posenet.models.build import BACKBONES, get_backbone
from posenet.models.weights.keras_h5 import KernelOrder
from posenet.models.weights.pretrained import class_names, imagenet_file, load_weights

# Fraction of the short side that the central crop shows, as usual for ImageNet.
CENTER_FRACTION = 0.875
NUM_CLASSES = 1000


def classifier_network(
    backbone: str, weights: Path | None = None, kernel_order: KernelOrder = "auto"
) -> keras.Model:
    """Build a backbone's ImageNet network with its weights.

    Args:
        backbone: name of the backbone.
        weights: the weight file. Default: ImageNet weights, downloaded if necessary.
        kernel_order: order of the kernels in an .h5 file.

    Returns:
        The network: raw RGB images (b, h, w, 3) -> probabilities.

    Raises:
        PoseNetError: the backbone is unknown or has no classifier, or the weights are not available
            or incomplete.
    """
    build = get_backbone(backbone).classifier
    if build is None:
        names = ", ".join(name for name, other in BACKBONES.items() if other.classifier)
        raise PoseNetError(
            f"--backbone must have a classifier ({names}, keras.applications), received {backbone}"
        )
    path = weights or imagenet_file(backbone, "classifier")
    network = build()
    report = load_weights(network, backbone, path, "classifier", kernel_order)
    if report.missing:
        raise PoseNetError(f"{path} must contain all layers of {backbone}, {report}")
    return network


def classify(
    image: Path, backbone: str, weights: Path | None = None, *, top: int = 5
) -> list[tuple[str, float]]:
    """Return the most likely ImageNet classes of the center of an image.

    Args:
        image: the image file.
        backbone: name of the backbone.
        weights: the weight file. Default: ImageNet weights, downloaded if necessary.
        top: number of classes.

    Returns:
        Names and probabilities, most likely first.

    Raises:
        PoseNetError: the image does not decode, or as `classifier_network`.
    """
    network = classifier_network(backbone, weights)
    size = network.input_shape[1]
    whole = round(size / CENTER_FRACTION)
    margin = round(size / CENTER_FRACTION - size) // 2
    resized = load_image(image, whole, whole)
    crop = resized[margin : margin + size, margin : margin + size]
    probabilities = np.asarray(network.predict(crop[None].astype(np.float32), verbose=0))[0]
    names = class_names()
    if len(probabilities) != NUM_CLASSES:
        names = ["background", *names]
    return [(names[row], float(probabilities[row])) for row in np.argsort(-probabilities)[:top]]
