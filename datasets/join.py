"""Join scenes whose poses are in one world frame, such as several walks through a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posenet.datasets.scene import Scene, ScenePoints
from posenet.errors import PoseNetError
from posenet.geometry.poses import concatenate


def join_scenes(first: Scene, others: Sequence[tuple[str, Scene]]) -> Scene:
    """Join scenes into one that has the name, folder and conventions of the first.

    Args:
        first: a scene. Its images keep their names.
        others: other scenes, each with a label, by which the names of its images and sequences
            start, followed by a slash.

    Returns:
        The images of all, in this order. Times and 3-D points are kept if all scenes have them.

    Raises:
        PoseNetError: the units differ, or two images would have the same name.
    """
    for label, other in others:
        if other.unit != first.unit:
            raise PoseNetError(
                f"scenes in one world frame must have one unit: {first.root} has {first.unit}, "
                f"{label} in {other.root} has {other.unit}"
            )
    scenes = [first, *(other for _, other in others)]
    prefixes = ["", *(f"{label}/" for label, _ in others)]
    names = [
        prefix + name
        for prefix, scene in zip(prefixes, scenes, strict=True)
        for name in scene.names
    ]
    if len(set(names)) != len(names):
        known = set(first.names)
        double = next(name for name in names[len(first) :] if name in known)
        raise PoseNetError(f"images of joined scenes must have different names, two are {double}")
    sequences = [
        np.array([prefix + str(name) for name in scene.sequences], object)
        for prefix, scene in zip(prefixes, scenes, strict=True)
    ]
    stats = [scene.file_stats for scene in scenes]
    times = [scene.times for scene in scenes]
    return replace(
        first,
        names=tuple(names),
        files=tuple(path for scene in scenes for path in scene.paths),
        parts=np.repeat(
            np.array([first.name, *(label for label, _ in others)], object), list(map(len, scenes))
        ),
        poses=concatenate([scene.poses for scene in scenes]),
        cameras=tuple(camera for scene in scenes for camera in scene.cameras),
        splits=np.concatenate([scene.splits for scene in scenes]),
        sequences=np.concatenate(sequences),
        points=_join_points(scenes),
        numbers=None,
        times=_all_or_none(times),
        moments=_join_moments(scenes),
        file_stats=_all_or_none(stats),
    )


def _all_or_none(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if len(present) == len(arrays) else None


def _join_moments(scenes: Sequence[Scene]) -> np.ndarray | None:
    """Return moments that no two scenes share; None if every image is a moment of its own."""
    if all(scene.moments is None for scene in scenes):
        return None
    joined = []
    start = 0
    for scene in scenes:
        moments = scene.dense_moments
        joined.append(moments + start)
        start += int(moments.max(initial=-1)) + 1
    return np.concatenate(joined)


def _join_points(scenes: Sequence[Scene]) -> ScenePoints | None:
    """Return the 3-D points of all scenes; None unless every scene has some."""
    parts = [scene.points for scene in scenes if scene.points is not None]
    if len(parts) < len(scenes):
        return None
    images = np.cumsum([0, *map(len, scenes)])
    points = np.cumsum([0, *(len(part.positions) for part in parts)])
    observations = [
        part.observations + [images[place], points[place]] for place, part in enumerate(parts)
    ]
    colors = [part.colors for part in parts]
    return ScenePoints(
        np.concatenate([part.positions for part in parts]),
        np.concatenate(observations),
        _all_or_none(colors),
    )
