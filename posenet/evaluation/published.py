"""Evaluating published weights as their authors did: their resize, mean, crop and channel order."""

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
from posenet.evaluation.evaluate import Evaluation, compare
from posenet.io.images import read_image
from posenet.localization.localizer import valid_poses
from posenet.models.layers import CAFFE_MEAN_BGR
from posenet.models.weights.caffe import read_binaryproto
from posenet.models.weights.load import load_network

SHORT_SIDE, CUT, BATCH = 256, 224, 32
PORTS_SIZE, PORTS_CORNER = (
    (455, 256),
    (0, 87),
)  # (width, height) and (top, left) of the TensorFlow and Keras ports


@dataclass(frozen=True)
class Preprocessing:
    """How a image becomes the network's input.

    mean: a color (3,) or a image (h, w, 3), of the cut or of the whole image, which is stretched to the size of
    the resized one; in the order of the channels that the network sees. legacy: the ports' own way: every image is
    stretched to 455 x 256, and the cut begins at row 0 and column 87, as their centeredCrop has it. rgb: RGB, resized
    bicubically, as the PyTorch port does it.
    """

    mean: np.ndarray
    legacy: bool = False
    rgb: bool = False

    def cut(self, image: np.ndarray) -> np.ndarray:
        """(224, 224, 3) float32 of an RGB image (h, w, 3); a mean of the whole image is subtracted."""
        height, width = image.shape[:2]
        scale = SHORT_SIDE / min(height, width)
        size = PORTS_SIZE if self.legacy else (round(width * scale), round(height * scale))
        resized = self._resized(image, size).astype(np.float32)
        if self.mean.shape not in ((3,), (CUT, CUT, 3)):
            resized -= cv2.resize(self.mean, size, interpolation=cv2.INTER_LINEAR)
        top, left = PORTS_CORNER if self.legacy else ((size[1] - CUT) // 2, (size[0] - CUT) // 2)
        return resized[top : top + CUT, left : left + CUT]

    def _resized(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if self.rgb:
            return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        return cv2.resize(image[:, :, ::-1], size, interpolation=cv2.INTER_LINEAR)

    def apply(self, cuts: np.ndarray) -> np.ndarray:
        """Subtract the mean from cuts (n, 224, 224, 3) if it is a color or of the cut."""
        return cuts - self.mean if self.mean.shape in ((3,), (CUT, CUT, 3)) else cuts


def read_mean(path: Path) -> np.ndarray:
    """A mean image (h, w, 3) or color (3,): .binaryproto (BGR), or .npy of numbers. Raises PoseNetError."""
    if path.suffix == ".npy":
        try:
            mean = np.asarray(np.lib.format.open_memmap(path, mode="r"), np.float32)
        except Exception as error:  # a header may hold any literal
            reason = first_line(error)
            raise PoseNetError(
                f"{path} must be an .npy file of numbers, it cannot be read ({reason})"
            ) from None
    else:
        mean = read_binaryproto(path)
    whole = mean.ndim == 3 and min(mean.shape[:2]) == SHORT_SIDE and mean.shape[2] == 3
    if mean.shape not in ((3,), (CUT, CUT, 3)) and not whole:
        raise PoseNetError(
            f"{path} must be a mean color, or a mean image of short side 256 or of 224 x 224, received {mean.shape}"
        )
    return mean.astype(np.float32)


def _cuts(recipe: Preprocessing, paths: Sequence[Path], label: str) -> Iterator[np.ndarray]:
    """Cuts (b, 224, 224, 3) of images, batch by batch: thousands at once would take gigabytes."""
    with tqdm(total=len(paths), desc=label, unit="image") as bar:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            yield np.stack([recipe.cut(read_image(path)) for path in batch])
            bar.update(len(batch))


def evaluate_weights(
    weights: Path, scene_path: Path, graph: str | None = None, legacy: bool = False, mean: Path | None = None,
    strict: bool = False, split: str = "auto", epsilon: float = 1e-3,
) -> Evaluation:  # fmt: skip
    """Predict a scene's test split with published weights and compare.

    The rotations that the network says are taken to be those of the scene's own files. legacy=True reproduces the
    TensorFlow and Keras ports: their stretch and cut, and, without a mean, the mean of the very images evaluated.
    Raises PoseNetError for weights and scenes that cannot be used.
    """
    scene = open_scene(scene_path, strict=strict, split=split)
    test = scene.split("test")
    network = load_network(weights, graph, labels=scene.quaternion_convention, epsilon=epsilon)
    own_mean = legacy and mean is None
    rgb = network.input.name == "rgb"
    color = np.array(CAFFE_MEAN_BGR[::-1] if rgb else CAFFE_MEAN_BGR, np.float32)
    recipe = Preprocessing(read_mean(mean) if mean else color, legacy, rgb)
    if own_mean:
        total = sum(
            cuts.sum(axis=0, dtype=np.float64)
            for cuts in _cuts(recipe, test.paths, "mean of the images")
        )
        recipe = Preprocessing((total / len(test)).astype(np.float32), legacy, rgb)
    answers = [
        network.predict_on_batch(recipe.apply(cuts)) for cuts in _cuts(recipe, test.paths, "images")
    ]
    outputs = {
        name: np.concatenate([each[name] for each in answers]).astype(np.float64)
        for name in answers[0]
    }
    estimate, found = valid_poses(outputs)
    return compare(scene, test, "test", weights.name, estimate, found)
