"""Thumbnails for a page, small enough that the page stays small, and colors of points."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from posenet.environment import available_cores
from posenet.errors import PoseNetError
from posenet.io.images import read_image

# Longer side in pixels of a thumbnail: at first, and if the page would be too large.
SIDE = 320
SMALLEST_SIDE = 96
JPEG_QUALITY = 72
# Base64 text is this much longer than the bytes it encodes.
BASE64_RATIO = 4 / 3


class SampledImage(NamedTuple):
    """A thumbnail and the colors of some of its pixels.

    Attributes:
        jpeg: the thumbnail, empty if the image cannot be read.
        colors: RGB of the wanted places, gray if the image cannot be read, shape (k, 3), uint8.
    """

    jpeg: bytes
    colors: np.ndarray


def sample_images(
    paths: Sequence[Path], places: Sequence[np.ndarray] | None = None, *, side: int = SIDE
) -> list[SampledImage]:
    """Read images once, for their thumbnails and the colors of some places.

    Args:
        paths: n image files.
        places: for each image, relative positions (k, 2): (0, 0) is the upper left corner, (1, 1)
            the lower right one. Default: none.
        side: longer side of the thumbnails in pixels.

    Returns:
        n thumbnails with colors.
    """
    wanted = places if places is not None else [np.zeros((0, 2))] * len(paths)
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(lambda path, where: _sample(path, where, side), paths, wanted))


def shrink_to_budget(thumbnails: Sequence[bytes], budget: int) -> list[bytes]:
    """Make thumbnails smaller until their text fits, and leave out some if that is not enough.

    Args:
        thumbnails: n JPEG files.
        budget: largest number of bytes of all of them in base64.

    Returns:
        n JPEG files, empty where one was left out.
    """
    fitted = list(thumbnails)
    side = SIDE
    while _text_size(fitted) > budget and side > SMALLEST_SIDE:
        shrunk = side * np.sqrt(budget / _text_size(fitted)) * 0.95
        side = max(int(shrunk), SMALLEST_SIDE)
        fitted = [_encode(_decode(jpeg), side) if jpeg else b"" for jpeg in thumbnails]
    size = _text_size(fitted)
    if size > budget:
        kept = int(len(fitted) * budget / size)
        rows = set(np.linspace(0, len(fitted) - 1, kept).round().astype(int).tolist())
        fitted = [jpeg if row in rows else b"" for row, jpeg in enumerate(fitted)]
    return fitted


def _sample(path: Path, places: np.ndarray, side: int) -> SampledImage:
    try:
        image = read_image(path, (side, side))
    except PoseNetError:
        return SampledImage(b"", np.full((len(places), 3), 128, np.uint8))
    height, width = image.shape[:2]
    pixels = np.clip((places * [width, height]).astype(int), 0, [width - 1, height - 1])
    return SampledImage(_encode(image, side), image[pixels[:, 1], pixels[:, 0]])


def _encode(image: np.ndarray, side: int) -> bytes:
    """Return an RGB image as a JPEG file whose longer side is at most `side`."""
    scale = min(1.0, side / max(image.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def _decode(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None  # written by _encode
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _text_size(thumbnails: Sequence[bytes]) -> float:
    return BASE64_RATIO * sum(map(len, thumbnails))
