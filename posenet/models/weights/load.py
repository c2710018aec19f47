"""Load published weights into the network that they were made for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from posenet.errors import PoseNetError, count
from posenet.models.weights import Weights
from posenet.models.weights.caffe import read_caffemodel
from posenet.models.weights.keras_h5 import KernelOrder, read_keras_h5
from posenet.models.weights.layer_names import canonical_names
from posenet.models.weights.npy import read_npy
from posenet.models.weights.npz import read_npz
from posenet.models.weights.tf1 import checkpoint_prefix, read_checkpoint
from posenet.models.weights.torch_pth import read_pth

log = logging.getLogger("posenet")

# Formats by the suffix of a file. To add one, add its suffix, its reader and its variant.
FORMATS = {
    ".caffemodel": "caffemodel",
    ".npy": "npy",
    ".pickle": "npy",
    ".pkl": "npy",
    ".h5": "h5",
    ".hdf5": "h5",
    ".pth": "pth",
    ".pt": "pth",
    ".npz": "npz",
}
READERS = {
    "caffemodel": read_caffemodel,
    "npy": read_npy,
    "npz": read_npz,
    "pth": read_pth,
    "checkpoint": read_checkpoint,
}
# Architecture variants by format; an .npz file may be of any.
VARIANT_OF = {
    "caffemodel": "caffe",
    "npy": "tensorflow",
    "checkpoint": "tensorflow",
    "h5": "keras",
    "pth": "pytorch",
}
# Number of layers that a report lists by name.
MAX_LISTED = 5


@dataclass
class LoadReport:
    """Which layers of a file and a network matched.

    Attributes:
        matched: layers of the network with weights from the file.
        missing: layers of the network without.
        unexpected: layers of the file that the network does not have.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the report in one line."""
        parts = [f"{count(len(self.matched), 'layer')} matched"]
        for name, layers in (("missing", self.missing), ("unexpected", self.unexpected)):
            listed = ", ".join(layers[:MAX_LISTED]) + (", ..." if len(layers) > MAX_LISTED else "")
            parts.append(f"{len(layers)} {name}" + (f" ({listed})" if layers else ""))
        return "; ".join(parts)


def weight_format(path: Path) -> str:
    """Return the format of a weight file.

    Args:
        path: the file, or the prefix of a TensorFlow 1 checkpoint.

    Returns:
        "caffemodel", "npy", "npz", "h5", "pth" or "checkpoint".

    Raises:
        PoseNetError: the file does not exist or its format is unknown.
    """
    if checkpoint_prefix(path) is not None:
        return "checkpoint"
    if not path.is_file():
        raise PoseNetError(f"weight file not found: {path}")
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise PoseNetError(
            f"{path} must be a weight file ({', '.join(FORMATS)}, or a TensorFlow checkpoint)"
        )
    return name


def read_weights(path: Path, kernel_order: KernelOrder = "auto") -> Weights:
    """Read the weights in a file of any format.

    Args:
        path: the file.
        kernel_order: order of the kernels in an .h5 file.

    Returns:
        The weights under the file's own layer names.

    Raises:
        PoseNetError: the file cannot be read.
    """
    name = weight_format(path)
    if name == "h5":
        return read_keras_h5(path, kernel_order)
    return READERS[name](path)


def assign_by_name(network: Any, weights: Weights, path: Path) -> LoadReport:
    """Set the layers of a Keras model from weights with the same layer names.

    Args:
        network: the model.
        weights: the weights.
        path: their file, for messages.

    Returns:
        Which layers matched.

    Raises:
        PoseNetError: a shape differs, or only a part of a layer is there.
    """
    report = LoadReport()
    remaining = dict(weights)
    for layer in network.layers:
        if not layer.weights:
            continue
        arrays = remaining.pop(layer.name, None)
        if arrays is None:
            report.missing.append(layer.name)
            continue
        pairs = [(variable, arrays.get(variable.name)) for variable in layer.weights]
        _assign_layer(path, layer, pairs, arrays)
        report.matched.append(layer.name)
    report.unexpected = list(remaining)
    return report


def assign_in_order(network: Any, weights: Weights, path: Path) -> LoadReport:
    """Set the layers of a Keras model in order, as Keras does with its .h5 files.

    For networks whose layers have automatic names. Layers after the network's last one (a
    classifier) are unexpected.

    Args:
        network: the model.
        weights: the weights.
        path: their file, for messages.

    Returns:
        Which layers matched.

    Raises:
        PoseNetError: the number of layers or a shape differs.
    """
    layers = [layer for layer in network.layers if layer.weights]
    if len(layers) > len(weights):
        raise PoseNetError(
            f"{path} must contain {len(layers)} layers for this network, it contains {len(weights)}"
        )
    for layer, arrays in zip(layers, weights.values(), strict=False):
        variables = layer.trainable_weights + layer.non_trainable_weights
        if len(variables) != len(arrays):
            raise PoseNetError(
                f"{path}: the layer {layer.name} must have {len(variables)} arrays, it has "
                f"{len(arrays)}"
            )
        _assign_layer(path, layer, list(zip(variables, arrays.values(), strict=True)), arrays)
    unexpected = list(weights)[len(layers) :]
    return LoadReport([layer.name for layer in layers], unexpected=unexpected)


def load_network(
    path: Path | str,
    variant: str | None = None,
    *,
    labels: str = "camera_from_world",
    kernel_order: KernelOrder = "auto",
    batchnorm_epsilon: float = 1e-3,
) -> Any:
    """Load PoseNet with published weights as a Keras model.

    Args:
        path: the weight file.
        variant: architecture variant: "caffe", "tensorflow", "keras" or "pytorch". Default: that of
            the file format.
        labels: the rotation that the weights were trained on. Cambridge's is camera_from_world,
            that of Kendall's 7-Scenes lists world_from_camera.
        kernel_order: order of the kernels in an .h5 file.
        batchnorm_epsilon: epsilon of batch normalization in the keras variant; Keras before 1.2
            used 1e-5.

    Returns:
        The model. Its input is preprocessed: (b, 224, 224, 3) BGR (RGB for the pytorch variant)
        with the mean subtracted. Its outputs are "position" (b, 3) and "quaternion" (b, 4) wxyz,
        world_from_camera, not normalized.

    Raises:
        PoseNetError: the file cannot be read, or a layer of the network is missing.
    """
    import keras

    from posenet.models.googlenet import VARIANTS, posenet_2015
    from posenet.models.layers import ConjugateQuaternion

    path = Path(path)
    variant = variant or VARIANT_OF.get(weight_format(path))
    if variant is None:
        raise PoseNetError(
            f"{path}: an .npz file does not state its variant, give --variant: one of "
            f"{', '.join(VARIANTS)}"
        )
    if variant not in VARIANTS:
        raise PoseNetError(
            f"the variant must be one of {', '.join(VARIANTS)}, received {variant!r}"
        )
    image = keras.Input((224, 224, 3), name="rgb" if VARIANTS[variant].rgb else "bgr")
    outputs = posenet_2015(
        image, variant, auxiliary=False, preprocess=False, batchnorm_epsilon=batchnorm_epsilon
    )
    network = keras.Model(image, outputs, name="posenet")
    weights = canonical_names(read_weights(path, kernel_order))
    report = assign_by_name(network, weights, path)
    log.info("%s: %s", path, report)
    if report.missing:
        raise PoseNetError(f"{path} must contain every layer of PoseNet, {report!s}")
    if labels == "camera_from_world":
        invert = ConjugateQuaternion(name="to_world_from_camera")
        outputs = outputs | {"quaternion": invert(outputs["quaternion"])}
    return keras.Model(image, outputs, name="posenet")


def _assign_layer(path: Path, layer: Any, pairs: list[Any], arrays: dict[str, Any]) -> None:
    """Assign arrays to the variables of a layer, after checking all of them."""
    for variable, array in pairs:
        if array is None:
            raise PoseNetError(
                f"{path}: the layer {layer.name} must have a {variable.name}, it has "
                f"{', '.join(arrays)}"
            )
        if tuple(array.shape) != tuple(variable.shape):
            raise PoseNetError(
                f"{path}: {variable.name} of the layer {layer.name} must have shape "
                f"{tuple(variable.shape)}, received {tuple(array.shape)}"
            )
    for variable, array in pairs:
        variable.assign(np.asarray(array).astype(variable.dtype))
