"""Inception networks with batch normalisation, TF-Slim's checkpoints and the Keras port of Inception-v4, in our names.

TF-Slim's checkpoints give a convolution and its averages as one layer, without gamma. The Keras port's layers have
automatic names, conv2d_1 to conv2d_149, numbered as they were made.
"""

from __future__ import annotations

import re

import numpy as np

from posenet.models.inception_v4 import convolution_names
from posenet.weights import Weights
from posenet.weights.names import in_our_names, sees_rgb, with_bgr_start

_AUTOMATIC = re.compile(r"(conv|convolution|batch_?normalization|dense)(?:2d)?(?:_(\d+))?")
_AVERAGES = ("gamma", "beta", "moving_mean", "moving_variance")


def inception_v4_names(weights: Weights) -> Weights:
    """Weights of Inception-v4, TF-Slim's or the Keras port's, under our layers' names."""
    automatic = _automatic(weights)
    if automatic["conv"]:
        names = convolution_names()
        found = {name: weights[layer] for name, layer in zip(names, automatic["conv"], strict=False)}
        pairs = zip(names, automatic["batch"], strict=False)
        found |= {f"{name}_BatchNorm": weights[layer] for name, layer in pairs}
        if automatic["dense"]:
            found["Logits"] = weights[automatic["dense"][0]]
        taken = {id(arrays) for arrays in found.values()}
        return found | {layer: arrays for layer, arrays in weights.items() if id(arrays) not in taken}
    return _separated(
        {re.sub(r"^.*?InceptionV4/", "", layer): arrays for layer, arrays in weights.items()}, "_BatchNorm"
    )


def _automatic(weights: Weights) -> dict[str, list[str]]:
    """The layers with automatic names, by kind, sorted by number."""
    found: dict[str, list[tuple[int, str]]] = {"conv": [], "batch": [], "dense": []}
    for layer in weights:
        if match := _AUTOMATIC.fullmatch(layer):
            kind = {"c": "conv", "b": "batch", "d": "dense"}[match[1][0]]
            found[kind].append((int(match[2] or 0), layer))
    return {kind: [layer for _, layer in sorted(layers)] for kind, layers in found.items()}


def _separated(weights: Weights, suffix: str) -> Weights:
    """TF-Slim's layers as a convolution and its normalisation each, _ for /."""
    found: Weights = {}
    for layer, arrays in weights.items():
        name = {"Logits/Logits": "Logits"}.get(layer, layer).replace("/", "_")
        averages = {key: array for key, array in arrays.items() if key in _AVERAGES}
        if averages and "kernel" in arrays:
            found[f"{name}{suffix}"] = averages
            arrays = {key: array for key, array in arrays.items() if key not in _AVERAGES}
        found[name] = arrays
    return found


def googlenet_bn_names(weights: Weights) -> Weights:
    """GoogLeNet's weights for the batch-normalised trunk, which sees RGB / 64 - 2.

    TF-Slim's InceptionV1 saw x / 127.5 - 1, has no gamma, and filters of 3 x 3 where GoogLeNet's are 5 x 5: they get a
    border of zeros. The others (BVLC, Places) saw values of 0 to 255 minus a mean, mostly BGR, and have no
    normalisation: their filters alone are taken, and the normalisation starts anew.
    """
    slim = any("moving_mean" in arrays and "kernel" in arrays for arrays in weights.values())
    named = in_our_names(weights)
    if not slim:
        named = named if sees_rgb(weights) else with_bgr_start(named)
        start = named.get("conv1", {})
        return named | {"conv1": start | {"kernel": 64.0 * start["kernel"]}} if "kernel" in start else named
    found = _separated(named, "_bn")
    for name, arrays in found.items():
        kernel = arrays.get("kernel")
        if name.endswith("_out2") and kernel is not None and kernel.shape[:2] == (3, 3):
            arrays["kernel"] = np.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
        if name.endswith("_bn") and "beta" in arrays:
            arrays.setdefault("gamma", np.ones_like(arrays["beta"]))
    if "conv1" in found and "conv1_bn" in found:
        found["conv1"], found["conv1_bn"] = _for_other_range(found["conv1"], found["conv1_bn"])
    return found


def _for_other_range(conv: dict, norm: dict) -> tuple[dict, dict]:
    """The first convolution for x / 64 - 2 instead of x / 127.5 - 1: the kernel takes the factor, the mean the rest."""
    factor = 64 / 127.5
    shift = 2 * factor - 1
    kernel = conv["kernel"]
    mean = norm["moving_mean"] - shift * kernel.sum(axis=(0, 1, 2))
    return conv | {"kernel": factor * kernel}, norm | {"moving_mean": mean}
