"""The training images as a network sees them: which of them are most like a new one?"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import keras
import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.io.files import best_effort_write, fingerprint_files
from posenet.io.image_cache import load_images
from posenet.io.images import READING
from posenet.mapping.global_descriptors import nearest_neighbors
from posenet.models.inference import predict_in_batches
from posenet.run import Run

GALLERY = "gallery.npz"
POOLED = (
    "points_pool",
    "cls3_pool",
)  # the layers that average the backbone's last feature map, by the network's head


@dataclass(frozen=True, eq=False)
class Gallery:
    """A run's training images. scene: with their poses, n of them. descriptors: (n, d) float32 of unit length."""

    scene: Scene
    descriptors: np.ndarray

    def nearest(self, queries: np.ndarray, count: int = 1) -> np.ndarray:
        """(q, count) rows of the training images most like each of the queries (q, d), the likest first."""
        return nearest_neighbors(self.descriptors, queries, count)

    def nearest_poses(self, queries: np.ndarray) -> Poses:
        """The poses of the training images most like the queries (q, d)."""
        return self.scene.poses[self.nearest(queries)[:, 0]]


def with_descriptor_output(network: keras.Model) -> keras.Model:
    """The network with one more output, "pooled": the backbone's last features, averaged over the image."""
    layer = next(layer for layer in network.layers if layer.name in POOLED)
    return keras.Model(network.input, {**network.output, "pooled": layer.output})


def descriptors(pooled: np.ndarray) -> np.ndarray:
    """(n, d) float32 unit descriptors from a describing network's "pooled"."""
    flat = pooled.reshape(len(pooled), -1).astype(np.float32)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def load_or_build_gallery(
    run: Run, network: keras.Model, made_of: str, scene: Scene | None = None
) -> Gallery:
    """The run's training images as its network sees them; kept in RUN/gallery.npz as long as both stay the same.

    network: a describing one. made_of: the digest of the file that it was loaded from. scene: the training split, if it
    is open already. Raises PoseNetError when the images are not there any more.
    """
    training = scene or run.training_scene()
    stamp = f"{READING} {made_of} {fingerprint_files(training.paths)}"
    path = run.folder / GALLERY
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["stamp"]) == stamp:
                return Gallery(
                    training.subset(kept["rows"]), kept["descriptors"].astype(np.float32)
                )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # made anew
    images = load_images(training.paths, run.crop.resized, "training images")
    described = descriptors(predict_in_batches(network, images, run.crop)["pooled"]).astype(
        np.float16
    )
    with best_effort_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, stamp=stamp, rows=images.rows, descriptors=described)
    return Gallery(training.subset(images.rows), described.astype(np.float32))
