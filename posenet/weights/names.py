"""Published layer names to ours, which are those of PoseNet's own files (icp1_out0, cls3_fc1_pose, ...)."""

from __future__ import annotations

import re

from posenet.models.googlenet import BLOCKS
from posenet.weights import Weights

# GoogLeNet's blocks 3a to 5b, as BVLC's and TF-Slim's files number them (Mixed_3b is inception_3a)
_BLOCK_NAMES = dict(zip(("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), BLOCKS, strict=True))


def _parts(pattern: str, blocks: dict[str, str], parts: dict[str, str]) -> dict[str, str]:
    """{their name: our name} of every convolution in every block."""
    both = [(theirs, ours, part, mine) for theirs, ours in blocks.items() for part, mine in parts.items()]
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
_BVLC |= {"loss2/conv": "cls2_reduction_pose", "loss2/fc": "cls2_fc1", "loss3/classifier": "cls3_classifier"}
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
_SLIM_BLOCKS = dict(zip(("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"), BLOCKS, strict=True))
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
_VISLOC = {"conv1.0": "conv1", "conv2.0": "reduction2", "conv2.2": "conv2"}
_VISLOC |= _parts("incp{}.{}", _BLOCK_NAMES, _VISLOC_PARTS)
for _number, _dense in ((1, "cls1_fc1_pose"), (2, "cls2_fc1"), (3, "cls3_fc1_pose")):
    _VISLOC[f"regress{_number}.projection.1"] = f"cls{_number}_reduction_pose"
    _VISLOC[f"regress{_number}.regress_fc_pose.0"] = _dense
    _VISLOC |= {f"regress{_number}.regress_fc_{part}": f"cls{_number}_fc_pose_{part}" for part in ("xyz", "wpqr")}


def in_our_names(weights: Weights) -> Weights:
    """The weights under our layers' names; what is not known keeps its own."""
    return {our_name(layer): arrays for layer, arrays in weights.items()}


def our_name(layer: str) -> str:
    """Our name of a published layer."""
    slim = re.sub(r"^.*?InceptionV1/(InceptionV1/)?", "", layer)
    for table, name in ((_BVLC, layer), (_SLIM, slim), (_VISLOC, layer.removeprefix("extract."))):
        if name in table:
            return table[name]
    return layer


def sees_rgb(weights: Weights) -> bool:
    """Whether published weights of GoogLeNet are of those that were trained on RGB; the others see BGR."""
    return any(layer.startswith(("extract.", "InceptionV1/")) for layer in weights)


def with_bgr_start(weights: Weights) -> Weights:
    """Weights under our names, with the first convolution's colours turned round."""
    start = weights.get("conv1", {})
    if "kernel" not in start or start["kernel"].ndim != 4:
        return weights
    return weights | {"conv1": start | {"kernel": start["kernel"][:, :, ::-1]}}
