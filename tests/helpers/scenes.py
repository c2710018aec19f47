"""Small scenes for tests, and settings of short trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.convert import convert
from posenet.datasets.scene import Scene, ScenePoints
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from tests.helpers.images import write_image

SMALL = {
    "short_side": 64,
    "batch_size": 4,
    "validation_split": 0.25,
    "precision": "float32",
}  # settings of short trainings
QUICK = SMALL | {"backbone": "googlenet"}


def write_cambridge(folder: Path, train=12, test=4, seed=0) -> Path:
    """A scene in the Cambridge layout: random images, cameras in a 4 x 3 x 1 m box."""
    rng = np.random.default_rng(seed)
    for split, sequences, count in (("train", ("seq1", "seq2"), train), ("test", ("seq3",), test)):
        lines = ["Visual Landmark Dataset V1", "ImageFile, Camera Position [X Y Z W P Q R]", ""]
        for number in range(count):
            name = f"{sequences[number * len(sequences) // count]}/frame{number + 1:05d}.png"
            write_image(folder / name, seed=int(rng.integers(1 << 30)))
            position = rng.uniform(0, (4, 3, 1))
            camera_from_world = Rotation.from_rotvec(rng.normal(0, 0.4, 3)).as_quat(
                canonical=True, scalar_first=True
            )
            lines.append(
                " ".join([name, *(f"{value:.9f}" for value in (*position, *camera_from_world))])
            )
        (folder / f"dataset_{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_plane(folder: Path) -> Path:
    """The scene of `plane`, in folder/plane."""
    from tests.helpers.planes import plane_scene

    scene = plane_scene(folder / "made", 16)
    scene = replace(scene, splits=np.array(["train"] * 12 + ["test"] * 4))
    convert(scene, folder / "plane", "transforms", copy=True)
    return folder / "plane"


LEVEL = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looks along x, z up


def scene_of(poses, cameras=None, points=None):
    count = len(poses)
    return Scene(
        name="made",
        root=None,
        names=tuple(f"{row}.png" for row in range(count)),
        poses=poses,
        cameras=tuple(cameras or [None] * count),
        splits=np.array(["train"] * count),
        sequences=np.array(["all"] * count),
        points=points,
    )


def walk(count=60, pitch=0.0):
    """A level walk round an ellipse in the x-y plane, looking about."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    places = np.column_stack([5 * np.cos(angle), 3 * np.sin(angle), 0.02 * np.sin(9 * angle)])
    turn = Rotation.from_euler(
        "ZY", np.column_stack([np.degrees(angle) * 2, np.full(count, pitch)]), degrees=True
    )
    return Poses(places, turn * LEVEL)


CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)


def make_scene(folder, seed=0, camera=CAMERA, spread=1.0, unit="m"):
    """Two training walks and a test walk, four images each, poses at random."""
    rng = np.random.default_rng(seed)
    names = [f"walk{walk}/frame{row:03d}.png" for walk in range(3) for row in range(4)]
    for row, name in enumerate(names):
        if not (folder / name).exists():
            write_image(folder / name, (48, 64), seed=row)
    points = rng.normal(0, spread, (50, 3))
    seen = np.array([(row, point) for row in range(12) for point in range(row, row + 30)])
    return Scene(
        name="made",
        root=folder,
        names=tuple(names),
        poses=Poses(rng.normal(0, spread, (12, 3)), Rotation.random(12, random_state=seed)),
        cameras=(camera,) * 12,
        splits=np.repeat(["train", "train", "test"], 4),
        sequences=np.repeat(["walk0", "walk1", "walk2"], 4),
        unit=unit,
        points=ScenePoints(points, seen, rng.integers(0, 256, (len(points), 3), np.uint8)),
    )


def circle(n, radius=3.0):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    positions = np.stack([radius * np.cos(angle), 2 * np.sin(angle), 0 * angle], axis=1)
    return Poses(positions, Rotation.from_rotvec(np.stack([0 * angle, 0 * angle, angle], axis=1)))
