"""The .npz files of `posenet weights convert`: arrays under "layer/name", in Keras order."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.models.weights import Weights


def read_npz(path: Path) -> Weights:
    """Read the weights of every layer.

    Args:
        path: the file.

    Returns:
        The weights.

    Raises:
        PoseNetError: the file contains anything but plain, uncompressed arrays of numbers.
    """
    weights: Weights = {}
    try:
        with zipfile.ZipFile(path) as file:
            room = path.stat().st_size
            for info in file.infolist():
                layer, _, name = info.filename.removesuffix(".npy").rpartition("/")
                room -= info.file_size
                if info.compress_type != zipfile.ZIP_STORED or room < 0:
                    raise ValueError("its arrays are larger than the file")
                array = np.lib.format.read_array(io.BytesIO(file.read(info)), allow_pickle=False)
                if not layer or array.dtype.kind not in "fiub":
                    raise ValueError(f"{info.filename[:60]} is no layer's array of numbers")
                weights.setdefault(layer, {})[name] = array
    except Exception as error:  # a header may hold any literal
        reason = first_line(error)
        raise PoseNetError(
            f"{path} must be an .npz file that `posenet weights convert` wrote, it cannot be read "
            f"({reason})"
        ) from None
    if not weights:
        raise PoseNetError(f"{path} must be an .npz file of weights, it holds none")
    return weights
