"""The landmark map of a run: what each training image observes of the scene's 3-D points."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.io.files import atomic_directory, write_text
from posenet.io.images import DECODER_VERSION
from posenet.io.json_files import read_json
from posenet.io.stored_arrays import DAMAGED
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.landmark_arrays import (
    Cameras,
    PackedDescriptors,
    PackedPoints,
    PackedRays,
)
from posenet.mapping.landmark_writer import (
    count_points,
    is_saved,
    save_block,
    save_mapped,
    write_arrays,
)
from posenet.mapping.map_check import check_map
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import in_parallel
from posenet.mapping.triangulation import Observations, triangulate_blocks

log = logging.getLogger("posenet")

Value = TypeVar("Value")

LANDMARKS = "landmarks"
UNFINISHED = "landmarks.unfinished"
# A finished map, before it replaces the map.
NEW = "landmarks.new"
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
# Raised whenever the same images give another map.
VERSION = 3
ARRAYS = ("starts", "pixels", "origin", "rays", "descriptors")
PACKED_ARRAYS = ("distances", "ray_scales", "log_distances", "positions", "quaternions")
# Version of maps whose arrays are not packed, which are read too.
UNPACKED_VERSION = 2
# Largest number of points that are drawn.
MAX_DRAWN = 500_000


@dataclass(frozen=True, eq=False)
class Landmarks:
    """m keypoints of n images with the 3-D points that they show, memory-mapped.

    The rows of points, rays and descriptors are read by slices or indices; reading decodes them.

    Attributes:
        starts: where the rows of each image start, shape (n + 1,).
        points: the points relative to `origin`, shape (m, 3).
        origin: a point of the world frame, shape (3,), float64.
        rays: the keypoints on the plane z = 1, shape (m, 2), float32.
        descriptors: SIFT, shape (m, 128), uint8.
        pixels: width of a pixel on that plane for each image, shape (n,).
    """

    starts: np.ndarray
    points: np.ndarray | PackedPoints
    origin: np.ndarray
    rays: np.ndarray | PackedRays
    descriptors: np.ndarray | PackedDescriptors
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
        return Observations(keypoints, self.points_of(row))

    def points_of(self, row: int) -> np.ndarray:
        """Return the points that one image observes.

        Args:
            row: index of the image.

        Returns:
            Points in the world frame, shape (k, 3).
        """
        rows = slice(self.starts[row], self.starts[row + 1])
        points: np.ndarray = self.origin + self.points[rows]
        return points

    @property
    def observed_keypoints(self) -> OnDemand[Keypoints]:
        """The keypoints of each image that have points."""
        return OnDemand(lambda row: self.observations(row).keypoints, np.arange(len(self.pixels)))

    def observed_points(self, rows: np.ndarray) -> OnDemand[np.ndarray]:
        """Return the points that each of some images observes, read when they are needed.

        Args:
            rows: indices of the images.

        Returns:
            Points in the world frame, shapes (k, 3).
        """
        return OnDemand(self.points_of, rows)

    @property
    def megabytes(self) -> float:
        """Size on disk in millions of bytes."""
        return sum(array.nbytes for array in (self.points, self.rays, self.descriptors)) / 1e6


class OnDemand(Sequence[Value]):
    """A value for each of some images, read whenever it is asked for."""

    def __init__(self, read: Callable[[int], Value], rows: np.ndarray) -> None:
        """Choose images.

        Args:
            read: returns the value of an image.
            rows: indices of the images.
        """
        self._read = read
        self._rows = rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> OnDemand[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | OnDemand[Value]:
        """Return the value of one image, or those of some of the images."""
        if isinstance(place, slice):
            return OnDemand(self._read, self._rows[place])
        return self._read(int(self._rows[place]))


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
        The points in the world frame, shape (n, 3), an even choice of half a million if there are
        more; None if there is no map or it is damaged.
    """
    landmarks = load_any_landmarks(landmarks_folder(run_folder))
    if landmarks is None:
        return None
    step = max(1, -(-len(landmarks.points) // MAX_DRAWN))
    moved: np.ndarray = landmarks.origin + landmarks.points[::step]
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
    stamps = _stamps(training)
    loaded = _load_map(landmarks_folder(run_folder), stamps)
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
        _build(run_folder, training, stamps[0], start, cache)
    except PoseNetError:
        if _load_map(target, stamps) is None:  # otherwise another process was faster
            raise
    built = _load_map(target, stamps)
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
    return _load_map(folder, None)


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


def _build(
    run_folder: Path,
    training: Scene,
    stamp: str,
    start: Landmarks | None,
    cache: KeypointCache | None,
) -> None:
    checkpoint = _open_checkpoint(run_folder / UNFINISHED, stamp)
    blocks = triangulate_blocks(
        training,
        MAX_KEYPOINTS,
        ranks=RANKS,
        checkpoint=checkpoint,
        cache=cache,
        is_finished=partial(is_saved, checkpoint),
        mapped=start.observed_keypoints if start is not None else (),
    )
    for block in blocks:
        save_block(checkpoint, block, training.poses)
    if start is not None:
        save_mapped(checkpoint, start.observations, len(start.pixels), training.poses)
    total = int(count_points(checkpoint, len(training)).sum())
    if total < MIN_PER_IMAGE * len(training):
        raise PoseNetError(
            f"refinement requires at least {MIN_PER_IMAGE} shared 3-D points per training image; "
            f"the {count(len(training), 'image')} in {training.root} share only {total}"
        )
    # The map that is extended is read until its successor is written.
    new = run_folder / NEW
    shutil.rmtree(new, ignore_errors=True)
    with atomic_directory(new) as unfinished:
        write_arrays(checkpoint, unfinished, training.poses)
        (unfinished / INFO).write_text(json.dumps({"stamp": stamp}) + "\n")
    shutil.rmtree(landmarks_folder(run_folder), ignore_errors=True)
    new.rename(run_folder / LANDMARKS)
    shutil.rmtree(run_folder / UNFINISHED, ignore_errors=True)


def _load_start(run_folder: Path, training: Scene) -> Landmarks | None:
    """Return a map of the first of the training images; None if there is none."""
    folder = landmarks_folder(run_folder)
    start = load_any_landmarks(folder)
    if start is None or len(start.pixels) >= len(training):
        return None
    return _load_map(folder, _stamps(training.subset(np.arange(len(start.pixels)))))


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


def _load_map(folder: Path, stamps: Sequence[str] | None) -> Landmarks | None:
    """Return the map in a folder; None if there is none, it has another stamp, or is damaged."""
    try:
        stamp = read_json(folder / INFO)["stamp"]
        if stamps is not None and stamp not in stamps:
            return None
        is_packed = (folder / "distances.npy").is_file()
        names = (*ARRAYS, *PACKED_ARRAYS) if is_packed else (*ARRAYS, "points")
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in names
        }
        check_map(arrays)
    except DAMAGED:
        return None
    return _unpack(arrays) if is_packed else Landmarks(**arrays)


def _unpack(arrays: dict[str, np.ndarray]) -> Landmarks:
    starts = arrays["starts"]
    rays = PackedRays(arrays["rays"], starts, arrays["ray_scales"])
    cameras = Cameras(arrays["positions"], arrays["quaternions"], arrays["log_distances"])
    return Landmarks(
        starts=starts,
        points=PackedPoints(arrays["distances"], rays, cameras),
        origin=arrays["origin"],
        rays=rays,
        descriptors=PackedDescriptors(arrays["descriptors"]),
        pixels=arrays["pixels"],
    )


def _stamps(training: Scene) -> list[str]:
    """Return the fingerprints of maps of these images that can be read, that of new ones first."""
    digest = training.digest()
    return [
        f"{digest} {version} {DECODER_VERSION} {MAX_KEYPOINTS} {RANKS}"
        for version in (VERSION, UNPACKED_VERSION)
    ]
