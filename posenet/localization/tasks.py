"""Localization of many images as tasks, which workers of a scheduler can run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.io.stored_arrays import DAMAGED, open_arrays
from posenet.localization.estimates import PoseEstimate
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.mapping.parallel import Arrays, require_seen, run_tasks
from posenet.run import open_run

# Images of a task. The network computes them together.
CHUNK = 16


class LocalizedImage(NamedTuple):
    """The estimated pose of an image file.

    Attributes:
        row: index of the file.
        estimate: its pose.
        retrieved: name of the most similar training image.
    """

    row: int
    estimate: PoseEstimate
    retrieved: str


@dataclass(frozen=True)
class LocalizeFiles:
    """A task: estimate the poses of image files with a run.

    Attributes:
        run_folder: the run folder, under the same path on all machines.
        options: how poses are estimated.
    """

    run_folder: Path
    options: LocalizationOptions

    def __call__(self, paths: tuple[Path, ...]) -> Arrays:
        """Estimate the poses of some files.

        Args:
            paths: k image files.

        Returns:
            The places in `paths` of the m files that can be read, shape (m,); position, quaternion
            and the other fields of `PoseEstimate` in its order, shape (m, 13); names of the most
            similar training images, shape (m,).

        Raises:
            PoseNetError: this worker does not see a file, or the run cannot localize.
        """
        for path in paths:
            require_seen(path)
        localizer = _localizer(self.run_folder, self.options)
        try:
            rows, estimates = localizer.localize_files(paths)
        except PoseNetError:
            if all(_is_readable(path) for path in paths):
                raise
            return np.zeros(0, int), np.zeros((0, 13)), np.zeros(0, "U1")
        values = [np.hstack(astuple(estimates[row])) for row in range(len(rows))]
        return rows, np.array(values, float), np.array(localizer.retrieve(estimates))


def prepare(localizer: Localizer) -> None:
    """Write the files of a run that tasks read: descriptors, map and calibration.

    Args:
        localizer: a localizer of the run with the options of the tasks.

    Raises:
        PoseNetError: the run cannot localize.
    """
    _ = localizer.gallery, localizer.blending
    if localizer.refines:
        _ = localizer.refiner, localizer.uncertainty


def localize_in_tasks(
    run_folder: Path, options: LocalizationOptions, paths: Sequence[Path], checkpoint: Path
) -> Iterator[LocalizedImage]:
    """Estimate the poses of image files in tasks of the executor in use.

    Args:
        run_folder: the run folder. Its map is built before, if poses are refined.
        options: how poses are estimated.
        paths: the image files.
        checkpoint: folder for finished tasks, so that interrupted work resumes; it must not contain
            those of other work.

    Yields:
        The images that can be read, in order.

    Raises:
        PoseNetError: the run cannot localize, or the checkpoint is deleted meanwhile.
    """
    chunks = [tuple(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    files = [checkpoint / f"poses-{number:06d}.npz" for number in range(len(chunks))]
    missing = [number for number, file in enumerate(files) if _load(file) is None]
    results = run_tasks(
        LocalizeFiles(run_folder, options), [chunks[number] for number in missing], "localization"
    )
    for number, arrays in zip(missing, results, strict=True):
        rows, values, retrieved = arrays
        with atomic_path(files[number]) as temporary, open(temporary, "wb") as opened:
            np.savez(opened, rows=rows, values=values, retrieved=retrieved)
    for number, file in enumerate(files):
        loaded = _load(file)
        if loaded is None:
            raise PoseNetError(f"{checkpoint} must not be changed while images are localized")
        for row, values, name in zip(*loaded, strict=True):
            yield LocalizedImage(number * CHUNK + int(row), _to_estimate(values), str(name))


def _to_estimate(values: np.ndarray) -> PoseEstimate:
    spread, position_std, rotation_std_deg, num_inliers, refined, valid = values[7:].tolist()
    return PoseEstimate(
        position=values[:3],
        quaternion_wxyz=values[3:7],
        rotation_spread_deg=spread,
        position_std=position_std,
        rotation_std_deg=rotation_std_deg,
        num_inliers=int(num_inliers),
        refined=bool(refined),
        valid=bool(valid),
    )


def _load(file: Path) -> Arrays | None:
    """Return the results of a task; None if they are missing or damaged."""
    try:
        with open_arrays(file) as saved:
            return saved["rows"], saved["values"], saved["retrieved"]
    except DAMAGED:
        return None


@lru_cache(maxsize=1)
def _localizer(run_folder: Path, options: LocalizationOptions) -> Localizer:
    """Return a localizer, which a worker opens once."""
    return Localizer(
        open_run(run_folder),
        refine=options.refine,
        smooth=options.smooth,
        tta_views=options.tta_views,
    )


def _is_readable(path: Path) -> bool:
    from posenet.io.images import read_image

    try:
        read_image(path)
    except PoseNetError:
        return False
    return True
