"""What a pretrained backbone's own classifier sees in a image: the way to know that it was loaded rightly."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.images import load_image
from posenet.models.build import BACKBONES, get_backbone
from posenet.models.weights.keras_h5 import Order
from posenet.models.weights.pretrained import class_names, imagenet_file, load_weights


def classifier_network(
    backbone: str, weights: Path | None = None, order: Order = "auto"
) -> keras.Model:
    """A backbone's ImageNet network, raw RGB images (b, h, w, 3) -> probabilities, with its weights.

    weights: their file; by default ImageNet's, fetched if need be. order: of an .h5 file's kernels. Raises PoseNetError
    for an unknown backbone and for weights that cannot be had or do not fill every layer.
    """
    build = get_backbone(backbone).classifier
    if build is None:
        named = [name for name, each in BACKBONES.items() if each.classifier]
        raise PoseNetError(
            f"--backbone must have a classifier ({', '.join(named)}, keras.applications), received {backbone}"
        )
    path = weights or imagenet_file(backbone, "classifier")
    network = build()
    loaded = load_weights(network, backbone, path, "classifier", order)
    if loaded.missing:
        raise PoseNetError(f"{path} must hold the whole of {backbone}, {loaded}")
    return network


def classify(
    image: Path, backbone: str, weights: Path | None = None, top: int = 5
) -> list[tuple[str, float]]:
    """The most likely ImageNet classes of a image and their probabilities, the likeliest first.

    The middle of the image is seen, 0.875 of its short side. Raises PoseNetError as `classifier_network`, and for a
    image that does not decode.
    """
    network = classifier_network(backbone, weights)
    size = network.input_shape[1]
    whole, margin = round(size / 0.875), round(size / 0.875 - size) // 2
    cut = load_image(image, whole, whole)[margin : margin + size, margin : margin + size]
    shares = np.asarray(network.predict(cut[None].astype(np.float32), verbose=0))[0]
    names = class_names() if len(shares) == 1000 else ["background", *class_names()]
    return [(names[row], float(shares[row])) for row in np.argsort(-shares)[:top]]
