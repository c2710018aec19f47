"""Evaluate published weights with the preprocessing of their authors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError, first_line
from posenet.evaluation.evaluate import Evaluation, evaluate_estimates
from posenet.io.image_cache import warn_dropped
from posenet.io.images import read_image
from posenet.localization.estimates import valid_poses
from posenet.models.layers import CAFFE_MEAN_BGR
from posenet.models.weights.caffe import read_binaryproto
from posenet.models.weights.load import load_network

# PoseNet's preprocessing, pixels: short side of the resized image, side of the square crop.
SHORT_SIDE = 256
CROP_SIDE = 224
# (width, height) of the resized image and (top, left) of the crop in the TensorFlow and Keras
# ports.
PORTS_SIZE = (455, 256)
PORTS_CORNER = (0, 87)
# Images per batch; thousands at once would take gigabytes.
BATCH = 32


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input of published weights.

    Attributes:
        mean: a color (3,), or an image (h, w, 3) of the crop or of the whole image, which is
            stretched to the size of the resized image. In the channel order of the network.
        legacy: as the ports do it: every image is stretched to 455 x 256, and the crop starts at
            row 0 and column 87, as in their centeredCrop.
        rgb: RGB, resized bicubically, as the PyTorch port does it.
    """

    mean: np.ndarray
    legacy: bool = False
    rgb: bool = False

    def crop(self, image: np.ndarray) -> np.ndarray:
        """Resize and crop an image, and subtract the mean if it is one of the whole image.

        Args:
            image: RGB values, shape (h, w, 3), uint8.

        Returns:
            The crop, shape (224, 224, 3), float32.
        """
        height, width = image.shape[:2]
        scale = SHORT_SIDE / min(height, width)
        size = PORTS_SIZE if self.legacy else (round(width * scale), round(height * scale))
        resized = self._resize(image, size).astype(np.float32)
        if not self._mean_is_of_crop:
            resized -= cv2.resize(self.mean, size, interpolation=cv2.INTER_LINEAR)
        top, left = (size[1] - CROP_SIDE) // 2, (size[0] - CROP_SIDE) // 2
        if self.legacy:
            top, left = PORTS_CORNER
        return resized[top : top + CROP_SIDE, left : left + CROP_SIDE]

    def apply(self, crops: np.ndarray) -> np.ndarray:
        """Subtract the mean from crops, unless `crop` did so.

        Args:
            crops: shape (n, 224, 224, 3).

        Returns:
            The input of the network.
        """
        return crops - self.mean if self._mean_is_of_crop else crops

    @property
    def _mean_is_of_crop(self) -> bool:
        return self.mean.shape in ((3,), (CROP_SIDE, CROP_SIDE, 3))

    def _resize(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if self.rgb:
            return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        return cv2.resize(image[:, :, ::-1], size, interpolation=cv2.INTER_LINEAR)


def read_mean(path: Path) -> np.ndarray:
    """Read a mean image or color.

    Args:
        path: a .binaryproto file (BGR) or an .npy file of numbers.

    Returns:
        Shape (h, w, 3) or (3,), float32.

    Raises:
        PoseNetError: the file cannot be read, or has another shape.
    """
    if path.suffix == ".npy":
        try:
            mean = np.asarray(np.lib.format.open_memmap(path, mode="r"), np.float32)
        except Exception as error:  # the header may contain any literal
            raise PoseNetError(
                f"{path} must be an .npy file of numbers, cannot read it ({first_line(error)})"
            ) from None
    else:
        mean = read_binaryproto(path)
    is_whole = mean.ndim == 3 and min(mean.shape[:2]) == SHORT_SIDE and mean.shape[2] == 3
    if mean.shape not in ((3,), (CROP_SIDE, CROP_SIDE, 3)) and not is_whole:
        raise PoseNetError(
            f"{path} must be a mean color, or a mean image with a short side of 256 or of "
            f"224 x 224, received {mean.shape}"
        )
    return mean.astype(np.float32)


def evaluate_weights(
    weights: Path,
    scene_path: Path,
    *,
    variant: str | None = None,
    legacy: bool = False,
    mean_image: Path | None = None,
    strict: bool = False,
    split: str = "auto",
    batchnorm_epsilon: float = 1e-3,
) -> Evaluation:
    """Predict a scene's test split with published weights and evaluate the poses.

    The predicted rotations are assumed to have the convention of the scene's own files.

    Args:
        weights: the weight file.
        scene_path: folder of the scene that the weights were trained on.
        variant: architecture variant of PoseNet. Default: that of the file format.
        legacy: reproduce the preprocessing of the TensorFlow and Keras ports: stretch, crop and,
            without `mean_image`, the mean of the evaluated images.
        mean_image: file with the mean image or color. Default: ImageNet's mean color.
        strict: refuse any label issue.
        split: the value of --split.
        batchnorm_epsilon: epsilon of batch normalization in Keras files.

    Returns:
        The evaluation.

    Raises:
        PoseNetError: the weights or the scene cannot be used.
    """
    scene = open_scene(scene_path, strict=strict, split=split)
    test = scene.split("test")
    network = load_network(
        weights,
        variant,
        labels=scene.quaternion_convention,
        batchnorm_epsilon=batchnorm_epsilon,
    )
    rgb = network.input.name == "rgb"
    color = np.array(CAFFE_MEAN_BGR[::-1] if rgb else CAFFE_MEAN_BGR, np.float32)
    preprocessing = Preprocessing(read_mean(mean_image) if mean_image else color, legacy, rgb)
    issues: dict[int, str] = {}
    if legacy and mean_image is None:
        total = sum(
            crops.sum(axis=0, dtype=np.float64)
            for crops in _crops(preprocessing, test.paths, issues, "mean of the images")
        )
        mean = (total / (len(test) - len(issues))).astype(np.float32)
        preprocessing = Preprocessing(mean, legacy, rgb)
    batches = [
        network.predict_on_batch(preprocessing.apply(crops))
        for crops in _crops(preprocessing, test.paths, issues, "images")
    ]
    warn_dropped(list(issues.values()), len(test))
    if issues:
        test = test.subset(np.setdiff1d(np.arange(len(test)), list(issues)))
    outputs = {
        name: np.concatenate([batch[name] for batch in batches]).astype(np.float64)
        for name in batches[0]
    }
    estimate, valid = valid_poses(outputs)
    return evaluate_estimates(scene, test, estimate, valid, method=weights.name)


def _crops(
    preprocessing: Preprocessing, paths: Sequence[Path], issues: dict[int, str], label: str
) -> Iterator[np.ndarray]:
    """Yield the crops of images in batches (b, 224, 224, 3); add those that do not decode."""
    crops: list[np.ndarray] = []
    for row, path in enumerate(tqdm(paths, desc=label, unit="image")):
        try:
            crops.append(preprocessing.crop(read_image(path)))
        except PoseNetError as error:
            issues[row] = str(error)
        if len(crops) == BATCH or (crops and row == len(paths) - 1):
            yield np.stack(crops)
            crops = []
    if len(issues) == len(paths):
        raise PoseNetError(f"at least one image must decode: {next(iter(issues.values()))}")
