"""From photos or videos to a scene with poses, by structure from motion (pycolmap).

The result is a COLMAP folder: images/, sparse/0/ with cameras, poses and 3-D points, and
capture.json with a summary. An unfinished reconstruction also has work/ and resumes there.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posenet.datasets.formats.image_names import match_key
from posenet.errors import PoseNetError, count
from posenet.io.files import exclusive_lock, write_text
from posenet.mapping.capture.alignment import (
    MIN_POSITIONS,
    align_to,
    find_images,
    level_world,
    rescale,
)
from posenet.mapping.capture.colmap import (
    extract_features,
    map_images,
    match_pairs,
    require_pycolmap,
)
from posenet.mapping.capture.images import collect_images, sync_folder
from posenet.mapping.capture.pairing import image_pairs
from posenet.mapping.capture.reference_positions import (
    EXIF,
    read_exif_positions,
    read_positions,
)
from posenet.mapping.capture.state import STATE, describe_inputs, prepare_folder

log = logging.getLogger("posenet")

# Images that are placed at least in a usable scene.
MIN_PLACED = 4
# Frames from each video at most.
MAX_FRAMES = 250

# Names of two images and the distance between their cameras in meters.
ScaleBar = tuple[str, str, float]


@dataclass(frozen=True)
class ReconstructionResult:
    """Summary of a reconstruction.

    Attributes:
        inputs: folders of photos, and videos.
        images: number of images.
        placed: number of images with a pose.
        unplaced: names of images without one.
        points: number of 3-D points.
        reprojection_px: mean reprojection error in pixels.
        unit: unit of positions.
    """

    inputs: list[str]
    images: int
    placed: int
    unplaced: list[str]
    points: int
    reprojection_px: float
    unit: str


def reconstruct(
    inputs: Sequence[Path],
    output: Path,
    *,
    scale_bar: ScaleBar | None = None,
    reference_positions: Path | None = None,
    max_frames: int = MAX_FRAMES,
) -> ReconstructionResult:
    """Reconstruct a scene from photos or videos; several inputs become several sequences.

    An interrupted reconstruction of the same inputs resumes. The unit is meters with a scale bar or
    reference positions, otherwise it is free.

    Args:
        inputs: folders of photos, and videos.
        output: the folder to write.
        scale_bar: names of two images and the distance between their cameras in meters.
        reference_positions: file of lines `name X Y Z` in meters for at least three images; with a
            header, of latitude, longitude and height. `Path("exif")`: the GPS data of the photos.
        max_frames: largest number of frames from each video.

    Returns:
        The summary.

    Raises:
        PoseNetError: an input or option is unusable, the output folder contains something else,
            the images do not overlap enough, or pycolmap is not installed.
    """
    require_pycolmap()
    inputs = tuple(inputs)
    _check_options(scale_bar, reference_positions, max_frames)
    _check_inputs(inputs)
    from_exif = reference_positions == EXIF
    known = read_positions(reference_positions) if reference_positions and not from_exif else {}
    is_new = not output.exists()
    prepare_folder(output, inputs)
    with exclusive_lock(output):
        prepare_folder(output, inputs)  # another process may have finished it meanwhile
        try:
            names = collect_images(inputs, output / "images", max_frames)
            if from_exif:
                known = read_exif_positions(output / "images", names)
            _check_names(output, names, scale_bar, reference_positions, known)
        except PoseNetError:
            if is_new:
                shutil.rmtree(output, ignore_errors=True)
            raise
        model = _structure_from_motion(output, names)
        if scale_bar:
            rescale(model, *scale_bar)
        if reference_positions:
            align_to(model, known, reference_positions)
        else:
            level_world(model)
        unit = "m" if scale_bar or reference_positions else "scene units"
        return _save(output, model, inputs, names, unit)


def _structure_from_motion(output: Path, names: list[str]) -> Any:
    """Return the pycolmap reconstruction of the images of a folder."""
    images = output / "images"
    work = output / "work"
    work.mkdir(exist_ok=True)
    database = work / "database.db"
    sync_folder(images, names, work, outdated=database)
    extract_features(database, images, names)
    match_pairs(database, image_pairs(names, images))
    model = map_images(database, images, work, len(names))
    num_placed = 0 if model is None else len(_placed(model))
    if num_placed < MIN_PLACED:
        raise PoseNetError(
            f"{output}: the images do not overlap enough, {num_placed} of {len(names)} were "
            "placed: film slowly, walk instead of turning on the spot, let each image share half "
            "its view with the previous one (use more --max-frames for a long video)"
        )
    return model


def _placed(model: Any) -> set[str]:
    """Return the names of images with a pose."""
    return {image.name for image in model.images.values() if image.has_pose}


def _check_options(
    scale_bar: ScaleBar | None, reference_positions: Path | None, max_frames: int
) -> None:
    """Raise an error about options that cannot be used."""
    if scale_bar is not None and reference_positions is not None:
        raise PoseNetError("use either --scale-bar or --reference-positions, not both")
    if scale_bar is not None and not (scale_bar[2] > 0 and scale_bar[0] != scale_bar[1]):
        received = " ".join(map(str, scale_bar))
        raise PoseNetError(
            f"--scale-bar needs two different images and a positive distance, received {received}"
        )
    if max_frames < MIN_PLACED:
        raise PoseNetError(f"--max-frames must be at least {MIN_PLACED}, received {max_frames}")


def _check_inputs(inputs: Sequence[Path]) -> None:
    """Raise an error about inputs that do not exist or are repeated."""
    for path in inputs:
        if not path.exists():
            raise PoseNetError(f"{path} must be a folder of photos or a video, it does not exist")
    resolved = [path.resolve() for path in inputs]
    for path in inputs:
        if resolved.count(path.resolve()) > 1:
            raise PoseNetError(f"each input must be given once, received {path} twice")


def _check_names(
    output: Path,
    names: list[str],
    scale_bar: ScaleBar | None,
    reference_positions: Path | None,
    known: dict[str, tuple[float, ...]],
) -> None:
    """Raise an error if the images are too few or lack those that the options name."""
    if len(names) < MIN_PLACED:
        received = count(len(names), "image")
        raise PoseNetError(
            f"{output}: at least {MIN_PLACED} images are required, received {received}"
        )
    find_images(names, scale_bar[:2] if scale_bar else (), "--scale-bar")
    named = {match_key(name) for name in names} & set(known)
    if reference_positions and len(named) < MIN_POSITIONS:
        raise PoseNetError(
            f"{reference_positions} must name at least {MIN_POSITIONS} of the images, "
            f"like {names[0]}, it names {len(named)}"
        )


def _save(
    output: Path, model: Any, inputs: Sequence[Path], names: list[str], unit: str
) -> ReconstructionResult:
    """Write the model and the summary, remove the intermediate files."""
    sparse = output / "sparse" / "0"
    sparse.mkdir(parents=True, exist_ok=True)
    model.write_binary(str(sparse))
    placed = _placed(model)
    result = ReconstructionResult(
        inputs=[str(path.resolve()) for path in inputs],
        images=len(names),
        placed=len(placed),
        unplaced=[name for name in names if name not in placed],
        points=model.num_points3D(),
        reprojection_px=float(model.compute_mean_reprojection_error()),
        unit=unit,
    )
    summary = asdict(result) | describe_inputs(inputs)
    write_text(output / STATE, json.dumps(summary, indent=2) + "\n")
    shutil.rmtree(output / "work", ignore_errors=True)
    return result
