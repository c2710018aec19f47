"""Scene adapters, one file a format: open_scene(path) finds the one that recognizes a folder.

An adapter is a module with NAME, LOOKS_FOR, recognizes(folder) and read(folder) -> RawScene; to add a format,
add a file and its name to ADAPTERS.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from posenet.datasets.formats import (
    ace,
    cambridge,
    colmap,
    euroc,
    kendall_7scenes,
    kitti,
    seven_scenes,
    tum,
    visualsfm,
)
from posenet.datasets.formats import csv_table as plain_csv
from posenet.datasets.formats import nerfstudio as transforms
from posenet.datasets.intrinsics import with_guesses
from posenet.datasets.scene import Scene
from posenet.datasets.splits import TEST_LIST, chosen_splits
from posenet.datasets.validation import LabelIssue, RawScene, validate_scene
from posenet.errors import PoseNetError
from posenet.io.images import IMAGE_SUFFIXES

log = logging.getLogger("posenet")

ADAPTERS = (
    plain_csv, cambridge, kendall_7scenes, seven_scenes, ace, tum, euroc, kitti, transforms, colmap, visualsfm,
)  # fmt: skip


def open_scene(
    path: Path | str, strict: bool = False, need_images: bool = True, split: str = "auto"
) -> Scene:
    """The scene in a folder, in the canonical convention, checked; faults are reported as warnings.

    strict: refuse any label fault. need_images: look whether the image files are there and whole.
    Unknown intrinsics are guessed, from EXIF or as a typical view, where there are images.
    split: "auto" for the files' own, or one of splits.FORMS.
    Raises PoseNetError for a folder that does not exist or is not recognized, and for malformed files.
    """
    return open_scene_with_issues(path, strict, need_images, split)[0]


def open_scene_with_issues(
    path: Path | str, strict: bool = False, need_images: bool = True, split: str = "auto"
) -> tuple[Scene, list[LabelIssue]]:
    """As open_scene, with the label faults that were found."""
    scene, faults = validate_scene(_split(read_scene(path), split), strict, need_images)
    return with_guesses(scene) if need_images else scene, faults


def read_scene(path: Path | str) -> RawScene:
    """What the adapter that recognizes the folder reads, unchecked. Raises PoseNetError as open_scene."""
    folder = Path(path)
    if not folder.exists():
        raise PoseNetError(f"{folder}: a scene's folder is needed, there is no such folder")
    if not folder.is_dir():
        raise PoseNetError(f"{folder} must be a scene's folder, it is a file")
    for adapter in ADAPTERS:
        if adapter.recognizes(folder):
            return replace(adapter.read(folder), format=adapter.NAME)
    looked_for = "; ".join(f"{adapter.LOOKS_FOR} ({adapter.NAME})" for adapter in ADAPTERS)
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        raise PoseNetError(
            f"{folder} holds images without poses: `posenet scene capture` finds them; looked for {looked_for}"
        )
    raise PoseNetError(f"{folder} is no scene that posenet knows; looked for {looked_for}")


def resolve_split(path: Path | str, split: str = "auto") -> str:
    """The split that "auto" stands for in a folder: "own", its test.txt, or "blocks"; any other as it is."""
    if split != "auto":
        return str(Path(split).resolve()) if Path(split).is_file() else split
    if read_scene(path).splits is not None:
        return "own"
    own = Path(path) / TEST_LIST
    return str(own.resolve()) if own.is_file() else "blocks"


def _split(raw: RawScene, split: str) -> RawScene:
    """The raw scene with a split for every row."""
    if split in ("auto", "own"):
        if raw.splits is not None:
            return raw
        own = raw.root / TEST_LIST
        split = str(own) if own.is_file() else "blocks"
    if raw.splits is not None:
        log.warning("%s: the scene's own split is put aside for --split %s", raw.name, split)
    return replace(raw, splits=chosen_splits(split, raw.names, raw.sequences))
