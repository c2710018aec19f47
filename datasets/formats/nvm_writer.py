"""Write VisualSFM's NVM files, version 3. See nvm.py for the format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from posenet.datasets.formats.image_names import escape_comment
from posenet.datasets.formats.nvm import QUOTED_SPACE
from posenet.geometry.poses import Poses
from posenet.io.files import write_text


def write_nvm(
    path: Path,
    names: Sequence[str],
    poses: Poses,
    *,
    focals: ArrayLike,
    radials: ArrayLike,
    points: np.ndarray,
    colors: np.ndarray,
    tracks: Sequence[Sequence[tuple[int, int, float, float]]],
) -> None:
    """Write a model. Points without measurements are left out.

    Args:
        path: the file to write.
        names: names of n images.
        poses: n poses.
        focals: focal lengths in pixels, shape (n,).
        radials: VisualSFM's radial coefficients, shape (n,).
        points: points in the world frame, shape (m, 3).
        colors: their colors, 0-255, shape (m, 3).
        tracks: the measurements of each point: image, keypoint, x and y in pixels from the image
            center.
    """
    lines = ["NVM_V3", "", str(len(names))]
    table = np.column_stack(
        [focals, poses.inverse().quaternions_wxyz, poses.positions, radials]
    ).tolist()
    for name, row in zip(names, table, strict=True):
        quoted = escape_comment(name.replace(" ", QUOTED_SPACE))
        lines.append(f"{quoted} {' '.join(map(repr, row))} 0")
    observed = [point for point, track in enumerate(tracks) if track]
    lines += ["", str(len(observed))]
    for point in observed:
        position = " ".join(f"{value:.9f}" for value in points[point])
        color = " ".join(map(str, colors[point]))
        measurements = " ".join(
            f"{image} {keypoint} {x:.6f} {y:.6f}" for image, keypoint, x, y in tracks[point]
        )
        lines.append(f"{position} {color} {len(tracks[point])} {measurements}")
    write_text(path, "\n".join([*lines, "", "0", ""]))
