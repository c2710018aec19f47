"""What the calibration files of several formats have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import size_or_none
from posenet.errors import PoseNetError

# Calibrations in the convention of OpenCV count pixels from the center of the first one, posenet
# from its corner.
PIXEL_OFFSET = 0.5


def check_intrinsics(fx: float, fy: float, *others: float, source: str) -> None:
    """Check the intrinsics of a file.

    Args:
        fx: horizontal focal length in pixels.
        fy: vertical focal length in pixels.
        others: further numbers.
        source: where they are, "file:line".

    Raises:
        PoseNetError: a number is not finite, or a focal length is not above 0.
    """
    if not (np.isfinite((fx, fy, *others)).all() and min(fx, fy) > 0):
        raise PoseNetError(
            f"{source}: intrinsics must be finite and focal lengths above 0, received {fx} and {fy}"
        )


def first_size(folder: Path, names: Sequence[str]) -> tuple[int, int] | None:
    """Return the size of the first image that can be read, for cameras shared by all images.

    Args:
        folder: the scene folder.
        names: names of images relative to the folder.

    Returns:
        (width, height) in pixels; None if no image can be read.
    """
    sizes = (size_or_none(folder / name) for name in names)
    return next((size for size in sizes if size), None)
