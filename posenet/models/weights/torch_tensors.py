"""The tensors of PyTorch's pickles as plain numbers: what stands in for torch's classes while a pickle is read."""

from __future__ import annotations

import math

import numpy as np

from posenet.models.weights.safe_pickle import UnsafePickleError

_TYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "|b1",
}  # fmt: skip


class Storage:
    """One block of numbers, its bytes given later in legacy files."""

    def __init__(self, kind: str, count: int):
        self.dtype, self.count = np.dtype(_TYPES[kind]), count
        self.array: np.ndarray | None = None

    def __setstate__(self, state):
        raise UnsafePickleError("it changes a storage")


class Tensor:
    """A view of a storage."""

    def __init__(self, storage=None, offset=0, size=(), stride=(), *_):
        if not isinstance(storage, Storage):
            raise UnsafePickleError("it holds a tensor without a storage")
        if not all(isinstance(each, tuple) for each in (size, stride)):
            raise UnsafePickleError("it holds a tensor of an impossible shape")
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def __setstate__(self, state):
        raise UnsafePickleError("it changes a tensor")

    def view(self) -> np.ndarray:
        """The numbers in their storage, checked against what that holds."""
        whole = (self.offset, *self.size, *self.stride)
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in whole) or len(
            self.size
        ) != len(self.stride):
            raise UnsafePickleError("it holds a tensor of an impossible shape")
        last = self.offset + sum(
            (n - 1) * step for n, step in zip(self.size, self.stride, strict=True)
        )
        held = -1 if self.storage.array is None else self.storage.array.size
        if held < 0 or (0 not in self.size and last >= held):
            raise UnsafePickleError("it holds a tensor that reaches beyond its storage")
        if math.prod(self.size) > held or len(self.size) > 8:
            raise UnsafePickleError("it holds a tensor larger than its storage")
        item = self.storage.dtype.itemsize
        return np.lib.stride_tricks.as_strided(
            self.storage.array[self.offset :],
            self.size,
            [step * item for step in self.stride],
            writeable=False,
        )


class _Dict(dict):
    """Stands in for OrderedDict; state dicts carry an attribute `_metadata`, which is dropped."""

    def __init__(self, items=()):
        super().__init__()
        for key, value in items:
            if not isinstance(key, str | bytes | int):
                raise UnsafePickleError("it has a dict whose keys are no names")
            self[key] = value

    def __setstate__(self, state):
        pass


class _Ignored:
    """Stands in for NumPy's numbers, which checkpoints keep beside the weights."""

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        pass


def _parameter(data=None, *_):
    if not isinstance(data, Tensor):
        raise UnsafePickleError("it holds a parameter without a tensor")
    return data


def allowed_names(room: int) -> dict[tuple[str, str], object]:
    """What each global of a pickle stands for. room: how many entries its dicts may be made with, all together."""
    left = [room]

    def ordered(items=()):
        left[0] -= len(items)
        if left[0] < 0:
            raise UnsafePickleError("its dicts are together larger than the file")
        return _Dict(items)

    names: dict[tuple[str, str], object] = {("torch", kind): kind for kind in _TYPES}
    names |= {("torch._utils", f"_rebuild_tensor{v}"): Tensor for v in ("", "_v2")}
    names |= {
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("collections", "OrderedDict"): ordered,
    }
    names |= {("numpy", "dtype"): _Ignored, ("_codecs", "encode"): _Ignored}
    names |= {(f"{core}.multiarray", "scalar"): _Ignored for core in ("numpy.core", "numpy._core")}
    return names


def storage_key(key) -> tuple[str, str, int]:
    """(type, name, count) of a storage's persistent id."""
    if not (
        isinstance(key, tuple) and len(key) >= 5 and key[0] == "storage" and isinstance(key[1], str)
    ):
        raise UnsafePickleError("it refers to something that is no storage")
    kind, name, count = key[1], key[2], key[4]
    if kind not in _TYPES or not isinstance(name, str) or not isinstance(count, int) or count < 0:
        raise UnsafePickleError("it refers to a storage of an unknown kind")
    return kind, name, count
