"""Cameras of the images of an NVM file, which does not contain the size of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import size_or_none
from posenet.datasets.formats.nvm import NVMModel
from posenet.datasets.validation import LabelIssue
from posenet.geometry.camera import Camera

# Images were downsized if measurements reach farther than this multiple of half their size.
MIN_DOWNSIZING = 1.1


def cameras_from_nvm(
    model: NVMModel, rows: Sequence[int], root: Path, names: Sequence[str]
) -> tuple[list[Camera | None], list[LabelIssue]]:
    """Return cameras of some images of a model, with the principal point in the image center.

    If measurements are outside the image files, the files were downsized after the reconstruction,
    and the focal lengths are divided by the same factor. The farthest measurements set the factor.
    They are within a hundredth of the edges in scenes of many images.

    Args:
        model: the model.
        rows: n indices of cameras of the model.
        root: the scene folder.
        names: names of the n images relative to the folder.

    Returns:
        n cameras, None without a focal length or an image file, and the issue of downsized images.
    """
    sizes = [size_or_none(root / name) for name in names]
    factors = _downsizing_factors(model.extents[list(rows)], sizes)
    cameras: list[Camera | None] = []
    for row, size in zip(rows, sizes, strict=True):
        if size is None:
            cameras.append(None)
            continue
        focal = float(model.focals[row]) / factors.get(size, 1.0)
        cameras.append(_make_camera(focal, float(model.radials[row]), size))
    downsized = [name for name, size in zip(names, sizes, strict=True) if size in factors]
    if not downsized:
        return cameras, []
    kind = "image smaller than in the reconstruction"
    return cameras, [LabelIssue(kind, len(downsized), downsized[0], "focal length scaled down")]


def _downsizing_factors(
    extents: np.ndarray, sizes: Sequence[tuple[int, int] | None]
) -> dict[tuple[int, int], float]:
    """Return the factor by which the images of each size were downsized, if they were."""
    factors = {}
    for size in {size for size in sizes if size}:
        has_size = np.array([other == size for other in sizes])
        # Width and height are sorted, because a reconstruction may be of images before their EXIF
        # rotation.
        farthest = np.sort(extents[has_size], axis=1).max(axis=0)
        factor = float((farthest / (np.sort(size) / 2)).max())
        if factor > MIN_DOWNSIZING:
            factors[size] = factor
    return factors


def _make_camera(focal: float, radial: float, size: tuple[int, int]) -> Camera | None:
    """Return a camera; VisualSFM's radial coefficient r is -k of SIMPLE_RADIAL to first order."""
    if not 0 < focal < np.inf:
        return None
    width, height = size
    if radial == 0 or not np.isfinite(radial):
        return Camera(width, height, focal, focal, width / 2, height / 2)
    return Camera(width, height, focal, focal, width / 2, height / 2, "SIMPLE_RADIAL", (-radial,))
