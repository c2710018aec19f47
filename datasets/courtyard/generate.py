"""The built-in synthetic scene: four walks through a courtyard, as a Cambridge Landmarks scene.

The three training walks and the test walk show the same courtyard in different light and with
different people.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from posenet.datasets.courtyard.meshes import SQUARE, visible
from posenet.datasets.courtyard.photographs import LIGHTS, courtyard_camera, lit_ground, photograph
from posenet.datasets.courtyard.world import World, make_world
from posenet.datasets.formats.cambridge import write_list
from posenet.datasets.formats.nvm_writer import write_nvm
from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses, concatenate
from posenet.io.files import atomic_directory

# Number of surface points in the reconstruction.
NUM_POINTS = 1200
# JPEG quality of the images.
JPEG_QUALITY = 95
# Three training walks, then the test walk.
NUM_SEQUENCES = 4
# Number of the test walk.
TEST_SEQUENCE = 3
# Eye height, meters.
EYE_HEIGHT = 1.6


def make_courtyard(
    folder: Path, *, train: int = 300, test: int = 100, seed: int = 0, progress: bool = True
) -> None:
    """Write the scene to a new folder: training images in seq1 to seq3, test images in seq4.

    The same seed gives the same files. Nothing is left if it fails.

    Args:
        folder: the folder to write, which must not exist.
        train: number of training images, at least 3.
        test: number of test images, at least 1.
        seed: seed of all randomness.
        progress: show the progress on stderr.

    Raises:
        PoseNetError: there are too few images, or the folder exists.
    """
    folder = Path(folder)
    if train < 3 or test < 1:
        raise PoseNetError(
            "the courtyard needs at least 3 training and 1 test images, received "
            f"{train} and {test}"
        )
    with atomic_directory(folder) as unfinished:
        _write_scene(unfinished, train, test, seed, progress=progress)


def _write_scene(folder: Path, train: int, test: int, seed: int, *, progress: bool) -> None:
    """Write images, lists and reconstruction to an empty folder."""
    world = make_world(seed)
    counts = [len(part) for part in np.array_split(np.arange(train), TEST_SEQUENCE)] + [test]
    poses = concatenate([walk(sequence, count) for sequence, count in enumerate(counts)])
    sequences = np.repeat(np.arange(NUM_SEQUENCES), counts)
    names = [
        f"seq{s + 1}/frame{i + 1:05d}.jpg" for s, count in enumerate(counts) for i in range(count)
    ]
    for sequence in range(NUM_SEQUENCES):
        (folder / f"seq{sequence + 1}").mkdir()
    lit = [lit_ground(world, light) for light in LIGHTS]

    def write(row: int) -> None:
        rng = np.random.default_rng([seed, 1, row])
        image = photograph(world, lit[sequences[row]], int(sequences[row]), poses[row], rng)
        encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )[1]
        (folder / names[row]).write_bytes(encoded.tobytes())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = pool.map(write, range(len(names)))
        try:
            for _ in tqdm(
                jobs,
                total=len(names),
                desc="courtyard",
                unit="image",
                disable=None if progress else True,
            ):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for split, part in (("train", slice(0, train)), ("test", slice(train, None))):
        write_list(folder / f"dataset_{split}.txt", names[part], poses[part])
    _write_reconstruction(
        folder / "reconstruction.nvm", names, poses, world, np.random.default_rng([seed, 2])
    )


def walk(sequence: int, count: int, start: float = 4.1) -> Poses:
    """Return the poses of a walk on a spiral between the fountain and the walls.

    The three training walks (0 to 2) go round twice in the same lanes, one of them inwards, so that
    every light shows the whole courtyard: the light must not reveal the position. The test walk (3)
    goes round once between their lanes and looks up to 24 degrees away from their directions, like
    another visitor.

    Args:
        sequence: number of the walk, 0 to 3.
        count: number of poses.
        start: where the walk starts, radians from x towards y.

    Returns:
        `count` world_from_camera poses, meters.
    """
    test = sequence == TEST_SEQUENCE
    phase = 2.1 * sequence
    share = np.linspace(0, 1, count)
    if sequence == 1:
        share = share[::-1]
    rounds = 1 if test else 2
    angle = start + 2 * rounds * np.pi * share
    lane = 0.25 + share / 2 if test else share
    ring = np.clip(lane + 0.06 * np.sin(5 * angle + phase), 0, 1)
    height = EYE_HEIGHT + 0.05 * np.sin(7 * angle + phase) + 0.03 * np.sin(19 * angle)
    centers = np.column_stack(
        [(4.6 + 4.4 * ring) * np.cos(angle), (3.2 + 3.1 * ring) * np.sin(angle), height]
    )
    aside = 18 * np.sin(3 * angle + 3) if test else 6 * np.sin(3 * angle + phase)
    yaw = np.degrees(angle) + 120 + 45 * np.sin(2 * angle + 0.6) + aside
    pitch = 3 + 4 * np.sin(4 * angle + phase)
    roll = 2 * np.sin(5 * angle + 2 * phase)
    # An upright camera that looks along x.
    level = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    heading = Rotation.from_euler("ZYX", np.column_stack([yaw, -pitch, roll]), degrees=True)
    return Poses(centers, heading * level)


def _surface_points(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points (m, 3) spread evenly over all faces except people, and RGB colors (m, 3)."""
    areas = [np.linalg.norm(np.cross(face.across, face.down)) for face in world.faces]
    points, colors = [], []
    for index in rng.choice(len(areas), NUM_POINTS, p=np.array(areas) / np.sum(areas)):
        face = world.faces[index]
        s, t = rng.dirichlet(np.ones(len(face.outline))) @ np.array(face.outline)
        if face.outline is SQUARE:
            s, t = rng.uniform(0.01, 0.99, 2)
        rows, columns = face.texture.pixels.shape[:2]
        points.append(face.points(np.array([[s, t]]))[0])
        colors.append(face.texture.pixels[int(t * (rows - 1)), int(s * (columns - 1)), :3])
    return np.array(points), np.array(colors)


def _write_reconstruction(
    path: Path, names: list[str], poses: Poses, world: World, rng: np.random.Generator
) -> None:
    """Write a VisualSFM file with the cameras and surface points with exact measurements."""
    camera = courtyard_camera()
    points, colors = _surface_points(world, rng)
    tracks: list[list[tuple[int, int, float, float]]] = [[] for _ in points]
    for row in range(len(names)):
        position = poses.positions[row]
        rotation = poses.rotations[row]
        seen = np.flatnonzero(visible(points, camera, position, rotation, world.faces))
        local = rotation.inv().apply(points[seen] - position)
        for keypoint, (point, (x, y, depth)) in enumerate(zip(seen, local, strict=True)):
            tracks[point].append((row, keypoint, camera.fx * x / depth, camera.fy * y / depth))
    focals = np.full(len(names), camera.fx)
    write_nvm(
        path,
        names,
        poses,
        focals=focals,
        radials=np.zeros(len(names)),
        points=points,
        colors=colors,
        tracks=tracks,
    )
