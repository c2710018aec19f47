"""Quaternion algebra in keras.ops."""

from __future__ import annotations

from keras import ops


def nearer_sign(quaternion, truth):
    """truth (b, 4) or its negative (the same rotation), whichever lies nearer to quaternion (b, 4)."""
    dot = ops.sum(quaternion * truth, axis=-1, keepdims=True)
    return ops.where(dot < 0, -truth, truth)


def unit(quaternion):
    """(b, 4) scaled to length one, with a finite gradient at zero."""
    return quaternion * ops.rsqrt(ops.sum(ops.square(quaternion), axis=-1, keepdims=True) + 1e-12)


def distance(a, b):
    """(b,) Euclidean distances, with a finite gradient at zero."""
    return ops.sqrt(ops.sum(ops.square(a - b), axis=-1) + 1e-12)


def rotation_angle(quaternion, truth):
    """(b,) angles in radians between rotations, accurate near zero: 4 atan2(|q - q'|, |q + q'|)."""
    quaternion = unit(quaternion)
    truth = nearer_sign(quaternion, truth)
    return 4 * ops.arctan2(distance(quaternion, truth), distance(quaternion, -truth))


def rotate(quaternion, vectors):
    """Vectors (..., 3) turned by unit quaternions (..., 4) wxyz."""
    scalar = quaternion[..., :1]
    axis = ops.broadcast_to(quaternion[..., 1:], ops.shape(vectors))
    return vectors + 2 * ops.cross(axis, ops.cross(axis, vectors) + scalar * vectors)
