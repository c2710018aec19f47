"""caffe-tensorflow's .npy files and pickles of GoogLeNet weights: a pickled dict of arrays.

Either `{layer: {"weights": array, "biases": array}}` in Keras order, or flat
`{"conv1/7x7_s2_0": array}` in Caffe's order with _0 for weights and _1 for biases (poselstm); made
by Python 2 or 3. Format of .npy files:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.models.weights import Weights
from posenet.models.weights.safe_pickle import UnsafePickleError, load_pickle

KINDS = "fiub"
NAMES = {
    "weights": "kernel",
    "biases": "bias",
    "mean": "moving_mean",
    "variance": "moving_variance",
}
NAMES |= {"scale": "gamma", "offset": "beta"}


class _DType:
    """Replaces numpy.dtype: stores what the pickle says about it."""

    def __init__(self, code="", *_):
        self.code = _short_text(code)
        self.order = "="

    def __setstate__(self, state):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        self.order = _short_text(order)

    def checked(self) -> np.dtype:
        """Return the numpy type, if it is one of numbers."""
        if len(self.code) > 4 or self.code[:1] not in KINDS or self.order not in "<>=|":
            raise UnsafePickleError(
                f"it holds an array of type {self.code[:20]!r}, numbers are needed"
            )
        return np.dtype(self.code).newbyteorder(self.order if self.order != "|" else "=")


def _short_text(value) -> str:
    if isinstance(value, str | bytes) and len(value) > 20:
        raise UnsafePickleError("it holds an array of an unknown kind")
    return _text(value) or ""


class _Array:
    """Replaces numpy.ndarray: its state is checked before an array is made.

    The only entry of `room` is the number of bytes that all arrays of the file may still take.
    """

    def __init__(self, room: list[int]):
        self.array: object = None
        self.room = room

    def __setstate__(self, state):
        if not (isinstance(state, tuple) and len(state) == 5):
            raise UnsafePickleError("it holds an array without the five parts of its state")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(shape, tuple):
            raise UnsafePickleError("it holds an array of an unknown kind")
        if dtype.code.startswith("O"):
            self.array = (
                data[0] if isinstance(data, list) and len(data) == 1 and shape == () else data
            )
            return
        self.room[0] -= len(data) if isinstance(data, str | bytes | bytearray) else 0
        if self.room[0] < 0:
            raise UnsafePickleError("its arrays are together larger than the file")
        data = data.encode("latin1") if isinstance(data, str) else data
        self.array = checked_array(data, shape, dtype.checked(), bool(fortran))


def checked_array(data, shape: tuple, dtype: np.dtype, fortran: bool = False) -> np.ndarray:
    """Make an array of bytes whose length is what shape and type require.

    Args:
        data: the bytes.
        shape: the shape.
        dtype: the type of the numbers.
        fortran: whether the first index changes fastest.

    Returns:
        The array, in native byte order.

    Raises:
        UnsafePickleError: shape, type and length do not fit.
    """
    size = dtype.itemsize
    for side in shape:
        if not isinstance(side, int) or isinstance(side, bool) or side < 0:
            raise UnsafePickleError("it holds an array of an impossible shape")
        size *= side
    if not isinstance(data, bytes | bytearray) or len(data) != size or len(shape) > 8:
        raise UnsafePickleError(
            f"it holds an array that promises {size} bytes and has another number of them"
        )
    return (
        np.frombuffer(data, dtype)
        .reshape(shape, order="F" if fortran else "C")
        .astype(dtype.newbyteorder("="))
    )


def _allowed(room: int) -> dict[tuple[str, str], object]:
    """Return the names that a pickle of arrays mentions; `room` is a number of bytes for all."""
    left = [room]

    def encoded(text, *_):
        """_codecs.encode(text, "latin1"): how Python 3 writes bytes in old protocols."""
        if not isinstance(text, str):
            raise UnsafePickleError("it encodes what is no text")
        left[0] -= len(text)
        if left[0] < 0:
            raise UnsafePickleError("its arrays are together larger than the file")
        return text.encode("latin1")

    names: dict[tuple[str, str], object] = {("_codecs", "encode"): encoded}
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = lambda *_: _Array(left)
    return names | {("numpy", "ndarray"): None, ("numpy", "dtype"): _DType}


def read_npy(path: Path) -> Weights:
    """Read the weights of an .npy file that contains a dict, or of a bare pickle of one.

    Args:
        path: the file.

    Returns:
        The weights of every layer.

    Raises:
        PoseNetError: the file contains anything but numbers in plain containers, or an array does
            not have its stated size.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PoseNetError(f"{path}: the file cannot be read ({error.strerror})") from None
    if data[:6] == np.lib.format.MAGIC_PREFIX:
        data = _after_header(path, data)
    return _as_weights(path, _plain(load_pickle(data, _allowed(2 * len(data)), str(path))))


def _after_header(path: Path, data: bytes) -> bytes:
    """Return the pickle after the .npy header."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except (
        Exception
    ) as error:  # numpy parses the header as Python: there is no end of what may be raised
        raise PoseNetError(
            f"{path} must be a .npy file, its header cannot be read ({first_line(error)})"
        ) from None
    if not dtype.hasobject or shape != ():
        raise PoseNetError(
            f"{path} must hold a dict of layers, it holds an array of {dtype} {shape}"
        )
    return data[file.tell() :]


def _plain(found):
    """Return the content of an object array of one object; other objects unchanged."""
    for _ in range(8):
        if not isinstance(found, _Array):
            break
        found = found.array
    return found


def _text(key) -> str | None:
    """Return text or bytes as text, otherwise None: str() of nested lists may take all memory."""
    key = key.decode("latin1") if isinstance(key, bytes) else key
    return key if isinstance(key, str) else None


def _as_weights(path: Path, found) -> Weights:
    """Return {layer: {name: array}} of a nested or flat dict."""
    wanted = f"{path} must be a dict of layers, each a dict of arrays"
    if isinstance(found, list) and len(found) == 1:
        found = _plain(found[0])
    if not isinstance(found, dict):
        raise PoseNetError(f"{wanted}, received {type(found).__name__}")
    weights: Weights = {}
    flat: list[str] = []
    for key, value in found.items():
        layer, value = _text(key), _plain(value)
        if layer is None:
            raise PoseNetError(
                f"{wanted}, received a layer whose name is of type {type(key).__name__}"
            )
        if isinstance(value, dict):
            weights[layer] = {
                NAMES.get(_text(k) or "", _text(k) or ""): _number_array(wanted, v)
                for k, v in value.items()
            }
        else:
            name, _, part = layer.rpartition("_")
            array = _number_array(wanted, value)
            if part == "0":
                weights.setdefault(name, {})["kernel"] = (
                    array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
                )
                flat.append(name)
            elif part == "1":
                weights.setdefault(name, {})["bias"] = array.ravel()
            else:
                raise PoseNetError(f"{wanted}, received an array called {layer[:40]!r}")
    for name in flat:
        _reorder_rows(weights, name)
    return weights


def _reorder_rows(weights: Weights, name: str) -> None:
    """Reorder the rows of loss1/fc after loss1/conv, in a flat dict, to height, width, channels."""
    rows, conv = (
        weights[name]["kernel"],
        weights.get(name.removesuffix("fc") + "conv", {}).get("kernel"),
    )
    if not name.endswith("/fc") or conv is None or rows.ndim != 2 or conv.ndim != 4:
        return
    channels = conv.shape[-1]
    if rows.shape[0] % channels == 0:
        in_order = rows.reshape(channels, -1, rows.shape[1]).transpose(1, 0, 2)
        weights[name]["kernel"] = in_order.reshape(rows.shape)


def _number_array(wanted: str, value) -> np.ndarray:
    value = _plain(value)
    if not isinstance(value, np.ndarray):
        raise PoseNetError(f"{wanted}, received {type(value).__name__}")
    return value
