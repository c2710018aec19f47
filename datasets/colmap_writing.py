"""Writing a COLMAP model as text: cameras.txt, images.txt, points3D.txt (colmap.github.io/format.html)."""

from __future__ import annotations

from pathlib import Path

from posenet.datasets.tracks import measured_points
from posenet.geometry.camera_models import parameters_of
from posenet.intrinsics import guessed_camera
from posenet.io.files import write_text
from posenet.scene import Scene

NO_POINT = -1


def write_model(folder: Path, scene: Scene, names: list[str], lost: list[str]) -> None:
    """Write the model of a scene whose pictures are called `names` in it.

    A picture of unknown intrinsics gets guessed ones, which `lost` says. Keypoints are the projections of the
    scene's points.
    """
    cameras = [camera or guessed_camera(path) for camera, path in zip(scene.cameras, scene.paths, strict=True)]
    if None in scene.cameras:
        lost.append("that intrinsics are unknown: guessed ones are written")
    numbers = {camera: number for number, camera in enumerate(dict.fromkeys(cameras), 1)}
    folder.mkdir(parents=True)
    write_text(folder / "cameras.txt", "".join(_camera_line(number, each) for each, number in numbers.items()))
    points, tracks = measured_points(scene, lost)
    keypoints: list[list[tuple[float, float, int]]] = [[] for _ in names]
    for point, track in enumerate(tracks):
        for row, _, x, y in track:
            keypoints[row].append((x, y, point + 1))
    camera_from_world = scene.poses.inverse()
    lines = []
    for row, (quaternion, translation) in enumerate(
        zip(camera_from_world.quaternions_wxyz.tolist(), camera_from_world.positions.tolist(), strict=True)
    ):
        pose = " ".join(map(repr, (*quaternion, *translation)))
        lines.append(f"{row + 1} {pose} {numbers[cameras[row]]} {names[row]}\n")
        lines.append(" ".join(f"{x:.6f} {y:.6f} {point}" for x, y, point in keypoints[row]) + "\n")
    write_text(folder / "images.txt", "".join(lines))
    at = [0] * len(names)
    lines = []
    for point, (place, track) in enumerate(zip(points.tolist(), tracks, strict=True)):
        seen = []
        for row, *_ in track:
            seen.append(f"{row + 1} {at[row]}")
            at[row] += 1
        lines.append(f"{point + 1} {' '.join(map(repr, place))} 128 128 128 0 {' '.join(seen)}".rstrip() + "\n")
    write_text(folder / "points3D.txt", "".join(lines))


def _camera_line(number: int, camera) -> str:
    lens, parameters = parameters_of(camera)
    return f"{number} {lens} {camera.width} {camera.height} {' '.join(map(repr, parameters))}\n"
