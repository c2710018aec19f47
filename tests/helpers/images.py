"""Images for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def write_image(path: Path, size=(48, 64), seed=0) -> None:
    """A colorful random image of size (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC))


def photo(path, size=(400, 300), **tags):
    exif = Image.Exif()
    ifd = exif.get_ifd(0x8769)
    ifd.update({int(key[1:], 16): value for key, value in tags.items()})
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size).save(
        path, exif=exif.tobytes()
    )  # the EXIF of an inner block alone counts as empty
    return path


def texture(width=900, height=240, seed=0):
    small = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
