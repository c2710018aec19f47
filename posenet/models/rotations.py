"""Convert rotation parameterizations (log-quaternion, 6D, 3x3 matrix) to unit quaternions.

Backend-agnostic (keras.ops).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from posenet.models.quaternions import cross, distance, unit

# Number of squarings of the power iteration.
SQUARINGS = 10
# The parameters of the identity, which the outputs of the network are added to.
IDENTITY = {"log": (0.0,) * 3, "6d": (1.0, 0, 0, 0, 1, 0)}


@keras.saving.register_keras_serializable("posenet")
class ToQuaternion(keras.layers.Layer):
    """Converts (b, 3) or (b, 6) parameters, relative to the identity, to unit quaternions (b, 4).

    The kind "log" is half the rotation vector (MapNet, Brahmbhatt et al., 2018). "6d" are two axes
    that are made orthogonal (Zhou et al., 2019).
    """

    def __init__(self, kind: str, **kwargs: Any) -> None:
        """Set the parameterization."""
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.kind = kind

    def call(self, x: Any) -> Any:
        """Return unit quaternions wxyz, shape (b, 4)."""
        x = x + ops.array(IDENTITY[self.kind], x.dtype)
        if self.kind == "log":
            angle = distance(x, 0.0)[:, None]
            return ops.concatenate([ops.cos(angle), x * ops.sin(angle) / angle], axis=-1)
        first = unit(x[:, :3])
        second = unit(x[:, 3:] - ops.sum(first * x[:, 3:], axis=-1, keepdims=True) * first)
        transposed = ops.stack([first, second, cross(first, second)], axis=1)
        return nearest_rotation(transposed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"kind": self.kind}


def nearest_rotation(products: Any) -> Any:
    """Return the rotations R with the largest trace(R S).

    Args:
        products: matrices S, shape (b, 3, 3): sums of products p t^T of centered points p and
            targets t (Horn, 1987), or the transpose of a matrix near a rotation.

    Returns:
        Unit quaternions wxyz, shape (b, 4).
    """
    return largest_eigenvector(_horn_matrix(products))


def largest_eigenvector(matrices: Any) -> Any:
    """Return the eigenvectors of the largest eigenvalues, by repeated squaring.

    Args:
        matrices: symmetric, shape (b, 4, 4).

    Returns:
        Unit vectors, shape (b, 4).
    """
    identity = ops.convert_to_tensor(np.eye(4), matrices.dtype)
    power = matrices + (_norm(matrices) + 1e-6) * identity
    for _ in range(SQUARINGS):
        power = power / _norm(power)
        power = ops.matmul(power, power)
    column = _longest_column(power)
    return column * ops.rsqrt(ops.sum(ops.square(column), axis=-1, keepdims=True) + 1e-24)


def _longest_column(matrices: Any) -> Any:
    """Return the longest columns (b, 4), the first of equal ones.

    Export formats have neither the argmax nor the identity matrix of `keras.ops`.
    """
    squares = ops.sum(ops.square(matrices), axis=1)
    column, longest = matrices[:, :, 0], squares[:, :1]
    for index in range(1, 4):
        length = squares[:, index : index + 1]
        column = ops.where(length > longest, matrices[:, :, index], column)
        longest = ops.maximum(length, longest)
    return column


def _horn_matrix(s: Any) -> Any:
    """Return Horn's symmetric matrices (b, 4, 4), whose first eigenvector is the quaternion."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = (s[:, i, j] for i in range(3) for j in range(3))
    rows = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)


def _norm(matrices: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(matrices), axis=(1, 2), keepdims=True) + 1e-24)
