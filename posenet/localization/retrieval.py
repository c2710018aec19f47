"""Image retrieval: which training images are most similar to a query image?"""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.areas import Areas
from posenet.geometry.poses import Poses
from posenet.io.files import best_effort_write
from posenet.io.image_cache import load_images
from posenet.io.images import DECODER_VERSION
from posenet.mapping.global_descriptors import nearest_neighbors
from posenet.models.inference import Network, predict_in_batches
from posenet.run import Run

if TYPE_CHECKING:
    import keras

GALLERY = "gallery.npz"
# Layers that average the backbone's last feature map, by the network's head.
POOLING_LAYERS = ("points_pool", "cls3_pool")
# Training images that vote for the area of a query.
ROUTING_NEIGHBORS = 10


@dataclass(frozen=True, eq=False)
class Gallery:
    """The training images of a run with their global descriptors.

    Attributes:
        scene: n training images and their poses.
        descriptors: unit descriptors, shape (n, d), float32.
    """

    scene: Scene
    descriptors: np.ndarray

    def nearest(self, queries: np.ndarray, count: int = 1) -> np.ndarray:
        """Return the training images most similar to each query.

        Args:
            queries: unit descriptors, shape (q, d).
            count: number of images per query.

        Returns:
            Indices of training images, most similar first, shape (q, count).
        """
        return nearest_neighbors(self.descriptors, queries, count)

    def nearest_poses(self, queries: np.ndarray) -> Poses:
        """Return the pose of the training image most similar to each query.

        Args:
            queries: unit descriptors, shape (q, d).

        Returns:
            q poses.
        """
        poses: Poses = self.scene.poses[self.nearest(queries)[:, 0]]
        return poses

    def route(self, queries: np.ndarray, areas: Areas) -> np.ndarray:
        """Return the origin of the area that each query was probably taken in.

        Args:
            queries: unit descriptors, shape (q, d).
            areas: the areas of the scene.

        Returns:
            Origins in the world frame, shape (q, 3): of the area that most of the ten most similar
            training images belong to; of those with as many, that of the more similar image.
        """
        nearest = self.nearest(queries, min(ROUTING_NEIGHBORS, len(self.scene)))
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


def load_or_build_gallery(
    run: Run, network: Network, fingerprint: str, scene: Scene | None = None
) -> Gallery:
    """Return the run's training images with their descriptors, cached in RUN/gallery.npz.

    Names, poses and cameras of the training images are saved in the run folder too, so that the run
    can be used without its scene.

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
    stamp = f"{DECODER_VERSION} {fingerprint} {training.files_digest()}"
    path = run.folder / GALLERY
    try:
        with np.load(path, allow_pickle=False) as saved:
            if str(saved["stamp"]) == stamp:
                descriptors = saved["descriptors"].astype(np.float32)
                return Gallery(training.subset(saved["rows"]), descriptors)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # there is none, or it is damaged
    training.require_images(f"making {path}")
    images = load_images(training.paths, run.crop.resized, "training images")
    pooled = predict_in_batches(network, images, run.crop)["pooled"]
    # Stored as float16: the same whether the gallery was just built or loaded.
    stored = normalize_descriptors(pooled).astype(np.float16)
    with best_effort_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, stamp=stamp, rows=images.scene_rows, descriptors=stored)
    return Gallery(training.subset(images.scene_rows), stored.astype(np.float32))
