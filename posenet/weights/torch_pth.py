"""PyTorch's .pth state dicts, zip (since 1.6) and legacy; PyTorch is not needed, and nothing of its pickles is run.

Convolutions (out, in, h, w) become (h, w, in, out); depthwise ones (c, 1, h, w) become (h, w, c, 1); linear layers
(out, in) become (in, out). Layouts: pytorch/torch/serialization.py.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.weights import Weights
from posenet.weights.npy import checked_array
from posenet.weights.safe_pickle import Unsafe, load_pickle, short_reason

_TYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "|b1",
}  # fmt: skip
_MAGIC = 0x1950A86A20F9469CFC6C
_NAMES = {"weight": "kernel", "running_mean": "moving_mean", "running_var": "moving_variance"}
_PICKLE_LIMIT = 64_000_000


class _Storage:
    """One block of numbers, its bytes given later in legacy files."""

    def __init__(self, kind: str, count: int):
        self.dtype, self.count = np.dtype(_TYPES[kind]), count
        self.array: np.ndarray | None = None

    def __setstate__(self, state):
        raise Unsafe("it changes a storage")


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage=None, offset=0, size=(), stride=(), *_):
        if not isinstance(storage, _Storage):
            raise Unsafe("it holds a tensor without a storage")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def __setstate__(self, state):
        raise Unsafe("it changes a tensor")

    def view(self) -> np.ndarray:
        """The numbers in their storage, checked against what that holds."""
        whole = (self.offset, *self.size, *self.stride)
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in whole) or len(self.size) != len(
            self.stride
        ):
            raise Unsafe("it holds a tensor of an impossible shape")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        held = -1 if self.storage.array is None else self.storage.array.size
        if held < 0 or (0 not in self.size and last >= held):
            raise Unsafe("it holds a tensor that reaches beyond its storage")
        if math.prod(self.size) > held or len(self.size) > 8:
            raise Unsafe("it holds a tensor larger than its storage")
        item = self.storage.dtype.itemsize
        return np.lib.stride_tricks.as_strided(
            self.storage.array[self.offset :], self.size, [step * item for step in self.stride], writeable=False
        )


class _Dict(dict):
    """Stands in for OrderedDict; state dicts carry an attribute `_metadata`, which is dropped."""

    def __init__(self, items=()):
        super().__init__()
        for key, value in items:
            if not isinstance(key, str | bytes | int):
                raise Unsafe("it has a dict whose keys are no names")
            self[key] = value

    def __setstate__(self, state):
        pass


def _parameter(data=None, *_):
    if not isinstance(data, _Tensor):
        raise Unsafe("it holds a parameter without a tensor")
    return data


def _allowed() -> dict[tuple[str, str], object]:
    names: dict[tuple[str, str], object] = {("torch", kind): kind for kind in _TYPES}
    names |= {("torch._utils", f"_rebuild_tensor{v}"): _Tensor for v in ("", "_v2")}
    names |= {("torch._utils", "_rebuild_parameter"): _parameter, ("collections", "OrderedDict"): _Dict}
    return names


def read_pth(path: Path) -> Weights:
    """The weights of a state dict, alone or under `state_dict`, `model` or `net` with other entries.

    Raises PoseNetError for anything but tensors in plain containers, and for sizes beyond the file.
    """
    try:
        found = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        return _as_weights(path, found)
    except Unsafe as error:
        raise PoseNetError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise PoseNetError(f"{path}: the file cannot be read ({error.strerror or error})") from None
    except PoseNetError:
        raise
    except Exception as error:  # zipfile's, zlib's, lzma's, numpy's
        raise PoseNetError(f"{path} must be a .pth file, it cannot be read ({short_reason(error)})") from None


def _key(key) -> tuple[str, str, int]:
    """(type, name, count) of a storage's persistent id."""
    if not (isinstance(key, tuple) and len(key) >= 5 and key[0] == "storage" and isinstance(key[1], str)):
        raise Unsafe("it refers to something that is no storage")
    kind, name, count = key[1], key[2], key[4]
    if kind not in _TYPES or not isinstance(name, str) or not isinstance(count, int) or count < 0:
        raise Unsafe("it refers to a storage of an unknown kind")
    return kind, name, count


def _read_zip(path: Path):
    with zipfile.ZipFile(path) as file:
        members = {info.filename.partition("/")[2]: info for info in file.infolist()}
        if "data.pkl" not in members:
            raise PoseNetError(f"{path} must be a .pth file, its zip holds no data.pkl")
        if members["data.pkl"].file_size > _PICKLE_LIMIT:
            raise Unsafe("its data.pkl is larger than any list of layers")
        little = file.read(members["byteorder"]) == b"little" if _small(members.get("byteorder")) else True
        storages: dict[str, _Storage] = {}
        room = path.stat().st_size

        def storage(key):
            nonlocal room
            kind, name, count = _key(key)
            if name not in storages:
                made = _Storage(kind, count)
                info = members.get(f"data/{name}")
                if (
                    info is None
                    or info.file_size != count * made.dtype.itemsize
                    or info.compress_type != zipfile.ZIP_STORED
                ):
                    raise Unsafe(f"its storage {name[:20]} is not of the size it says")
                room -= info.file_size
                if room < 0:  # members that overlap
                    raise Unsafe("its storages are together larger than the file")
                made.array = checked_array(
                    file.read(info), (count,), made.dtype if little else made.dtype.newbyteorder(">")
                )
                storages[name] = made
            return storages[name]

        return load_pickle(file.read(members["data.pkl"]), _allowed(), str(path), storage)


def _small(info) -> bool:
    return info is not None and info.file_size < 100


def _read_legacy(path: Path):
    """Five pickles (magic, protocol, system, the object, the storages' keys), then each storage's count and bytes."""
    data = path.read_bytes()
    storages: dict[str, _Storage] = {}

    def storage(key):
        kind, name, count = _key(key)
        return storages.setdefault(name, _Storage(kind, count))

    parts = []
    at = 0
    for number in range(5):
        found, used = load_pickle(data[at:], _allowed(), str(path), storage if number == 3 else None, stop=False)
        parts.append(found)
        at += used
        if number == 0 and found != _MAGIC:
            raise PoseNetError(f"{path} must be a .pth file, neither the zip's nor the old form's mark is there")
    file = io.BytesIO(data)
    file.seek(at)
    keys = parts[4] if isinstance(parts[4], list) else []
    for name in keys:
        made = storages.get(name) if isinstance(name, str) else None
        count = int.from_bytes(file.read(8), "little")
        if made is None or count != made.count:
            raise Unsafe("its storages are not those that its tensors name")
        made.array = checked_array(file.read(count * made.dtype.itemsize), (count,), made.dtype)
    return parts[3]


def _as_weights(path: Path, found) -> Weights:
    for name in ("state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not any(isinstance(value, _Tensor) for value in found.values()):
        raise PoseNetError(f"{path} must be a state dict of tensors, received {type(found).__name__}")
    weights: Weights = {}
    room = 4 * path.stat().st_size  # tensors may share a storage
    for key, value in found.items():
        if not isinstance(value, _Tensor) or not isinstance(key, str):
            continue
        layer, _, last = key.removeprefix("module.").rpartition(".")
        view = value.view()
        room -= view.nbytes
        if room < 0:
            raise Unsafe("its tensors are together much larger than the file")
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
            array.transpose(2, 3, 0, 1) if array.shape[1] == 1 and array.shape[0] > 1 else array.transpose(2, 3, 1, 0)
        )
    return array.T if array.ndim == 2 else array
