"""The landmark map of a run: what each training image observes of the scene's 3-D points."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.io.files import atomic_directory, load_stamped, write_text
from posenet.io.images import DECODER_VERSION
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import in_parallel
from posenet.mapping.triangulation import Observations, triangulate_scene

log = logging.getLogger("posenet")

LANDMARKS = "landmarks"
UNFINISHED = "landmarks.unfinished"
# An extended map, before it replaces the map.
EXTENDED = "landmarks.extended"
# Where runs made before 0.1.0 have their map.
OLD_LANDMARKS = "map"
INFO = "map.json"
# Largest number of keypoints per image, and the neighbors that each image is matched with.
MAX_KEYPOINTS = 2500
RANKS = (1, 3, 6, 10, 16, 25, 40)
# Number of images by which the time of building is estimated.
TRIED_IMAGES = 6
# Fewest landmarks per image of a useful map.
MIN_PER_IMAGE = 10
ARRAYS = ("starts", "points", "origin", "rays", "descriptors", "pixels")
# Raised whenever the same images give another map.
VERSION = 2


@dataclass(frozen=True, eq=False)
class Landmarks:
    """m keypoints of n images with the 3-D points that they show, memory-mapped.

    Attributes:
        starts: where the rows of each image start, shape (n + 1,).
        points: the points relative to `origin`, shape (m, 3), float32.
        origin: a point of the world frame, shape (3,), float64. The world's own origin may be too
            far away for float32.
        rays: the keypoints on the plane z = 1, shape (m, 2), float32.
        descriptors: SIFT, shape (m, 128), uint8.
        pixels: width of a pixel on that plane for each image, shape (n,).
    """

    starts: np.ndarray
    points: np.ndarray
    origin: np.ndarray
    rays: np.ndarray
    descriptors: np.ndarray
    pixels: np.ndarray

    def observations(self, row: int) -> Observations:
        """Return what one image observes.

        Args:
            row: index of the image.

        Returns:
            Its keypoints and their points in the world frame.
        """
        rows = slice(self.starts[row], self.starts[row + 1])
        keypoints = Keypoints(
            np.array(self.rays[rows], float),
            np.array(self.descriptors[rows]),
            float(self.pixels[row]),
        )
        return Observations(keypoints, self.origin + self.points[rows])

    @property
    def megabytes(self) -> float:
        """Size on disk in millions of bytes."""
        return sum(array.nbytes for array in (self.points, self.rays, self.descriptors)) / 1e6


def landmarks_folder(run_folder: Path) -> Path:
    """Return the folder of a run's map: that of a run made before 0.1.0, if it has only that.

    Args:
        run_folder: the run folder.

    Returns:
        The folder, which need not exist.
    """
    new = run_folder / LANDMARKS
    old = run_folder / OLD_LANDMARKS
    return old if (old / INFO).is_file() and not new.exists() else new


def read_map_points(run_folder: Path) -> np.ndarray | None:
    """Read the 3-D points of a run's map, to draw them.

    Args:
        run_folder: the run folder.

    Returns:
        The points in the world frame, shape (n, 3); None if there is no map or it is damaged.
    """
    folder = landmarks_folder(run_folder)
    try:
        origin, points = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("origin", "points")
        )
        moved: np.ndarray = points + origin
    except (OSError, ValueError, EOFError):
        return None
    return moved


def can_have_landmarks(training: Scene) -> bool:
    """Return whether the intrinsics of any training image are known, which a map requires.

    Args:
        training: the training images.

    Returns:
        False if there is nothing to triangulate from.
    """
    return any(camera and camera.has_known_focal_length for camera in training.cameras)


def load_or_build_landmarks(
    run_folder: Path, training: Scene, *, cache: KeypointCache | None = None
) -> Landmarks:
    """Return the landmarks of a run's training images; build the map if it is missing or outdated.

    A map of the first of these images, to which others were added, is extended.

    Args:
        run_folder: the run folder.
        training: the training images.
        cache: keypoints that were detected before.

    Returns:
        The landmarks.

    Raises:
        PoseNetError: the intrinsics are unknown, hardly any point can be triangulated, or the map
            must be built and the images are not there.
    """
    stamp = _stamp(training)
    loaded = _load_map(landmarks_folder(run_folder), stamp)
    if loaded is not None:
        return loaded
    if not can_have_landmarks(training):
        raise PoseNetError(
            f"--refine requires the intrinsics of the training images, {training.root} has none"
        )
    training.require_images("building the landmark map")
    start = _load_start(run_folder, training)
    if start is not None:
        added = count(len(training) - len(start.pixels), "training image")
        log.info("extending the map by %s", added)
    else:
        log.info("building the map of %s", count(len(training), "training image"))
    target = run_folder / LANDMARKS
    try:
        if start is not None:
            _extend(run_folder, training, stamp, start, cache)
        else:
            _build(run_folder, training, stamp, cache)
    except PoseNetError:
        if _load_map(target, stamp) is None:  # otherwise another process was faster
            raise
    built = _load_map(target, stamp)
    if built is None:
        raise PoseNetError(f"{target} is being built by another process: try again")
    log.info("written: %s, %d points, %.0f MB", target, len(built.points), built.megabytes)
    return built


def load_any_landmarks(folder: Path) -> Landmarks | None:
    """Return the map in a folder whatever images it was built of, to look at it.

    Args:
        folder: the folder, which need not exist.

    Returns:
        The map; None if there is none, or it is damaged.
    """
    try:
        stamp = json.loads((folder / INFO).read_text(encoding="utf-8"))["stamp"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _load_map(folder, stamp)


def estimate_build_seconds(training: Scene, *, cache: KeypointCache | None = None) -> float:
    """Estimate how long building a map takes on this machine, by a few of its images.

    Args:
        training: the training images.
        cache: receives the keypoints that are detected.

    Returns:
        Seconds.
    """
    rows = np.unique(np.linspace(0, len(training) - 1, TRIED_IMAGES).round().astype(int)).tolist()

    def detect_row(row: int) -> Keypoints:
        camera = training.cameras[row]
        return detect_or_empty(training.paths[row], camera, MAX_KEYPOINTS, cache=cache)

    def match_row(keypoints: Keypoints) -> None:
        descriptors = root_sift(keypoints.descriptors)
        match(descriptors, descriptors)

    started = time.monotonic()
    found = in_parallel(detect_row, rows, "keypoints")
    detected = time.monotonic()
    in_parallel(match_row, found, "matching")
    matched = time.monotonic()
    per_image = (detected - started + len(RANKS) * (matched - detected)) / len(rows)
    return per_image * len(training)


def _build(run_folder: Path, training: Scene, stamp: str, cache: KeypointCache | None) -> None:
    checkpoint = _open_checkpoint(run_folder / UNFINISHED, stamp)
    observations = triangulate_scene(
        training, MAX_KEYPOINTS, ranks=RANKS, checkpoint=checkpoint, cache=cache
    )
    total = sum(len(observed.points) for observed in observations)
    if total < MIN_PER_IMAGE * len(observations):
        raise PoseNetError(
            f"refinement requires at least {MIN_PER_IMAGE} shared 3-D points per training image; "
            f"the {count(len(observations), 'image')} in {training.root} share only {total}"
        )
    shutil.rmtree(run_folder / LANDMARKS, ignore_errors=True)
    with atomic_directory(run_folder / LANDMARKS) as unfinished:
        _write(unfinished, observations, training.poses.positions.mean(axis=0), stamp)
    shutil.rmtree(run_folder / UNFINISHED, ignore_errors=True)


def _load_start(run_folder: Path, training: Scene) -> Landmarks | None:
    """Return a map of the first of the training images; None if there is none."""
    folder = landmarks_folder(run_folder)
    start = load_any_landmarks(folder)
    if start is None or len(start.pixels) >= len(training):
        return None
    stamp = _stamp(training.subset(np.arange(len(start.pixels))))
    return _load_map(folder, stamp)


def _extend(
    run_folder: Path, training: Scene, stamp: str, start: Landmarks, cache: KeypointCache | None
) -> None:
    from posenet.mapping.map_extension import triangulate_new_images  # imports this module

    new = triangulate_new_images(training, start, cache=cache)
    old = [start.observations(row) for row in range(len(start.pixels))]
    extended = run_folder / EXTENDED
    shutil.rmtree(extended, ignore_errors=True)
    with atomic_directory(extended) as unfinished:
        _write(unfinished, [*old, *new], start.origin, stamp)
    shutil.rmtree(landmarks_folder(run_folder), ignore_errors=True)
    extended.rename(run_folder / LANDMARKS)


def _open_checkpoint(folder: Path, stamp: str) -> Path:
    """Return the folder with finished parts of the same map; empty if there are none."""
    try:
        if (folder / "stamp").read_text() == stamp:
            return folder
    except (OSError, ValueError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(
            f"refinement must write {folder}, which cannot be made: {error.strerror}"
        ) from None
    write_text(folder / "stamp", stamp)
    return folder


def _write(folder: Path, observations: list[Observations], origin: np.ndarray, stamp: str) -> None:
    counts = [len(observed.points) for observed in observations]
    points = np.concatenate([observed.points - origin for observed in observations])
    keypoints = [observed.keypoints for observed in observations]
    arrays = {
        "origin": origin,
        "points": points.astype(np.float32),
        "rays": np.concatenate([found.rays for found in keypoints]).astype(np.float32),
        "descriptors": np.concatenate([found.descriptors for found in keypoints]),
        "starts": np.concatenate([[0], np.cumsum(counts)]),
        "pixels": np.array([found.pixel for found in keypoints]),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / INFO).write_text(json.dumps({"stamp": stamp}) + "\n")


def _load_map(folder: Path, stamp: str) -> Landmarks | None:
    """Return the map in a folder; None if there is none, it is of other images, or damaged."""
    if load_stamped(folder / INFO, stamp) is None:
        return None
    try:
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
        rows = len(arrays["points"])
        is_complete = (
            len(arrays["rays"]) == rows
            and len(arrays["descriptors"]) == rows
            and len(arrays["starts"]) == len(arrays["pixels"]) + 1
            and arrays["starts"][-1] == rows
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError):
        return None
    return Landmarks(**arrays) if is_complete else None


def _stamp(training: Scene) -> str:
    """Return the fingerprint of a map: its images, and how it is built."""
    return f"{training.digest()} {VERSION} {DECODER_VERSION} {MAX_KEYPOINTS} {RANKS}"
