"""Image retrieval: which training images are most similar to a query image?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.areas import Areas
from posenet.geometry.cropping import Crop
from posenet.geometry.poses import Poses
from posenet.io.files import best_effort_write
from posenet.io.image_cache import ImageArray, load_images
from posenet.io.images import DECODER_VERSION
from posenet.io.stored_arrays import DAMAGED, BlockArray, map_array, open_arrays, save_arrays
from posenet.mapping.descriptor_index import DescriptorIndex, open_index
from posenet.mapping.global_descriptors import nearest_neighbors
from posenet.mapping.parallel import NUM_CORES
from posenet.models.inference import BATCH, Network, predict_in_batches
from posenet.run import Run

if TYPE_CHECKING:
    import keras

GALLERY = "gallery.npz"
# Images whose descriptors are predicted before they are written.
BLOCK_IMAGES = 64 * BATCH
# Layers that average the backbone's last feature map, by the network's head.
POOLING_LAYERS = ("points_pool", "cls3_pool")
# Training images that vote for the area of a query.
ROUTING_NEIGHBORS = 10
# Neighbors that are found for every query: as many as refinement matches.
REMEMBERED_NEIGHBORS = 14


@dataclass(frozen=True, eq=False)
class Gallery:
    """The training images of a run with their global descriptors.

    Attributes:
        scene: n training images and their poses.
        descriptors: unit descriptors, shape (n, d), float16, usually memory-mapped.
        index: finds similar descriptors without comparing all; None compares all.
    """

    scene: Scene
    descriptors: np.ndarray
    index: DescriptorIndex | None = None
    # The last queries with their neighbors, which an image is routed, blended and refined with.
    _latest: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list, repr=False)

    def nearest(
        self, queries: np.ndarray, count: int = 1, *, usable: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the training images most similar to each query.

        Args:
            queries: unit descriptors, shape (q, d).
            count: number of images per query; all if there are fewer.
            usable: mask of the training images to choose from, shape (n,). Default: all.

        Returns:
            Indices of training images, most similar first, shape (q, count).
        """
        if usable is not None:
            return nearest_neighbors(self.descriptors, queries, count, usable=usable)
        latest, found = self._latest[0] if self._latest else (None, np.zeros((0, 0)))
        if latest is not queries or found.shape[1] < min(count, len(self.scene)):
            found = self._search(queries, max(count, REMEMBERED_NEIGHBORS))
            self._latest[:] = [(queries, found)]
        return found[:, :count]

    def _search(self, queries: np.ndarray, count: int) -> np.ndarray:
        if self.index is not None:
            return self.index.nearest(queries, count)
        threads = NUM_CORES if len(queries) == 1 else 1
        return nearest_neighbors(self.descriptors, queries, count, threads=threads)

    def nearest_poses(self, queries: np.ndarray, *, usable: np.ndarray | None = None) -> Poses:
        """Return the pose of the training image most similar to each query.

        Args:
            queries: unit descriptors, shape (q, d).
            usable: mask of the training images to choose from, shape (n,). Default: all.

        Returns:
            q poses.
        """
        poses: Poses = self.scene.poses[self.nearest(queries, usable=usable)[:, 0]]
        return poses

    def route(
        self, queries: np.ndarray, areas: Areas, *, usable: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the origin of the area that each query was probably taken in.

        Args:
            queries: unit descriptors, shape (q, d).
            areas: the areas of the scene.
            usable: mask of the training images that vote, shape (n,). Default: all.

        Returns:
            Origins in the world frame, shape (q, 3): of the area that most of the ten most similar
            training images belong to; of those with as many, that of the more similar image.
        """
        nearest = self.nearest(queries, ROUTING_NEIGHBORS, usable=usable)
        positions = self.scene.poses.positions[nearest.reshape(-1)]
        votes = areas.nearest(positions).reshape(nearest.shape)
        chosen = [Counter(row.tolist()).most_common(1)[0][0] for row in votes]
        origins: np.ndarray = areas.origins[chosen]
        return origins


def with_descriptor_output(network: keras.Model) -> keras.Model:
    """Add the output "pooled": the backbone's last features, averaged over the image.

    Args:
        network: a run's network.

    Returns:
        The network with one more output.
    """
    import keras  # not above: an exported network needs no Keras

    layer = next(layer for layer in network.layers if layer.name in POOLING_LAYERS)
    return keras.Model(network.input, {**network.output, "pooled": layer.output})


def normalize_descriptors(pooled: np.ndarray) -> np.ndarray:
    """Return unit descriptors from the output "pooled".

    Args:
        pooled: averaged features, shape (n, ...).

    Returns:
        Descriptors of unit length, shape (n, d), float32.
    """
    flat = pooled.reshape(len(pooled), -1).astype(np.float32)
    descriptors: np.ndarray = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return descriptors


def gallery_stamp(fingerprint: str, training: Scene) -> str:
    """Return what the descriptors of a gallery depend on.

    Args:
        fingerprint: fingerprint of the file that the network was loaded from.
        training: the training images.

    Returns:
        The stamp that a saved gallery must have.
    """
    return f"{DECODER_VERSION} {fingerprint} {training.files_digest()}"


def load_or_build_gallery(
    run: Run, network: Network, fingerprint: str, scene: Scene | None = None
) -> Gallery:
    """Return the run's training images with their descriptors, cached in RUN/gallery.npz.

    Names, poses and cameras of the training images are saved in the run folder too, so that the run
    can be used without its scene. Of images that were added to the run since, only those are
    predicted.

    Args:
        run: the run.
        network: its network with the output "pooled".
        fingerprint: fingerprint of the file that the network was loaded from.
        scene: the training images, if they are open already.

    Returns:
        The gallery.

    Raises:
        PoseNetError: the training images are required and not there any more.
    """
    training = scene or run.training_scene(need_images=False)
    run.save_training_scene(training)
    stamp = gallery_stamp(fingerprint, training)
    path = run.folder / GALLERY
    saved = _open_gallery(path, stamp, len(training))
    if saved is None:
        training.require_images(f"making {path}")
        start = _open_start(path, fingerprint, training)
        known = start.images if start else 0
        images = load_images(training.paths[known:], run.crop.resized, "training images")
        saved = _build_gallery(path, stamp, network, images, run.crop, start)
    rows, descriptors = saved
    if len(rows) < len(training):
        training = training.subset(rows)
    return Gallery(training, descriptors, open_index(path, "descriptors", descriptors))


class _Start(NamedTuple):
    """A gallery of the first of the training images, to which others were added."""

    images: int  # number of those images
    rows: np.ndarray  # those with descriptors
    descriptors: np.ndarray


def _open_start(path: Path, fingerprint: str, training: Scene) -> _Start | None:
    """Return a saved gallery of the same network and the first training images, None if none is."""
    try:
        with open_arrays(path) as saved:
            images = int(saved["rows"][-1]) + 1
    except DAMAGED:
        return None
    if images >= len(training):
        return None
    start = training.subset(np.arange(images))
    opened = _open_gallery(path, gallery_stamp(fingerprint, start), images)
    return _Start(images, *opened) if opened else None


def _open_gallery(path: Path, stamp: str, num_images: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return rows and descriptors of a saved gallery; None if it is missing, old or damaged."""
    try:
        with open_arrays(path) as saved:
            if str(saved["stamp"]) != stamp:
                return None
            rows = saved["rows"]
        descriptors = map_array(path, "descriptors")
    except DAMAGED:
        return None
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
        return None
    if descriptors.ndim != 2 or len(descriptors) != len(rows) or descriptors.dtype != np.float16:
        return None
    is_ordered = rows[0] >= 0 and (np.diff(rows) > 0).all() and rows[-1] < num_images
    return (rows, descriptors) if is_ordered else None


def _build_gallery(
    path: Path,
    stamp: str,
    network: Network,
    images: ImageArray,
    crop: Crop,
    start: _Start | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the descriptors of images block by block, and write them as they come."""
    new = _predict_descriptors(network, images, crop)
    blocks = chain(_copy_blocks(start.descriptors), new) if start else new
    first = next(blocks)
    rows = images.scene_rows
    if start:
        rows = np.concatenate([start.rows, start.images + rows])
    array = BlockArray((len(rows), first.shape[1]), np.float16, chain([first], blocks))
    with best_effort_write(path) as temporary, open(temporary, "wb") as file:
        save_arrays(file, {"stamp": np.array(stamp), "rows": rows, "descriptors": array})
    saved = _open_gallery(path, stamp, int(rows[-1]) + 1)
    if saved is not None:
        return saved
    # It cannot be written: the descriptors stay in memory.
    own = [start.descriptors] if start else []
    return rows, np.concatenate([*own, *_predict_descriptors(network, images, crop)])


def _copy_blocks(descriptors: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the descriptors of consecutive images."""
    for first in range(0, len(descriptors), BLOCK_IMAGES):
        yield np.array(descriptors[first : first + BLOCK_IMAGES])


def _predict_descriptors(network: Network, images: ImageArray, crop: Crop) -> Iterator[np.ndarray]:
    """Yield the descriptors of consecutive images, shapes (k, d), float16."""
    size = min(BATCH, len(images))
    for start in range(0, len(images), BLOCK_IMAGES):
        block = images.subset(np.arange(start, min(start + BLOCK_IMAGES, len(images))))
        pooled = predict_in_batches(network, block, crop, batch_size=size)["pooled"]
        yield normalize_descriptors(pooled).astype(np.float16)
