"""Putting published weights into the network that they were made for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.models.weights import Weights
from posenet.models.weights.caffe import read_caffemodel
from posenet.models.weights.keras_h5 import Order, read_keras_h5
from posenet.models.weights.layer_names import canonical_names
from posenet.models.weights.npy import read_npy
from posenet.models.weights.npz import read_npz
from posenet.models.weights.tf1 import checkpoint_prefix, read_checkpoint
from posenet.models.weights.torch_pth import read_pth

log = logging.getLogger("posenet")

_SUFFIXES = {
    ".caffemodel": "caffemodel", ".npy": "npy", ".pickle": "npy", ".pkl": "npy", ".h5": "h5", ".hdf5": "h5",
    ".pth": "pth", ".pt": "pth", ".npz": "npz",
}  # fmt: skip
GRAPH_OF = {
    "caffemodel": "caffe",
    "npy": "tensorflow",
    "checkpoint": "tensorflow",
    "h5": "keras",
    "pth": "pytorch",
}  # not .npz: it may be of any


@dataclass
class LoadReport:
    """What became of a file's layers: those that were matched, ours without weights, theirs without a place."""

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} layers matched"]
        for name, layers in (("missing", self.missing), ("unexpected", self.unexpected)):
            shown = ", ".join(layers[:5]) + (", ..." if len(layers) > 5 else "")
            parts.append(f"{len(layers)} {name}" + (f" ({shown})" if layers else ""))
        return "; ".join(parts)


def weight_format(path: Path) -> str:
    """Which reader a file is for: "caffemodel", "npy", "npz", "h5", "pth" or "checkpoint". Raises PoseNetError."""
    if checkpoint_prefix(path) is not None:
        return "checkpoint"
    if not path.is_file():
        raise PoseNetError(f"{path}: a file of weights is needed, there is none")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise PoseNetError(
            f"{path} must be a file of weights ({', '.join(_SUFFIXES)}, or a TensorFlow checkpoint)"
        )
    return kind


def read_weights(path: Path, order: Order = "auto") -> Weights:
    """The weights in a file of any known format, under the file's own names. Raises PoseNetError."""
    kind = weight_format(path)
    if kind == "h5":
        return read_keras_h5(path, order)
    readers = {"caffemodel": read_caffemodel, "npy": read_npy, "npz": read_npz, "pth": read_pth}
    return (readers | {"checkpoint": read_checkpoint})[kind](path)


def fill(network, weights: Weights, path: Path) -> LoadReport:
    """Set the layers of a Keras model from weights under our names.

    Raises PoseNetError for a shape that does not fit, naming the layer and both shapes, and for a layer of which only
    a part is there.
    """
    loaded = LoadReport()
    left = dict(weights)
    for layer in network.layers:
        if not layer.weights:
            continue
        arrays = left.pop(layer.name, None)
        if arrays is None:
            loaded.missing.append(layer.name)
            continue
        _set(
            path,
            layer,
            [(variable, arrays.get(variable.name)) for variable in layer.weights],
            arrays,
        )
        loaded.matched.append(layer.name)
    loaded.unexpected = list(left)
    return loaded


def assign_in_order(network, weights: Weights, path: Path) -> LoadReport:
    """Set the layers of a Keras model from the file of another one, first to first: what Keras does with its .h5.

    For networks whose layers have automatic names. Layers behind the network's last one (a file with the classifier)
    are unexpected. Raises PoseNetError when layers or shapes do not fit.
    """
    layers = [layer for layer in network.layers if layer.weights]
    if len(layers) > len(weights):
        raise PoseNetError(
            f"{path} must hold {len(layers)} layers for this network, it holds {len(weights)}"
        )
    for layer, arrays in zip(layers, weights.values(), strict=False):
        variables = layer.trainable_weights + layer.non_trainable_weights
        if len(variables) != len(arrays):
            raise PoseNetError(
                f"{path}: the layer {layer.name} must have {len(variables)} arrays, it has {len(arrays)}"
            )
        _set(path, layer, list(zip(variables, arrays.values(), strict=True)), arrays)
    return LoadReport([layer.name for layer in layers], unexpected=list(weights)[len(layers) :])


def _set(path: Path, layer, pairs: list, arrays: dict) -> None:
    """Assign arrays to a layer's variables, once all of them are there and fit."""
    for variable, array in pairs:
        if array is None:
            raise PoseNetError(
                f"{path}: the layer {layer.name} must have a {variable.name}, it has {', '.join(arrays)}"
            )
        if tuple(array.shape) != tuple(variable.shape):
            raise PoseNetError(
                f"{path}: {variable.name} of the layer {layer.name} must be of shape {tuple(variable.shape)}, "
                f"received {tuple(array.shape)}"
            )
    for variable, array in pairs:
        variable.assign(np.asarray(array).astype(variable.dtype))


def load_network(
    path: Path | str, graph: str | None = None, labels: str = "camera_from_world", order: Order = "auto",
    epsilon: float = 1e-3,
):  # fmt: skip
    """PoseNet with published weights, as a Keras model.

    Its input is preprocessed: (b, 224, 224, 3) BGR (RGB for the pytorch graph), mean subtracted. Outputs "position"
    (b, 3) and "quaternion" (b, 4) wxyz, world_from_camera, not normalized. graph: "caffe", "tensorflow", "keras" or
    "pytorch"; by default the one that the format comes from. labels: the rotation that the weights were trained on;
    Cambridge's is camera_from_world, that of Kendall's 7-Scenes lists world_from_camera. epsilon: of the keras graph's
    normalization; Keras before 1.2 had 1e-5. Raises PoseNetError when a layer of the network is missing.
    """
    import keras

    from posenet.models.googlenet import GRAPHS, posenet_2015
    from posenet.models.layers import ConjugateQuaternion

    path = Path(path)
    graph = graph or GRAPH_OF.get(weight_format(path))
    if graph is None:
        raise PoseNetError(
            f"{path}: an .npz file does not tell its graph, give --graph: one of {', '.join(GRAPHS)}"
        )
    if graph not in GRAPHS:
        raise PoseNetError(f"the graph must be one of {', '.join(GRAPHS)}, received {graph!r}")
    image = keras.Input((224, 224, 3), name="rgb" if GRAPHS[graph].rgb else "bgr")
    outputs = posenet_2015(image, graph, auxiliary=False, preprocess=False, epsilon=epsilon)
    network = keras.Model(image, outputs, name="posenet")
    loaded = fill(network, canonical_names(read_weights(path, order)), path)
    log.info("%s: %s", path, loaded)
    if loaded.missing:
        raise PoseNetError(f"{path} must hold every layer of PoseNet, {loaded!s}")
    if labels == "camera_from_world":
        outputs = outputs | {
            "quaternion": ConjugateQuaternion(name="to_world_from_camera")(outputs["quaternion"])
        }
    return keras.Model(image, outputs, name="posenet")
