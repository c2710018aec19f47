"""Keras' .h5 weight files of Keras 1 and 2, read as data: code in them is never executed.

Layers have the order of the attribute `layer_names`, arrays that of the `weight_names` of each
group, at the top or in `model_weights`. Kernels are (height, width, in, out) in TensorFlow's order.
Theano's are (out, in, height, width), and Theano convolves where others correlate, so they are
flipped in both spatial axes (Keras' own convert_kernel); Keras 2 with Theano flips them without
transposing. Batch normalization of Keras 1 calls its variance `running_std`
(https://github.com/keras-team/keras, 1.2, normalization.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.io.json_files import parse_json
from posenet.models.weights import Weights

KernelOrder = Literal["auto", "tensorflow", "theano"]
_NAMES = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
# Bytes that reading may take beside the file's own.
_ROOM = 300_000_000
# Largest array in file sizes: compressed arrays may be larger than the file, bombs much larger.
_LARGEST = 100


def read_keras_h5(path: Path, order: KernelOrder = "auto") -> Weights:
    """Read the weights of an .h5 file.

    Args:
        path: the file.
        order: order of the kernels; "auto" uses the backend that the file states, otherwise the
            shapes of the kernels.

    Returns:
        The weights of every layer that has some.

    Raises:
        PoseNetError: the file is not an .h5 file of Keras 1 or 2, has links to other files, or
            arrays larger than it can contain.
    """
    import h5py

    try:
        with memory_limit(_ROOM + 4 * path.stat().st_size), h5py.File(path, "r") as file:
            if "_layer_checkpoint_dependencies" in file or "layers" in file:
                raise PoseNetError(
                    f"{path} must be an .h5 file of Keras 1 or 2, it is a .weights.h5 of Keras 3: "
                    "only load_weights of the very network that it was made of reads it"
                )
            inner = _inside(h5py, file, "model_weights")
            root = inner if isinstance(inner, h5py.Group) else file
            raw = {
                layer: _layer(h5py, path, root, layer)
                for layer in _names(path, root, "layer_names")
            }
            theano = order == "theano" or (order == "auto" and _is_theano(file, raw))
            outputs_first = theano and _outputs_first(file, raw)
    except PoseNetError:
        raise
    except Exception as error:
        raise PoseNetError(
            f"{path} must be an .h5 file of Keras, it cannot be read ({first_line(error)})"
        ) from None
    weights = {layer: arrays for layer, arrays in raw.items() if arrays}
    if not weights:
        raise PoseNetError(f"{path} must be an .h5 file of Keras with weights, it holds none")
    return {
        layer: {name: _ordered(array, theano, outputs_first) for name, array in arrays.items()}
        for layer, arrays in weights.items()
    }


def _ordered(array: np.ndarray, theano: bool, outputs_first: bool) -> np.ndarray:
    """Return a convolution kernel in Keras order; other arrays unchanged."""
    if not theano or array.ndim != 4:
        return array
    return (array.transpose(2, 3, 1, 0) if outputs_first else array)[::-1, ::-1].copy()


def _is_theano(file, raw: dict) -> bool:
    """Return whether kernels are Theano's, by the configuration or else by their shapes."""
    stated = _text(file.attrs.get("backend", b"")) + _config(file)
    if "theano" in stated or '"dim_ordering": "th"' in stated:
        return True
    if '"dim_ordering": "tf"' in stated or "tensorflow" in stated:
        return False
    return _outputs_first_votes(raw) > 0


def _outputs_first(file, raw: dict) -> bool:
    """Return whether Theano's kernels are (out, in, height, width); those of Keras 2 are not."""
    votes = _outputs_first_votes(raw)
    return votes > 0 if votes else not _text(file.attrs.get("keras_version", b"1")).startswith("2")


def _outputs_first_votes(raw: dict) -> int:
    """Return how many more kernels have equal last sides than equal first sides.

    Kernels are usually square.
    """
    kernels = [
        array.shape for arrays in raw.values() for array in arrays.values() if array.ndim == 4
    ]
    return sum(
        int(shape[2] == shape[3] and shape[0] != shape[1])
        - int(shape[0] == shape[1] and shape[2] != shape[3])
        for shape in kernels
    )


def _config(file) -> str:
    """Return the model's configuration as text, which is searched but never loaded."""
    text = _text(file.attrs.get("model_config", b""))
    try:
        return json.dumps(parse_json(text)) if text else ""
    except ValueError:
        return ""


def _text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _names(path: Path, group, attribute: str) -> list[str]:
    """Return the names in an attribute; Keras 2 splits long lists into attribute0, attribute1."""
    found = []
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        number = 0
        while f"{attribute}{number}" in group.attrs:
            found += list(group.attrs[f"{attribute}{number}"])
            number += 1
        if number == 0:
            raise PoseNetError(
                f"{path} must be an .h5 file of Keras, its group {group.name} has no {attribute}"
            )
    return [_text(name) for name in found]


def _layer(h5py, path: Path, root, layer: str) -> dict[str, np.ndarray]:
    group = _inside(h5py, root, layer)
    if not isinstance(group, h5py.Group):
        raise PoseNetError(f"{path}: the layer {layer} must be a group of its own in the file")
    arrays = {}
    for name in _names(path, group, "weight_names"):
        arrays[_short_name(layer, name)] = _array(h5py, path, group, name)
    return arrays


def _short_name(layer: str, name: str) -> str:
    """Return Keras' name of a weight: conv1_W, conv1_W:0 and conv1/kernel:0 are kernels."""
    last = name.split("/")[-1].split(":")[0]
    last = last.removeprefix(f"{layer}_")
    return _NAMES.get(last, last)


def _inside(h5py, place, name: str):
    """Return the object with a name in this file, not following links; None if there is none."""
    for part in name.split("/"):
        if not isinstance(place, h5py.Group) or not isinstance(
            place.get(part, getlink=True), h5py.HardLink
        ):
            return None
        place = place[part]
    return place


def _array(h5py, path: Path, group, name: str) -> np.ndarray:
    """Return a dataset, if it contains plain numbers in this very file."""
    place = _inside(h5py, group, name)
    if place is None:
        raise PoseNetError(f"{path}: {group.name}/{name} must be an array in the file itself")
    if (
        not isinstance(place, h5py.Dataset)
        or place.is_virtual
        or place.external
        or place.dtype.kind not in "fiu"
    ):
        raise PoseNetError(
            f"{path}: {group.name}/{name} must be an array of numbers in the file itself"
        )
    if place.size * place.dtype.itemsize > _LARGEST * path.stat().st_size:
        raise PoseNetError(
            f"{path}: {group.name}/{name} promises {place.shape}, more than the file can hold"
        )
    return np.asarray(place[()])


@contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Limit how much the process may grow within the block; larger requests fail.

    libhdf5 trusts the lengths of texts in a file, up to four gigabytes. Linux only; elsewhere there
    is no limit.

    Args:
        extra: bytes by which the process may grow.

    Yields:
        Nothing.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + extra
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
