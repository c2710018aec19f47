"""Rays of cameras of known pose: where they meet, and by how much they miss each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posenet.geometry.poses import Poses


class RayIntersections(NamedTuple):
    """Where n pairs of rays come closest.

    Attributes:
        distances: distances along the first rays, shape (n,).
        misses: sine of the angle by which the second rays miss the points, shape (n,).
        parallax: sine of the angle between the rays, shape (n,).
    """

    distances: np.ndarray
    misses: np.ndarray
    parallax: np.ndarray


def world_rays(rays: np.ndarray, poses: Poses, row: int) -> np.ndarray:
    """Return the directions of rays in the world frame.

    Args:
        rays: points on the plane z = 1 of a camera, shape (n, 2).
        poses: some poses.
        row: index of the camera's pose.

    Returns:
        Unit vectors, shape (n, 3).
    """
    directions = poses.rotations[row].apply(np.column_stack([rays, np.ones(len(rays))]))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def triangulate_rays(
    center: np.ndarray, rays: np.ndarray, other_center: np.ndarray, other_rays: np.ndarray
) -> RayIntersections:
    """Intersect rays of one camera with those of another: where they appear to meet.

    Args:
        center: center of the first camera, shape (3,).
        rays: its unit rays, shape (n, 3).
        other_center: center of the second camera, shape (3,).
        other_rays: its unit rays, shape (n, 3).

    Returns:
        The intersections as the second camera sees them.
    """
    across = rays - (rays * other_rays).sum(axis=1, keepdims=True) * other_rays
    base = other_center - center
    offset = base - (other_rays @ base)[:, None] * other_rays
    distances = (across * offset).sum(axis=1) / np.maximum((across**2).sum(axis=1), 1e-12)
    missed = np.linalg.norm(distances[:, None] * across - offset, axis=1)
    depth = np.linalg.norm(distances[:, None] * rays - base, axis=1)
    parallax = np.linalg.norm(across, axis=1)
    return RayIntersections(distances, missed / np.maximum(depth, 1e-12), parallax)


def epipolar_errors(base: np.ndarray, rays: np.ndarray, other_rays: np.ndarray) -> np.ndarray:
    """Return the angles by which rays of two cameras miss each other.

    Sampson's distance from a common epipolar plane (Hartley and Zisserman, 2004, 11.4.3).

    Args:
        base: center of the second camera relative to the first, shape (3,).
        rays: unit rays of the first camera, shape (n, 3).
        other_rays: unit rays of the second camera, shape (n, 3).

    Returns:
        Angles in radians, for small ones, shape (n,).
    """
    missed = (base * np.cross(rays, other_rays)).sum(axis=1)
    slopes = (np.cross(other_rays, base) ** 2).sum(axis=1)
    slopes = slopes + (np.cross(base, rays) ** 2).sum(axis=1)
    return np.abs(missed) / np.sqrt(np.maximum(slopes, 1e-24))
