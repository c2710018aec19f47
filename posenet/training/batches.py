"""From stored images to training batches. Augmentation and batching run in a thread beside the training step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.cropping import Crop
from posenet.io.image_cache import ImageArray
from posenet.training.augmentation import Augmentation, Augmenter

BATCH_PIXELS = 32 * 192 * 256  # keeps the peak memory of training at 2 to 3.5 GB, by the backbone


def default_batch_size(images: int, size: tuple[int, int]) -> int:
    """How many images a step takes: 32 of (height, width) 192 x 256, fewer of larger ones.

    At most 16 in scenes of fewer than 500 images, which give too few steps in a short training otherwise.
    """
    return max(1, min(16 if images < 500 else 32, BATCH_PIXELS // (size[0] * size[1])))


class TrainingBatches:
    """The training batches of a scene: shuffled, augmented, endless, and the same for the same seed.

    Each epoch has its own random stream, made from (seed, epoch), so a resumed run sees what the whole run would.
    depths: (n, rows, columns) inverse depths of the images (see depth.py), for views from beside them.
    The last, smaller batch of an epoch is left out; fewer images than a batch make one smaller batch.
    """

    def __init__(
        self,
        scene: Scene,
        images: ImageArray,
        crop: Crop,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        depths: np.ndarray | None = None,
    ):
        self.scene, self.images, self.crop, self.seed = scene, images, crop, seed
        self.batch_size = min(batch_size, len(scene))
        self.steps = len(scene) // self.batch_size
        self.augmenter = Augmenter(crop, augmentation)
        self.depths = (
            [grid if np.isfinite(grid).all() else None for grid in depths]
            if depths is not None
            else None
        )
        self.cameras = [
            crop.resized_camera(camera) if camera and camera.is_perspective else None
            for camera in scene.cameras
        ]

    @property
    def with_depth(self) -> int:
        """The number of images of which depth is known."""
        return sum(depth is not None for depth in self.depths or [])

    def epoch(self, number: int):
        """Yield (images (b, h, w, 3) uint8, truth float32) of one epoch.

        truth: "position" (b, 3), "quaternion" (b, 4), and what the cells of the images show, "camera_coordinates" in the
        camera's axes and "scene_coordinates" in the world, (b, rows, columns, 3), NaN where that is not known.
        """
        rng = np.random.default_rng((self.seed, number))
        order = rng.permutation(len(self.scene))
        for step in range(self.steps):
            yield self._batch(order[step * self.batch_size : (step + 1) * self.batch_size], rng)
            self.images.release()

    def _batch(self, rows: np.ndarray, rng):
        depths = [self.depths[row] if self.depths else None for row in rows]
        views = [
            self.augmenter.view(self.images[row], self.cameras[row], rng, depth)
            for row, depth in zip(rows, depths, strict=True)
        ]
        poses = self.scene.poses[rows]
        positions = poses.positions + poses.rotations.apply([view.move for view in views])
        rotations = poses.rotations * Rotation.concatenate([view.turn for view in views])
        truth = {
            "position": positions,
            "quaternion": rotations.as_quat(canonical=True, scalar_first=True),
        }
        truth["camera_coordinates"] = np.stack([view.points for view in views])
        turned = np.einsum("nij,nrcj->nrci", rotations.as_matrix(), truth["camera_coordinates"])
        truth["scene_coordinates"] = positions[:, None, None] + turned
        return np.stack([view.image for view in views]), {
            k: v.astype(np.float32) for k, v in truth.items()
        }

    def stream(self, first_epoch: int = 0) -> tf.data.Dataset:
        """All epochs from first_epoch on, endless, prefetched."""

        def batches():
            epoch = first_epoch
            while True:
                yield from self.epoch(epoch)
                epoch += 1

        shape = (self.batch_size, *self.crop.size, 3)
        truth: dict[str, tuple[int, ...]] = {"position": (3,), "quaternion": (4,)}
        truth |= {
            name: (*self.crop.grid, 3) for name in ("camera_coordinates", "scene_coordinates")
        }
        signature = (
            tf.TensorSpec(shape, tf.uint8),
            {
                name: tf.TensorSpec((self.batch_size, *size), tf.float32)
                for name, size in truth.items()
            },
        )
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(3)
