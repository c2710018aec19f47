"""PyTorch's .pth state dicts, zip (since 1.6) and legacy; PyTorch is not needed.

Nothing of their pickles is executed. Convolutions (out, in, h, w) become (h, w, in, out); depthwise
ones (c, 1, h, w) become (h, w, c, 1); linear layers (out, in) become (in, out). Formats:
pytorch/torch/serialization.py.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.models.weights import Weights
from posenet.models.weights.npy import checked_array
from posenet.models.weights.safe_pickle import UnsafePickleError, load_pickle
from posenet.models.weights.torch_tensors import Storage, Tensor, allowed_names, storage_key

_MAGIC = 0x1950A86A20F9469CFC6C
_NAMES = {"weight": "kernel", "running_mean": "moving_mean", "running_var": "moving_variance"}
_PICKLE_LIMIT = 64_000_000


def read_pth(path: Path) -> Weights:
    """Read a state dict, alone or under `state_dict`, `model` or `net` beside other entries.

    Args:
        path: the file.

    Returns:
        The weights of every layer.

    Raises:
        PoseNetError: the file contains anything but tensors in plain containers, or sizes beyond
            it.
    """
    try:
        found = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        return _as_weights(path, found)
    except UnsafePickleError as error:
        raise PoseNetError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise PoseNetError(f"{path}: the file cannot be read ({error.strerror or error})") from None
    except PoseNetError:
        raise
    except Exception as error:  # zipfile's, zlib's, lzma's, numpy's
        raise PoseNetError(
            f"{path} must be a .pth file, it cannot be read ({first_line(error)})"
        ) from None


def _read_zip(path: Path):
    with zipfile.ZipFile(path) as file:
        members = {info.filename.partition("/")[2]: info for info in file.infolist()}
        if "data.pkl" not in members:
            raise PoseNetError(f"{path} must be a .pth file, its zip holds no data.pkl")
        if members["data.pkl"].file_size > _PICKLE_LIMIT:
            raise UnsafePickleError("its data.pkl is larger than any list of layers")
        little = (
            file.read(members["byteorder"]) == b"little"
            if _small(members.get("byteorder"))
            else True
        )
        storages: dict[str, Storage] = {}
        room = path.stat().st_size

        def storage(key):
            nonlocal room
            kind, name, count = storage_key(key)
            if name not in storages:
                made = Storage(kind, count)
                info = members.get(f"data/{name}")
                if (
                    info is None
                    or info.file_size != count * made.dtype.itemsize
                    or info.compress_type != zipfile.ZIP_STORED
                ):
                    raise UnsafePickleError(f"its storage {name[:20]} is not of the size it says")
                room -= info.file_size
                if room < 0:  # members that overlap
                    raise UnsafePickleError("its storages are together larger than the file")
                made.array = checked_array(
                    file.read(info),
                    (count,),
                    made.dtype if little else made.dtype.newbyteorder(">"),
                )
                storages[name] = made
            return storages[name]

        data = file.read(members["data.pkl"])
        return load_pickle(data, allowed_names(len(data)), str(path), storage)


def _small(info) -> bool:
    return info is not None and info.file_size < 100


def _read_legacy(path: Path):
    """Read five pickles (magic, protocol, system, object, storage keys), then each storage."""
    data = path.read_bytes()
    storages: dict[str, Storage] = {}

    def storage(key):
        kind, name, count = storage_key(key)
        return storages.setdefault(name, Storage(kind, count))

    parts = []
    at = 0
    for number in range(5):
        found, used = load_pickle(
            data[at:],
            allowed_names(len(data)),
            str(path),
            storage if number == 3 else None,
            stop=False,
        )
        parts.append(found)
        at += used
        if number == 0 and found != _MAGIC:
            raise PoseNetError(
                f"{path} must be a .pth file, neither the zip's nor the old form's mark is there"
            )
    file = io.BytesIO(data)
    file.seek(at)
    keys = parts[4] if isinstance(parts[4], list) else []
    for name in keys:
        made = storages.get(name) if isinstance(name, str) else None
        count = int.from_bytes(file.read(8), "little")
        if made is None or count != made.count:
            raise UnsafePickleError("its storages are not those that its tensors name")
        made.array = checked_array(file.read(count * made.dtype.itemsize), (count,), made.dtype)
    return parts[3]


def _as_weights(path: Path, found) -> Weights:
    for name in ("state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not any(
        isinstance(value, Tensor) for value in found.values()
    ):
        raise PoseNetError(
            f"{path} must be a state dict of tensors, received {type(found).__name__}"
        )
    weights: Weights = {}
    room = 4 * path.stat().st_size  # tensors may share a storage
    for key, value in found.items():
        if not isinstance(value, Tensor) or not isinstance(key, str):
            continue
        layer, _, last = key.removeprefix("module.").rpartition(".")
        layer = layer or last  # a number of its own, such as visloc-apr's sx and sq
        view = value.view()
        room -= view.nbytes
        if room < 0:
            raise UnsafePickleError("its tensors are together much larger than the file")
        if last != "num_batches_tracked":
            weights.setdefault(layer, {})[_NAMES.get(last, last)] = _in_keras_order(view.copy())
    for arrays in weights.values():
        if "moving_mean" in arrays and "kernel" in arrays:
            arrays["gamma"] = arrays.pop("kernel")
            if "bias" in arrays:
                arrays["beta"] = arrays.pop("bias")
    return weights


def _in_keras_order(array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        return (
            array.transpose(2, 3, 0, 1)
            if array.shape[1] == 1 and array.shape[0] > 1
            else array.transpose(2, 3, 1, 0)
        )
    return array.T if array.ndim == 2 else array
