"""Triangulate 3-D points from images of known pose: keypoints are matched between neighbors.

Images are worked through in blocks of images near each other. Keypoints and matches are on the disk
from the first block that requires them to the last, so that neither memory nor disk grows with the
number of images by more than what lies along the border between finished and unfinished blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping.keypoint_store import KeypointStore, MatchStore, to_arrays
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.neighbors import pairs_from_poses
from posenet.mapping.parallel import Arrays, require_seen, run_tasks
from posenet.mapping.rays import triangulate_rays, world_rays
from posenet.mapping.sweep import BLOCK_IMAGES, Sweep, plan_sweep

log = logging.getLogger("posenet")

# Neighbors that an image is matched with, by rank of distance among those with a similar viewing
# direction. Near ones match best, distant ones determine depth best.
NEIGHBOR_RANKS = (2, 5, 9, 15, 24, 40)
# Sine of the smallest angle between rays that determines depth: 1 degree.
MIN_PARALLAX = np.sin(np.radians(1.0))
# Largest reprojection error of a triangulated point, pixels.
MAX_ERROR_PIXELS = 3.0
# Bytes of a stored keypoint.
KEYPOINT_BYTES = 136


@dataclass(frozen=True, eq=False)
class Observations:
    """What an image observes of the scene: its keypoints that were triangulated.

    Attributes:
        keypoints: n keypoints.
        points: their 3-D points in the world frame, scene units, shape (n, 3).
    """

    keypoints: Keypoints
    points: np.ndarray


class ObservedBlock(NamedTuple):
    """What a block of images observes.

    Attributes:
        number: number of the block.
        rows: indices of its images, shape (k,).
        observations: what each of them observes.
    """

    number: int
    rows: np.ndarray
    observations: list[Observations]


class NeighborMatches(NamedTuple):
    """Matches of an image with one neighbor.

    Attributes:
        neighbor: index of the neighbor.
        own: rows of the image's keypoints, shape (k,).
        other: rows of the neighbor's keypoints, shape (k,).
    """

    neighbor: int
    own: np.ndarray
    other: np.ndarray


@dataclass(frozen=True)
class _Detect:
    """A task: detect the keypoints of an image file."""

    max_keypoints: int
    cache: KeypointCache | None = None
    on_worker: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the cache, which is larger than the images."""
        return _Detect, (self.max_keypoints, None, True)

    def __call__(self, item: tuple[Path, Camera | None]) -> Arrays:
        path, camera = item
        if self.on_worker:  # an image that is not there has no keypoints, which is not an error
            require_seen(path)
        detected = detect_or_empty(path, camera, self.max_keypoints, cache=self.cache)
        return to_arrays(detected)


@dataclass(frozen=True)
class _Match:
    """A task: match the stored keypoints of two images."""

    store: KeypointStore

    def __call__(self, pair: tuple[int, int]) -> Arrays:
        # Converted for each pair: as floats all descriptors would take four times the memory.
        first, second = (root_sift(self.store.load(row).descriptors) for row in pair)
        found = match(first, second)
        return found.first.astype(np.uint16), found.second.astype(np.uint16)


class _ImageMatches(NamedTuple):
    """An image with its neighbors: their indices, the image first, their poses and its matches.

    The neighbors of matches are places in the list of indices.
    """

    rows: list[int]
    poses: Poses
    matches: list[NeighborMatches]


@dataclass(frozen=True)
class _Triangulate:
    """A task: triangulate the stored keypoints of an image."""

    store: KeypointStore

    def __call__(self, item: _ImageMatches) -> Observations:
        def load(place: int) -> Keypoints:
            return self.store.load(item.rows[place])

        return triangulate_image(0, load, item.poses, item.matches)


def triangulate_scene(
    scene: Scene,
    max_keypoints: int = 1200,
    *,
    ranks: Iterable[int] = NEIGHBOR_RANKS,
    cache: KeypointCache | None = None,
) -> list[Observations]:
    """Triangulate the points that each image of a scene observes, all in memory.

    Args:
        scene: n images of known pose.
        max_keypoints: largest number of keypoints per image.
        ranks: which neighbors are matched.
        cache: keypoints that were detected before.

    Returns:
        The observations of each image; none for images that do not decode or without intrinsics.
    """
    observed: dict[int, Observations] = {}
    for block in triangulate_blocks(scene, max_keypoints, ranks=ranks, cache=cache):
        observed.update(zip(block.rows.tolist(), block.observations, strict=True))
    return [observed[row] for row in range(len(scene))]


def triangulate_blocks(
    scene: Scene,
    max_keypoints: int = 1200,
    *,
    ranks: Iterable[int] = NEIGHBOR_RANKS,
    checkpoint: Path | None = None,
    cache: KeypointCache | None = None,
    is_finished: Callable[[int], bool] | None = None,
    mapped: Sequence[Keypoints] = (),
) -> Iterator[ObservedBlock]:
    """Triangulate the points that the images of a scene observe, block by block.

    Images without intrinsics are nobody's neighbors. Images that do not decode or show nothing are
    found too late for that: their neighbors are matched with fewer images.

    Args:
        scene: n images of known pose.
        max_keypoints: largest number of keypoints per image.
        ranks: which neighbors are matched.
        checkpoint: folder for keypoints and matches, so that interrupted work resumes; it must not
            contain those of other work. By default a temporary one.
        cache: keypoints that were detected before.
        is_finished: returns whether the results of a block are not needed any more, for a number
            of a block. By default all are needed.
        mapped: the keypoints of the first k images, which are matched but not triangulated.

    Yields:
        The blocks in any order of the images. When the next block is asked for, the last one must
        have been saved: what only it required is deleted.
    """
    rows = np.flatnonzero([_known(camera) is not None for camera in scene.cameras])
    pairs = rows[pairs_from_poses(scene.poses[rows], ranks)]
    # The second is the larger index.
    sweep = plan_sweep(scene.poses, pairs[pairs[:, 1] >= len(mapped)], len(mapped))
    gigabytes = sweep.max_stored_images * max_keypoints * KEYPOINT_BYTES / 1e9
    if gigabytes > 1:
        log.info("unfinished work takes up to %.0f GB of disk, besides the points", gigabytes)
    with ExitStack() as stack:
        folder = checkpoint or Path(stack.enter_context(TemporaryDirectory(prefix="posenet-")))
        work = _Work(scene, sweep, folder, _Detect(max_keypoints, cache), mapped)
        for block in range(sweep.num_blocks):
            if is_finished is None or not is_finished(block):
                yield work.triangulate(block)
            work.release(block)


class _Work:
    """The steps of a block."""

    def __init__(
        self,
        scene: Scene,
        sweep: Sweep,
        folder: Path,
        detect: _Detect,
        mapped: Sequence[Keypoints],
    ) -> None:
        self.scene = scene
        self.sweep = sweep
        self.detect = detect
        self.mapped = mapped
        self.keypoints = KeypointStore(folder)
        self.matches = MatchStore(folder)
        self._done = 0

    def triangulate(self, block: int) -> ObservedBlock:
        """Detect and match what is missing, and triangulate the images of a block."""
        pairs = self.sweep.pairs_of(block)
        rows = self.sweep.rows_of(block)
        self._detect(np.union1d(self.sweep.pairs[pairs], rows))
        by_image: dict[int, list[NeighborMatches]] = {row: [] for row in rows.tolist()}
        matches = self._match(block, pairs)
        for (first, second), (own, other) in zip(
            self.sweep.pairs[pairs].tolist(), matches, strict=True
        ):
            if first in by_image:
                by_image[first].append(NeighborMatches(second, own, other))
            if second in by_image:
                by_image[second].append(NeighborMatches(first, other, own))
        items = [self._with_neighbors(row, found) for row, found in by_image.items()]
        task = _Triangulate(self.keypoints)
        observations = list(run_tasks(task, items, self._label("triangulation")))
        return ObservedBlock(block, rows, observations)

    def release(self, block: int) -> None:
        """Delete what no later block requires."""
        self._done += len(self.sweep.rows_of(block))
        for row in self.sweep.rows_released_by(block).tolist():
            self.keypoints.remove(row)
        for other in self.sweep.matches_released_by(block).tolist():
            self.matches.remove(other)

    def _detect(self, rows: np.ndarray) -> None:
        """Store the keypoints that are not stored: those of a map, or else detected ones."""
        missing = [row for row in rows.tolist() if not self.keypoints.contains(row)]
        for row in missing:
            if row < len(self.mapped):
                self.keypoints.save(row, to_arrays(self.mapped[row]))
        missing = [row for row in missing if row >= len(self.mapped)]
        # A worker may have another working folder.
        files = [self.scene.paths[row].absolute() for row in missing]
        cameras = [_known(self.scene.cameras[row]) for row in missing]
        items = list(zip(files, cameras, strict=True))
        results = run_tasks(self.detect, items, self._label("keypoints"))
        for row, arrays in zip(missing, results, strict=True):
            self.keypoints.save(row, arrays)

    def _match(self, block: int, pairs: np.ndarray) -> list[Arrays]:
        """Return the matches of pairs; those that are not stored are matched and stored."""
        stored: dict[int, Arrays] = {}
        for other in np.unique(self.sweep.matched_in[pairs]).tolist():
            stored |= self.matches.load(other)
        missing = [pair for pair in pairs.tolist() if pair not in stored]
        items = [tuple(pair) for pair in self.sweep.pairs[missing].tolist()]
        results = run_tasks(_Match(self.keypoints), items, self._label("matching"))
        stored |= self.matches.save_all(block, missing, results)
        return [stored[pair] for pair in pairs.tolist()]

    def _with_neighbors(self, row: int, matches: list[NeighborMatches]) -> _ImageMatches:
        rows = [row, *(found.neighbor for found in matches)]
        numbered = [found._replace(neighbor=1 + place) for place, found in enumerate(matches)]
        return _ImageMatches(rows, self.scene.poses[rows], numbered)

    def _label(self, name: str) -> str:
        """Return the name of a progress bar."""
        total = len(self.scene)
        return name if total <= BLOCK_IMAGES else f"{name}, {self._done} of {total} images done"


def _known(camera: Camera | None) -> Camera | None:
    """Return a camera if its focal length is known."""
    return camera if camera is not None and camera.has_known_focal_length else None


def triangulate_image(
    row: int,
    load: Callable[[int], Keypoints],
    poses: Poses,
    matches: Sequence[NeighborMatches],
) -> Observations:
    """Place an image's keypoints on their rays, where most neighbors' rays pass closest.

    Args:
        row: index of the image.
        load: returns the keypoints of an image, by index.
        poses: the poses of all images.
        matches: its matches with its neighbors.

    Returns:
        The keypoints that were triangulated.
    """
    own = load(row)
    rays = world_rays(own.rays, poses, row)
    center = poses.positions[row]
    inverse = np.full((len(own), max(1, len(matches))), np.nan)  # 1 / distance, by each neighbor
    parallax = np.zeros_like(inverse)
    for column, (neighbor, own_rows, other_rows) in enumerate(matches):
        other = load(neighbor)
        other_rays = world_rays(other.rays[other_rows], poses, neighbor)
        found = triangulate_rays(center, rays[own_rows], poses.positions[neighbor], other_rays)
        good = (
            (found.distances > 0)
            & (found.parallax > MIN_PARALLAX)
            & (found.misses < MAX_ERROR_PIXELS * other.pixel)
        )
        inverse[own_rows[good], column] = 1 / found.distances[good]
        parallax[own_rows[good], column] = found.parallax[good]
    median = _row_median(inverse)
    # An error of a pixel in the neighbor changes 1 / distance by about
    # pixel / (parallax * distance).
    agree = (
        np.abs(inverse - median[:, None]) * np.maximum(parallax, 1e-9)
        < 2 * MAX_ERROR_PIXELS * own.pixel * median[:, None]
    )
    weight = np.where(agree, parallax**2, 0)
    largest = np.where(agree, parallax, 0).max(axis=1)
    count = agree.sum(axis=1)
    good = (count >= 2) | ((count == 1) & (largest > 2 * MIN_PARALLAX))
    weighted = np.where(agree, inverse, 0)[good] * weight[good]
    distances = weight[good].sum(axis=1) / weighted.sum(axis=1)
    return Observations(own[good], center + distances[:, None] * rays[good])


def _row_median(values: np.ndarray) -> np.ndarray:
    """Return the lower medians of rows (n, m), NaN for rows without a number."""
    ordered = np.sort(values, axis=1)  # NaN last
    counts = np.isfinite(values).sum(axis=1)
    return ordered[np.arange(len(values)), np.maximum(counts - 1, 0) // 2]
