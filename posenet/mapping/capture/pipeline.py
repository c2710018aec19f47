"""From one's own photographs or videos to a scene with poses: structure from motion by pycolmap (COLMAP).

The result is a COLMAP folder: images/, sparse/0/ with cameras, poses and 3-D points, and capture.json with what was
done. Until it is finished the folder also holds work/, and the same command goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from posenet.datasets.formats.parsing import without_suffix
from posenet.errors import PoseNetError
from posenet.io.files import exclusive_lock, fingerprint_files, write_text
from posenet.io.image_cache import load_images
from posenet.mapping.capture.alignment import (
    align_to,
    find_images,
    level_world,
    read_positions,
    rescale,
)
from posenet.mapping.capture.colmap import extract_features, map_images, match, require_pycolmap
from posenet.mapping.capture.images import collect_images, is_video, settle
from posenet.mapping.global_descriptors import describe, nearest_neighbors

log = logging.getLogger("posenet")

STATE = "capture.json"
ALL_PAIRS = 60  # up to so many images, each is matched with each
NEIGHBOURS, SIMILAR = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32), 12
FEWEST = 4  # placed images that make a scene


@dataclass(frozen=True)
class Captured:
    """What capture did. unplaced: names of images that could not be placed. reprojection_px: mean error."""

    inputs: list[str]
    images: int
    placed: int
    unplaced: list[str]
    points: int
    reprojection_px: float
    unit: str


def capture(
    inputs: tuple[Path, ...],
    output: Path,
    scale: tuple[str, str, float] | None = None,
    align: Path | None = None,
    most: int = 250,
) -> Captured:
    """Make a posed scene of folders of photographs and of videos; several inputs become several sequences.

    scale: two images' names and the distance between them in meters. align: a file of lines `name X Y Z` in meters.
    Without either the unit is free. most: images taken from each video.
    Raises PoseNetError for inputs that cannot be used, an output that is no unfinished capture of them, and images
    that do not overlap.
    """
    require_pycolmap()
    _check(inputs, scale, align, most)
    known = read_positions(align) if align else {}
    fresh = not output.exists()
    _open(output, inputs)
    with exclusive_lock(output):
        _open(output, inputs)  # another process may have finished it meanwhile
        model, names, placed = _placed(inputs, output, scale, align, known, most, fresh)
        if scale:
            rescale(model, *scale)
        if align:
            align_to(model, known, align)
        else:
            level_world(model)
        return _finish(
            output, model, inputs, names, placed, "m" if scale or align else "scene units"
        )


def _placed(
    inputs: tuple[Path, ...], output: Path, scale, align, known: dict, most: int, fresh: bool
):
    """The reconstruction, the names of all images, and the placed ones by their names. fresh: nothing was there."""
    images, work = output / "images", output / "work"
    try:
        names = collect_images(inputs, images, most)
        if len(names) < FEWEST:
            raise PoseNetError(
                f"{output}: at least {FEWEST} images are needed, received {len(names)}"
            )
        find_images(names, scale[:2] if scale else (), "--scale")
        if align and len(set(known) & {without_suffix(name) for name in names}) < 3:
            raise PoseNetError(f"{align} must name at least 3 of the images, like {names[0]}")
    except PoseNetError:
        if fresh:
            shutil.rmtree(output, ignore_errors=True)
        raise
    work.mkdir(exist_ok=True)
    database = work / "database.db"
    settle(images, names, work / "pictures.json", database)
    extract_features(database, images, names)
    match(database, image_pairs(names, images))
    model = map_images(database, images, work, len(names))
    placed = (
        {}
        if model is None
        else {image.name: image for image in model.images.values() if image.has_pose}
    )
    if len(placed) < FEWEST:
        raise PoseNetError(
            f"{output}: the images do not overlap enough, {len(placed)} of {len(names)} could be placed; film "
            "slowly, walk rather than turn on the spot, and let each image share half its view with the one before "
            "(of a long video take more --images)"
        )
    return model, names, placed


def _check(
    inputs: tuple[Path, ...], scale: tuple[str, str, float] | None, align: Path | None, most: int
) -> None:
    """What can be said before any work."""
    if scale is not None and align is not None:
        raise PoseNetError("give --scale or --align, not both")
    if scale is not None and not (scale[2] > 0 and scale[0] != scale[1]):
        raise PoseNetError(
            f"--scale needs two different images and meters above 0, received {' '.join(map(str, scale))}"
        )
    if most < FEWEST:
        raise PoseNetError(f"--images must be at least {FEWEST}, received {most}")
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise PoseNetError(
            f"{missing[0]}: a folder of photographs or a video is needed, there is none"
        )
    resolved = [path.resolve() for path in inputs]
    if len(set(resolved)) < len(resolved):
        raise PoseNetError("each input must be given once, one is given twice")


def belongs_to(output: Path, *inputs: Path) -> bool:
    """Whether the folder holds a capture of these inputs as they are now, finished or not."""
    state = _read_state(output / STATE)
    return state is not None and _is_of(state, inputs)


def is_finished(output: Path, *inputs: Path) -> bool:
    """Whether the folder holds a finished capture of these inputs as they are now."""
    state = _read_state(output / STATE)
    return state is not None and "placed" in state and _is_of(state, inputs)


def _identity(inputs: Sequence[Path]) -> dict:
    """What capture.json says of the inputs: where they are, and of videos which ones these are."""
    videos = [path for path in inputs if is_video(path)]
    return {"inputs": [str(path.resolve()) for path in inputs]} | (
        {"videos": fingerprint_files(videos)} if videos else {}
    )


def _is_of(state: dict, inputs: Sequence[Path]) -> bool:
    """Whether a capture is of these inputs. Videos may have moved: which ones they are their digest tells."""
    now = _identity(inputs)
    named = state["inputs"] == now["inputs"]
    if not named and "videos" in state and all(map(is_video, inputs)):
        named = [Path(path).name for path in state["inputs"]] == [path.name for path in inputs]
    return named and state.get("videos") in (None, now.get("videos"))


def _read_state(path: Path) -> dict | None:
    """What capture.json says; None where there is none."""
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {"inputs": state["inputs"]} | state
    except (ValueError, KeyError, TypeError):
        raise PoseNetError(f"{path} must be what capture wrote, it cannot be read") from None


def _open(output: Path, inputs: tuple[Path, ...]) -> None:
    """Make the output folder, or check that it is an unfinished capture of the same inputs."""
    state = _read_state(output / STATE)
    if state is not None:
        if "placed" in state or not _is_of(state, inputs):
            of = ", ".join(map(str, state["inputs"]))
            what = (
                "a finished capture"
                if "placed" in state
                else f"an unfinished capture of other inputs, or of these before they changed ({of})"
            )
            raise PoseNetError(f"{output} is {what}; give another folder, or remove it")
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PoseNetError(f"{output} must be a new folder, or an unfinished capture")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"{output} cannot be made: {error.strerror}") from None
    write_text(output / STATE, json.dumps(_identity(inputs)) + "\n")


def image_pairs(names: list[str], images: Path) -> list[tuple[str, str]]:
    """Which images to match: all with all of a few; of many, neighbors in time and those that look alike."""
    count = len(names)
    if count <= ALL_PAIRS:
        return [(names[a], names[b]) for a in range(count) for b in range(a + 1, count)]
    folders = [name.rpartition("/")[0] for name in names]
    pairs = {
        (a, a + step)
        for step in NEIGHBOURS
        for a in range(count - step)
        if folders[a] == folders[a + step]
    }
    loaded = load_images(
        [images / name for name in names], (144, 192), "looking for similar images"
    )
    looks = describe(loaded)
    for row, similar in zip(
        loaded.rows, loaded.rows[nearest_neighbors(looks, looks, SIMILAR + 1)], strict=True
    ):
        pairs |= {(min(row, other), max(row, other)) for other in similar if other != row}
    return [(names[a], names[b]) for a, b in sorted(pairs)]


def _finish(output: Path, model, inputs, names: list[str], placed: dict, unit: str) -> Captured:
    """Write the model and capture.json, remove what is no longer needed."""
    sparse = output / "sparse" / "0"
    sparse.mkdir(parents=True, exist_ok=True)
    model.write_binary(str(sparse))
    captured = Captured(
        inputs=[str(path.resolve()) for path in inputs], images=len(names), placed=len(placed),
        unplaced=[name for name in names if name not in placed], points=model.num_points3D(),
        reprojection_px=float(model.compute_mean_reprojection_error()), unit=unit,
    )  # fmt: skip
    write_text(output / STATE, json.dumps(asdict(captured) | _identity(inputs), indent=2) + "\n")
    shutil.rmtree(output / "work", ignore_errors=True)
    return captured
