"""Quaternion algebra in keras.ops. Gradients are finite at zero."""

from __future__ import annotations

from typing import Any

from keras import ops

# Added to squared lengths, so that the gradient of the root is finite.
EPSILON = 1e-12


def nearer_sign(quaternion: Any, truth: Any) -> Any:
    """Return the sign of a true quaternion that is nearer to a prediction.

    Args:
        quaternion: predictions, shape (b, 4).
        truth: true quaternions, shape (b, 4); q and -q are the same rotation.

    Returns:
        `truth` or its negative, shape (b, 4).
    """
    dot = ops.sum(quaternion * truth, axis=-1, keepdims=True)
    return ops.where(dot < 0, -truth, truth)


def unit(quaternion: Any) -> Any:
    """Return vectors scaled to length one.

    Args:
        quaternion: shape (b, n).

    Returns:
        Shape (b, n).
    """
    squares = ops.sum(ops.square(quaternion), axis=-1, keepdims=True)
    return quaternion * ops.rsqrt(squares + EPSILON)


def distance(first: Any, second: Any) -> Any:
    """Return Euclidean distances.

    Args:
        first: shape (..., n).
        second: shape (..., n).

    Returns:
        Shape (...).
    """
    return ops.sqrt(ops.sum(ops.square(first - second), axis=-1) + EPSILON)


def rotation_angle(quaternion: Any, truth: Any) -> Any:
    """Return the angles between rotations, accurate near zero: 4 atan2(|q - q'|, |q + q'|).

    Args:
        quaternion: predictions of any length, shape (b, 4).
        truth: true unit quaternions, shape (b, 4).

    Returns:
        Angles in radians, shape (b,).
    """
    quaternion = unit(quaternion)
    truth = nearer_sign(quaternion, truth)
    return 4 * ops.arctan2(distance(quaternion, truth), distance(quaternion, -truth))


def rotate(quaternion: Any, vectors: Any) -> Any:
    """Rotate vectors.

    Args:
        quaternion: unit quaternions wxyz, shape (..., 4).
        vectors: shape (..., 3).

    Returns:
        The rotated vectors, shape (..., 3).
    """
    scalar = quaternion[..., :1]
    axis = quaternion[..., 1:]
    return vectors + 2 * cross(axis, cross(axis, vectors) + scalar * vectors)


def cross(first: Any, second: Any) -> Any:
    """Return cross products, in operations that every export format has, unlike `ops.cross`.

    Args:
        first: shape (..., 3).
        second: shape (..., 3); the two are broadcast.

    Returns:
        Shape (..., 3).
    """
    # In the order z, x, y.
    products = first * _shifted(second) - _shifted(first) * second
    return _shifted(products)


def _shifted(vectors: Any) -> Any:
    """Return y, z, x of vectors x, y, z."""
    return ops.concatenate([vectors[..., 1:], vectors[..., :1]], axis=-1)
