"""Convert published layer names to those of PoseNet's own files (icp1_out0, cls3_fc1_pose, ...)."""

from __future__ import annotations

import re

import numpy as np

from posenet.models.googlenet import BLOCKS
from posenet.models.inception_v4 import convolution_names
from posenet.models.weights import Weights

# GoogLeNet's blocks 3a to 5b, as BVLC's and TF-Slim's files number them (Mixed_3b is inception_3a)
_BLOCK_NAMES = dict(
    zip(("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), BLOCKS, strict=True)
)


def _parts(pattern: str, blocks: dict[str, str], parts: dict[str, str]) -> dict[str, str]:
    """Return {published name: our name} of every convolution in every block."""
    both = [
        (theirs, ours, part, mine)
        for theirs, ours in blocks.items()
        for part, mine in parts.items()
    ]
    return {pattern.format(theirs, part): f"{ours}_{mine}" for theirs, ours, part, mine in both}


_BVLC_PARTS = {
    "1x1": "out0",
    "3x3_reduce": "reduction1",
    "3x3": "out1",
    "5x5_reduce": "reduction2",
    "5x5": "out2",
    "pool_proj": "out3",
}
_BVLC = {"conv1/7x7_s2": "conv1", "conv2/3x3_reduce": "reduction2", "conv2/3x3": "conv2"}
_BVLC |= {"loss1/conv": "cls1_reduction_pose", "loss1/fc": "cls1_fc1_pose"}
_BVLC |= {
    "loss2/conv": "cls2_reduction_pose",
    "loss2/fc": "cls2_fc1",
    "loss3/classifier": "cls3_classifier",
}
_BVLC |= _parts("inception_{}/{}", _BLOCK_NAMES, _BVLC_PARTS)
_SLIM = {"Conv2d_1a_7x7": "conv1", "Conv2d_2b_1x1": "reduction2", "Conv2d_2c_3x3": "conv2"}
_SLIM_PARTS = {
    "Branch_0/Conv2d_0a_1x1": "out0",
    "Branch_1/Conv2d_0a_1x1": "reduction1",
    "Branch_1/Conv2d_0b_3x3": "out1",
    "Branch_2/Conv2d_0a_1x1": "reduction2",
    "Branch_2/Conv2d_0b_3x3": "out2",
    "Branch_2/Conv2d_0a_3x3": "out2",  # Mixed_5b is named so
    "Branch_3/Conv2d_0b_1x1": "out3",
}
_SLIM_BLOCKS = dict(
    zip(("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"), BLOCKS, strict=True)
)
_SLIM |= _parts("Mixed_{}/{}", _SLIM_BLOCKS, _SLIM_PARTS)
# visloc-apr's modules
_VISLOC_PARTS = {
    "branch_x1.0": "out0",
    "branch_x3.0": "reduction1",
    "branch_x3.2": "out1",
    "branch_x5.0": "reduction2",
    "branch_x5.2": "out2",
    "branch_proj.1": "out3",
}


def _visloc_names() -> dict[str, str]:
    """Return {visloc-apr's name: our name}."""
    names = {"conv1.0": "conv1", "conv2.0": "reduction2", "conv2.2": "conv2"}
    names |= _parts("incp{}.{}", _BLOCK_NAMES, _VISLOC_PARTS)
    for number, dense in ((1, "cls1_fc1_pose"), (2, "cls2_fc1"), (3, "cls3_fc1_pose")):
        theirs = f"regress{number}"
        names[f"{theirs}.projection.1"] = f"cls{number}_reduction_pose"
        names[f"{theirs}.regress_fc_pose.0"] = dense
        for part in ("xyz", "wpqr"):
            names[f"{theirs}.regress_fc_{part}"] = f"cls{number}_fc_pose_{part}"
    return names


_VISLOC = _visloc_names()


def canonical_names(weights: Weights) -> Weights:
    """Rename layers; unknown ones keep their names.

    Args:
        weights: weights under published names.

    Returns:
        Weights under our names.
    """
    return {our_name(layer): arrays for layer, arrays in weights.items()}


def our_name(layer: str) -> str:
    """Return our name of a published layer.

    Args:
        layer: the published name.

    Returns:
        Our name, or the same if it is unknown.
    """
    slim = re.sub(r"^.*?InceptionV1/(InceptionV1/)?", "", layer)
    for table, name in ((_BVLC, layer), (_SLIM, slim), (_VISLOC, layer.removeprefix("extract."))):
        if name in table:
            return table[name]
    return layer


def expects_rgb(weights: Weights) -> bool:
    """Return whether published weights of GoogLeNet were trained on RGB; the others expect BGR.

    Args:
        weights: weights under published names.

    Returns:
        True for RGB.
    """
    return any(layer.startswith(("extract.", "InceptionV1/")) for layer in weights)


def flip_first_conv_channels(weights: Weights) -> Weights:
    """Reverse the color channels of the first convolution.

    Args:
        weights: weights under our names.

    Returns:
        The changed weights.
    """
    start = weights.get("conv1", {})
    if "kernel" not in start or start["kernel"].ndim != 4:
        return weights
    return weights | {"conv1": start | {"kernel": start["kernel"][:, :, ::-1]}}


_AUTOMATIC = re.compile(r"(conv|convolution|batch_?normalization|dense)(?:2d)?(?:_(\d+))?")


_AVERAGES = ("gamma", "beta", "moving_mean", "moving_variance")


def inception_v4_names(weights: Weights) -> Weights:
    """Rename the layers of Inception-v4, TF-Slim's or the Keras port's.

    Args:
        weights: weights under published names.

    Returns:
        Weights under our names.
    """
    automatic = _automatic(weights)
    if automatic["conv"]:
        names = convolution_names()
        found = {
            name: weights[layer] for name, layer in zip(names, automatic["conv"], strict=False)
        }
        pairs = zip(names, automatic["batch"], strict=False)
        found |= {f"{name}_BatchNorm": weights[layer] for name, layer in pairs}
        if automatic["dense"]:
            found["Logits"] = weights[automatic["dense"][0]]
        taken = {id(arrays) for arrays in found.values()}
        return found | {
            layer: arrays for layer, arrays in weights.items() if id(arrays) not in taken
        }
    return _separated(
        {re.sub(r"^.*?InceptionV4/", "", layer): arrays for layer, arrays in weights.items()},
        "_BatchNorm",
    )


def _automatic(weights: Weights) -> dict[str, list[str]]:
    """Return the layers with automatic names, by kind, sorted by number."""
    found: dict[str, list[tuple[int, str]]] = {"conv": [], "batch": [], "dense": []}
    for layer in weights:
        if match := _AUTOMATIC.fullmatch(layer):
            kind = {"c": "conv", "b": "batch", "d": "dense"}[match[1][0]]
            found[kind].append((int(match[2] or 0), layer))
    return {kind: [layer for _, layer in sorted(layers)] for kind, layers in found.items()}


def _separated(weights: Weights, suffix: str) -> Weights:
    """Split TF-Slim's layers into a convolution and its normalization, with _ instead of /."""
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
    """Rename the layers of GoogLeNet for the backbone with batch normalization on RGB / 64 - 2.

    TF-Slim's InceptionV1 expects x / 127.5 - 1, has no gamma, and filters of 3 x 3 instead of
    GoogLeNet's 5 x 5: they get a border of zeros. The others (BVLC, Places) expect values of 0 to
    255 minus a mean, mostly BGR, and have no normalization: only their filters are used.

    Args:
        weights: weights under published names.

    Returns:
        Weights under our names.
    """
    slim = any("moving_mean" in arrays and "kernel" in arrays for arrays in weights.values())
    named = canonical_names(weights)
    if not slim:
        named = named if expects_rgb(weights) else flip_first_conv_channels(named)
        start = named.get("conv1", {})
        return (
            named | {"conv1": start | {"kernel": 64.0 * start["kernel"]}}
            if "kernel" in start
            else named
        )
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
    """Adapt the first convolution from x / 127.5 - 1 to x / 64 - 2.

    The kernel takes the factor, the mean of the normalization the rest.
    """
    factor = 64 / 127.5
    shift = 2 * factor - 1
    kernel = conv["kernel"]
    mean = norm["moving_mean"] - shift * kernel.sum(axis=(0, 1, 2))
    return conv | {"kernel": factor * kernel}, norm | {"moving_mean": mean}
