"""The tensors of PyTorch's pickles as plain numbers: replacements for the classes of torch."""

from __future__ import annotations

import math

import numpy as np

from posenet.models.weights.safe_pickle import UnsafePickleError

_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}


class Storage:
    """One block of numbers, whose bytes come later in legacy files."""

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
        """Return the numbers in their storage, after checking that they are inside it.

        Returns:
            A read-only view.

        Raises:
            UnsafePickleError: the tensor is not inside its storage.
        """
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
    """Replaces OrderedDict; the attribute `_metadata` of state dicts is dropped."""

    def __init__(self, items=()):
        super().__init__()
        for key, value in items:
            if not isinstance(key, str | bytes | int):
                raise UnsafePickleError("it has a dict whose keys are no names")
            self[key] = value

    def __setstate__(self, state):
        pass


class _Ignored:
    """Replaces numpy's scalars, which checkpoints contain beside the weights."""

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        pass


def _parameter(data=None, *_):
    if not isinstance(data, Tensor):
        raise UnsafePickleError("it holds a parameter without a tensor")
    return data


def allowed_names(room: int) -> dict[tuple[str, str], object]:
    """Return the replacement of each global of a pickle.

    Args:
        room: number of entries that all its dicts together may have.

    Returns:
        Replacements by (module, name).

    Raises:
        UnsafePickleError: when a dict is made and the number is exceeded.
    """
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
    """Parse the persistent id of a storage.

    Args:
        key: the persistent id.

    Returns:
        Type, name and number of elements.

    Raises:
        UnsafePickleError: it is not that of a storage.
    """
    if not (
        isinstance(key, tuple) and len(key) >= 5 and key[0] == "storage" and isinstance(key[1], str)
    ):
        raise UnsafePickleError("it refers to something that is no storage")
    kind, name, count = key[1], key[2], key[4]
    if kind not in _TYPES or not isinstance(name, str) or not isinstance(count, int) or count < 0:
        raise UnsafePickleError("it refers to a storage of an unknown kind")
    return kind, name, count
