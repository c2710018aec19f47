"""Open scenes: the registry of formats, and `open_scene`, which recognizes a folder.

A format is a module with `NAME`, `LOOKS_FOR`, `recognizes(folder)` and `read(folder) -> RawScene`.
To add one, add a file to formats/ and its name to `ADAPTERS`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from posenet.datasets.formats import (
    ace,
    cambridge,
    colmap,
    csv_table,
    euroc,
    kendall_7scenes,
    kitti,
    nerfstudio,
    seven_scenes,
    tum,
    visualsfm,
)
from posenet.datasets.intrinsics import guess_missing_cameras
from posenet.datasets.moments import describe_shared_moments, number_moments
from posenet.datasets.scene import Scene
from posenet.datasets.splits import TEST_LIST, choose_splits
from posenet.datasets.validation import LabelIssue, RawScene, validate_scene
from posenet.errors import PoseNetError
from posenet.io.folders import list_folder
from posenet.io.image_headers import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES
from posenet.io.remote import fetch_folder

log = logging.getLogger("posenet")

# The order matters: the first format that recognizes a folder reads it.
ADAPTERS = (
    csv_table,
    cambridge,
    kendall_7scenes,
    seven_scenes,
    ace,
    tum,
    euroc,
    kitti,
    nerfstudio,
    colmap,
    visualsfm,
)


def open_scene(
    path: str | Path, *, strict: bool = False, need_images: bool = True, split: str = "auto"
) -> Scene:
    """Open the scene in a folder. Label issues are logged as warnings.

    Unknown intrinsics are guessed, from EXIF or a typical field of view, if there are images.

    Args:
        path: the folder.
        strict: refuse any label issue.
        need_images: check that the image files exist and are complete.
        split: "auto" for the scene's own split, or one of `splits.SPLIT_FORMS`.

    Returns:
        The scene, poses world_from_camera.

    Raises:
        PoseNetError: the folder does not exist or is not recognized, or a file is malformed.
    """
    return open_scene_with_issues(path, strict=strict, need_images=need_images, split=split)[0]


def open_scene_with_issues(
    path: str | Path,
    *,
    strict: bool = False,
    need_images: bool = True,
    split: str = "auto",
    raw: RawScene | None = None,
) -> tuple[Scene, list[LabelIssue]]:
    """Open the scene in a folder, as `open_scene`, and return the label issues too.

    Args:
        path: the folder.
        strict: refuse any label issue.
        need_images: check that the image files exist and are complete.
        split: "auto" for the scene's own split, or one of `splits.SPLIT_FORMS`.
        raw: what `read_scene` returned, if the labels were read already.

    Returns:
        The scene, and the issues.

    Raises:
        PoseNetError: the folder does not exist or is not recognized, or a file is malformed.
    """
    raw = apply_split(number_moments(raw or read_scene(path)), split)
    for sentence in describe_shared_moments(raw.splits, raw.moments):
        log.warning("%s: %s", raw.name, sentence)
    scene, issues = validate_scene(raw, strict=strict, need_images=need_images)
    return guess_missing_cameras(scene) if need_images else scene, issues


def read_scene(path: str | Path) -> RawScene:
    """Read the labels in a folder without validating them.

    Args:
        path: the folder, or an address such as s3://bucket/scene, which is copied to the cache.

    Returns:
        What the reader of the format returns.

    Raises:
        PoseNetError: the folder does not exist or is not recognized, or a file is malformed.
    """
    folder = fetch_folder(path)
    if not folder.exists():
        raise PoseNetError(f"scene folder not found: {folder}")
    if not folder.is_dir():
        raise PoseNetError(f"{folder} must be a scene folder, it is a file")
    for adapter in ADAPTERS:
        if adapter.recognizes(folder):
            return replace(adapter.read(folder), format=adapter.NAME)
    looked_for = "; ".join(f"{adapter.LOOKS_FOR} ({adapter.NAME})" for adapter in ADAPTERS)
    suffixes = {path.suffix.lower() for path in list_folder(folder)}
    if not suffixes.isdisjoint((*IMAGE_SUFFIXES, *UNSUPPORTED_SUFFIXES)):
        raise PoseNetError(
            f"{folder} contains images without poses: `posenet scene reconstruct` estimates them; "
            f"looked for {looked_for}"
        )
    raise PoseNetError(f"{folder} is not a scene that posenet recognizes; looked for {looked_for}")


def resolve_split(path: str | Path, split: str = "auto", raw: RawScene | None = None) -> str:
    """Return the split that "auto" means for a folder.

    Args:
        path: the scene folder.
        split: the value of --split.
        raw: what `read_scene` returned, if the labels were read already.

    Returns:
        "own", the path of its test.txt, or "blocks"; any other split unchanged.
    """
    if split != "auto":
        return str(Path(split).resolve()) if Path(split).is_file() else split
    if (raw or read_scene(path)).splits is not None:
        return "own"
    test_list = fetch_folder(path) / TEST_LIST
    return str(test_list.resolve()) if test_list.is_file() else "blocks"


def apply_split(raw: RawScene, split: str) -> RawScene:
    """Return labels with a split for every row.

    Args:
        raw: the labels.
        split: the value of --split.

    Returns:
        The labels, with what the split adds to their notes.

    Raises:
        PoseNetError: the split is none of `splits.SPLIT_FORMS`, or leaves no images.
    """
    raw = replace(raw, split_rule=split)
    if split in ("auto", "own"):
        if raw.splits is not None:
            return raw
        test_list = raw.root / TEST_LIST
        split = str(test_list) if test_list.is_file() else "blocks"
    if raw.splits is not None:
        log.warning("%s: --split %s replaces the scene's own split", raw.name, split)
    notes = list(raw.notes)
    splits = choose_splits(split, raw.names, raw.sequences, raw.moments, notes)
    return replace(raw, splits=splits, notes=notes)
