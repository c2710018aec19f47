"""Write a COLMAP model as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.tracks import Track, point_colors, project_scene_points
from posenet.datasets.intrinsics import guess_camera
from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import colmap_parameters
from posenet.io.files import write_text

# ERROR of a point line: unknown.
POINT_ERROR = 0


def write_model(folder: Path, scene: Scene, names: Sequence[str], lost: list[str]) -> None:
    """Write cameras.txt, images.txt and points3D.txt.

    Unknown intrinsics are guessed. Keypoints are the projections of the scene's points.

    Args:
        folder: folder to create.
        scene: the scene.
        names: names of its images in the model.
        lost: gets descriptions of what the model cannot store.
    """
    cameras = [
        camera or guess_camera(path)
        for camera, path in zip(scene.cameras, scene.paths, strict=True)
    ]
    if None in scene.cameras:
        lost.append("which intrinsics are unknown: it contains guessed ones")
    numbers = {camera: number for number, camera in enumerate(dict.fromkeys(cameras), 1)}
    points, tracks = project_scene_points(scene, lost)
    folder.mkdir(parents=True)
    write_text(
        folder / "cameras.txt",
        "".join(_camera_line(number, camera) for camera, number in numbers.items()),
    )
    camera_numbers = [numbers[camera] for camera in cameras]
    write_text(folder / "images.txt", _images_text(scene, names, camera_numbers, tracks))
    points_text = _points_text(points, point_colors(scene), tracks, len(names))
    write_text(folder / "points3D.txt", points_text)


def _camera_line(number: int, camera: Camera) -> str:
    """Return the line of a camera in cameras.txt."""
    model, parameters = colmap_parameters(camera)
    return f"{number} {model} {camera.width} {camera.height} {' '.join(map(repr, parameters))}\n"


def _images_text(
    scene: Scene, names: Sequence[str], cameras: Sequence[int], tracks: Sequence[Track]
) -> str:
    """Return two lines per image: its pose, and its keypoints in the order of the points."""
    keypoints: list[list[str]] = [[] for _ in names]
    for point, track in enumerate(tracks, 1):
        for measurement in track:
            keypoint = f"{measurement.x:.6f} {measurement.y:.6f} {point}"
            keypoints[measurement.image].append(keypoint)
    camera_from_world = scene.poses.inverse()
    poses = np.hstack([camera_from_world.quaternions_wxyz, camera_from_world.positions]).tolist()
    lines = []
    for row, pose in enumerate(poses):
        numbers = " ".join(map(repr, pose))
        lines.append(f"{row + 1} {numbers} {cameras[row]} {names[row]}\n")
        lines.append(" ".join(keypoints[row]) + "\n")
    return "".join(lines)


def _points_text(
    points: np.ndarray, colors: np.ndarray, tracks: Sequence[Track], num_images: int
) -> str:
    """Return one line per point. Keypoints are numbered as in images.txt."""
    next_keypoint = [0] * num_images
    lines = []
    rows = zip(points.tolist(), colors.tolist(), tracks, strict=True)
    for number, (point, color, track) in enumerate(rows, 1):
        observations = []
        for measurement in track:
            row = measurement.image
            observations.append(f"{row + 1} {next_keypoint[row]}")
            next_keypoint[row] += 1
        position = " ".join(map(repr, point))
        columns = [number, position, *color, POINT_ERROR, *observations]
        line = " ".join(map(str, columns))
        lines.append(line.rstrip() + "\n")
    return "".join(lines)
