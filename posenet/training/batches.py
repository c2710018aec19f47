"""Training batches. Augmentation and batching run in a thread beside the training step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.cropping import Crop
from posenet.io.image_cache import ImageArray
from posenet.training.augmentation import Augmentation, Augmenter
from posenet.training.devices import Share
from posenet.training.prefetch import for_fit, prefetched

# Pixels of a batch, which keep the peak memory of training at 2 to 3.5 GB, by the backbone.
BATCH_PIXELS = 32 * 192 * 256
# Largest batch, and that of scenes with fewer than 500 images, which would have too few steps in a
# short training.
MAX_BATCH = 32
SMALL_SCENE = 500
SMALL_SCENE_BATCH = 16

Batch = tuple[np.ndarray, dict[str, np.ndarray]]


def default_batch_size(num_images: int, size: tuple[int, int]) -> int:
    """Return the default number of images per training step.

    Args:
        num_images: number of training images.
        size: (height, width) of the network's input.

    Returns:
        32 for 192 x 256, fewer for larger images, at most 16 for fewer than 500 images.
    """
    largest = SMALL_SCENE_BATCH if num_images < SMALL_SCENE else MAX_BATCH
    return max(1, min(largest, BATCH_PIXELS // (size[0] * size[1])))


def random_batch(crop: Crop, batch_size: int) -> Batch:
    """Return a batch of noise, to measure the speed with.

    Args:
        crop: how images are cropped.
        batch_size: images per batch.

    Returns:
        Images and truth, as `TrainingBatches.epoch` describes them.
    """
    rng = np.random.default_rng(0)
    cells = (*crop.grid, 3)
    shapes: dict[str, tuple[int, ...]] = {
        "position": (3,),
        "quaternion": (4,),
        "camera_coordinates": cells,
        "scene_coordinates": cells,
    }
    images = rng.integers(0, 255, (batch_size, *crop.size, 3), np.uint8)
    truth = {
        name: rng.normal(size=(batch_size, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    return images, truth


class TrainingBatches:
    """The batches of a scene: shuffled, augmented, endless, and the same for the same seed.

    Each view has its own random stream, from (seed, epoch, image), so that a resumed run sees the
    same batches, and several processes can prepare parts of one batch. The last, smaller batch of
    an epoch is left out; fewer images than a batch make one smaller batch.
    """

    def __init__(
        self,
        scene: Scene,
        images: ImageArray,
        crop: Crop,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        depths: np.ndarray | None = None,
        new: np.ndarray | None = None,
        share: Share | None = None,
    ) -> None:
        """Prepare the batches.

        Args:
            scene: n training images.
            images: the n resized images.
            crop: how they are cropped.
            augmentation: how strong augmentation is.
            batch_size: images per batch.
            seed: random seed.
            depths: inverse depths of the images on grids, shape (n, rows, columns), NaN if unknown.
            new: a mask (n,) of images that were added to others. An epoch has as many of the
                others, chosen at random, so that they are neither forgotten nor hide the new ones.
                Default: an epoch has all images.
            share: the part of each batch that `stream` prepares. Default: all of it.

        Raises:
            PoseNetError: there are fewer images than devices.
        """
        self.scene = scene
        self.images = images
        self.crop = crop
        self.seed = seed
        self.new = new
        self.share = share or Share()
        devices = self.share.devices
        epoch_size = len(self._order(np.random.default_rng(0)))
        self.batch_size = min(batch_size, epoch_size) // devices * devices
        if self.batch_size == 0:
            raise PoseNetError(
                f"training on {devices} devices requires as many images per batch, "
                f"received {min(batch_size, epoch_size)}"
            )
        self.steps = epoch_size // self.batch_size
        self.augmenter = Augmenter(crop, augmentation)
        self.depths: list[np.ndarray | None] = [None] * len(scene)
        if depths is not None:
            self.depths = [grid if np.isfinite(grid).all() else None for grid in depths]
        self.cameras = [
            crop.resized_camera(camera) if camera and camera.is_perspective else None
            for camera in scene.cameras
        ]

    @property
    def num_with_depth(self) -> int:
        """Number of images with known depth."""
        return sum(depth is not None for depth in self.depths)

    def epoch(self, number: int, share: Share | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Args:
            number: number of the epoch.
            share: the part of each batch to prepare. Default: all of it.

        Yields:
            Images (b, h, w, 3) uint8, and the truth as float32: "position" (b, 3), "quaternion"
            (b, 4), and what the cells of the images show, "camera_coordinates" in camera axes and
            "scene_coordinates" in the world frame, (b, rows, columns, 3), NaN if unknown.
        """
        share = share or Share()
        order = self._order(np.random.default_rng((self.seed, number)))
        size = self.batch_size // share.count
        for step in range(self.steps):
            start = step * self.batch_size + share.index * size
            yield self._batch(order[start : start + size], number)
            self.images.release()

    @contextmanager
    def stream(self, first_epoch: int = 0) -> Iterator[Any]:
        """Prepare the batches of all epochs, endless, in a thread that ends with the block.

        Args:
            first_epoch: number of the first epoch.

        Yields:
            Batches as `epoch` yields them, in the form that `fit` takes.
        """
        batches = (
            batch for number in count(first_epoch) for batch in self.epoch(number, self.share)
        )
        with prefetched(batches) as prepared:
            yield for_fit(prepared)

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        """Return the images of an epoch in their order."""
        if self.new is None or not self.new.any():
            return rng.permutation(len(self.scene))
        new, old = np.flatnonzero(self.new), np.flatnonzero(~self.new)
        repeated = rng.choice(old, min(len(new), len(old)), replace=False)
        return rng.permutation(np.concatenate([new, repeated]))

    def _batch(self, rows: np.ndarray, epoch: int) -> Batch:
        views = [
            self.augmenter.view(
                self.images[row],
                self.cameras[row],
                np.random.default_rng((self.seed, epoch, row)),
                self.depths[row],
            )
            for row in rows
        ]
        poses = self.scene.poses[rows]
        translations = poses.rotations.apply([view.translation for view in views])
        positions = poses.positions + translations
        rotations = poses.rotations * Rotation.concatenate([view.rotation for view in views])
        camera_points = np.stack([view.points for view in views])
        rotated = np.einsum("nij,nrcj->nrci", rotations.as_matrix(), camera_points)
        truth = {
            "position": positions,
            "quaternion": rotations.as_quat(canonical=True, scalar_first=True),
            "camera_coordinates": camera_points,
            "scene_coordinates": positions[:, None, None] + rotated,
        }
        images = np.stack([view.image for view in views])
        return images, {name: values.astype(np.float32) for name, values in truth.items()}
