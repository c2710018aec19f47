"""What a network may say of a rotation, as a quaternion: three numbers, six, or a matrix. keras.ops only."""

from __future__ import annotations

import keras
from keras import ops

from posenet.models.quaternions import distance, unit

SQUARINGS = 10
# what zeros stand for: no turn
STARTS = {"log": (0.0,) * 3, "6d": (1.0, 0, 0, 0, 1, 0)}


@keras.saving.register_keras_serializable("posenet")
class ToQuaternion(keras.layers.Layer):
    """(b, 3) or (b, 6) numbers, away from those of no turn -> (b, 4) unit quaternions wxyz.

    kind: "log", half the rotation vector (MapNet, Brahmbhatt et al. 2018); "6d", two axes that are made orthogonal
    (Zhou et al. 2019).
    """

    def __init__(self, kind: str, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.kind = kind

    def call(self, x):
        x = x + ops.array(STARTS[self.kind], x.dtype)
        if self.kind == "log":
            angle = distance(x, 0.0)[:, None]
            return ops.concatenate([ops.cos(angle), x * ops.sin(angle) / angle], axis=-1)
        first = unit(x[:, :3])
        second = unit(x[:, 3:] - ops.sum(first * x[:, 3:], axis=-1, keepdims=True) * first)
        transposed = ops.stack([first, second, ops.cross(first, second)], axis=1)
        return nearest_rotation(transposed)

    def get_config(self):
        return super().get_config() | {"kind": self.kind}


def nearest_rotation(products):
    """(b, 4) unit quaternions wxyz of the rotations R with the largest trace(R S), of matrices S (b, 3, 3).

    S may be the sum of products p t^T of centerd points p and targets t (Horn 1987), or the transpose of a matrix near
    to a rotation.
    """
    return largest_eigenvector(_horn(products))


def _horn(s):
    """Horn's symmetric matrices (b, 4, 4), whose first eigenvector is the quaternion, of sums of products (b, 3, 3)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = (s[:, i, j] for i in range(3) for j in range(3))
    rows = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)


def largest_eigenvector(matrices):
    """(b, 4) unit eigenvectors of the largest eigenvalues of symmetric matrices (b, 4, 4), by repeated squaring."""
    eye = ops.eye(4, dtype=matrices.dtype)
    power = matrices + (_size(matrices) + 1e-6) * eye
    for _ in range(SQUARINGS):
        power = power / _size(power)
        power = ops.matmul(power, power)
    longest = ops.one_hot(
        ops.argmax(ops.sum(ops.square(power), axis=1), axis=-1), 4, dtype=matrices.dtype
    )
    column = ops.sum(power * longest[:, None], axis=-1)
    return column * ops.rsqrt(ops.sum(ops.square(column), axis=-1, keepdims=True) + 1e-24)


def _size(matrices):
    return ops.sqrt(ops.sum(ops.square(matrices), axis=(1, 2), keepdims=True) + 1e-24)
