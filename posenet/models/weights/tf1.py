"""TensorFlow 1 checkpoints, read by TensorFlow: single files (V1), and .index with .data (V2).

Variables are `<layer>/<name>` with shapes in Keras order. Slots of optimizers and counters are left
out.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from posenet.environment import import_extra
from posenet.errors import PoseNetError, first_line
from posenet.models.weights import Weights

_NAMES = {"weights": "kernel", "biases": "bias", "alphas": "alpha"}
_SLOTS = re.compile(
    r"/(Adam(_\d+)?|Momentum|RMSProp(_\d+)?|Adagrad|Ftrl(_\d+)?|ExponentialMovingAverage)$"
    r"|(^|/)(beta[12]_power|global_step)"
)


def checkpoint_prefix(path: Path) -> Path | None:
    """Return the prefix of a checkpoint as TensorFlow expects it.

    Args:
        path: a prefix, one of its files, or a V1 file.

    Returns:
        The prefix, or None if the path is anything else.
    """
    for prefix in (path, path.with_name(re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path.name))):
        if prefix.with_name(prefix.name + ".index").is_file() or _is_table(prefix):
            return prefix
    return None


def _is_table(path: Path) -> bool:
    """Return whether a file ends like TensorFlow's tables, such as a V1 checkpoint."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        return file.read() == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" and path.suffix != ".index"


def read_checkpoint(path: Path) -> Weights:
    """Read the weights of every layer.

    Args:
        path: the prefix, or any file of the checkpoint.

    Returns:
        The weights.

    Raises:
        PoseNetError: it is not a checkpoint, or variables are larger than its files.
    """
    prefix = checkpoint_prefix(path)
    if prefix is None:
        raise PoseNetError(
            f"{path} must be a TensorFlow checkpoint: a V1 file, or a prefix of .index and .data "
            "files"
        )
    tf = import_extra("tensorflow", "tensorflow", f"reading the TensorFlow checkpoint {path}")
    held = sum(file.stat().st_size for file in prefix.parent.glob(f"{glob_safe(prefix.name)}*"))
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        types, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
        wanted = [
            name
            for name in sorted(shapes)
            if "/" in name and not _SLOTS.search(name) and types[name].is_numpy_compatible
        ]
        promised = sum(math.prod(shapes[name]) * types[name].size for name in wanted)
        if promised > 4 * held:
            raise PoseNetError(
                f"{path} promises {promised} bytes of variables, its files hold {held}"
            )
        arrays = {name: np.asarray(reader.get_tensor(name)) for name in wanted}
    except PoseNetError:
        raise
    except Exception as error:
        raise PoseNetError(
            f"{path} must be a TensorFlow checkpoint, it cannot be read ({first_line(error)})"
        ) from None
    weights: Weights = {}
    for name, array in arrays.items():
        layer, _, last = name.rpartition("/")
        if array.dtype.kind in "fiu":
            weights.setdefault(layer.removesuffix("/BatchNorm"), {})[_NAMES.get(last, last)] = array
    if not weights:
        raise PoseNetError(f"{path} must be a TensorFlow checkpoint with weights, it holds none")
    return weights


def glob_safe(name: str) -> str:
    """Escape the characters that glob reads as patterns.

    Args:
        name: a file name.

    Returns:
        The pattern that matches this name only.
    """
    return re.sub(r"([*?\[])", r"[\1]", name)
