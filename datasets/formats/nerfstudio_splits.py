"""The splits of a `transforms.json`: lists of names, or a key of each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.name_index import NameIndex
from posenet.datasets.formats.nerfstudio_frames import Frame
from posenet.datasets.formats.parsing import shorten
from posenet.errors import PoseNetError, count

TRAIN_LIST = "train_filenames"
# The first of them that contains a name of a frame lists the test images.
TEST_LISTS = ("test_filenames", "val_filenames")
# Values of the key split of a frame.
SPLIT_VALUES = {"train": "train", "val": "val", "validation": "val", "eval": "test", "test": "test"}


def apply_splits(
    path: Path, top: Mapping[str, Any], frames: Sequence[Frame], notes: list[str]
) -> None:
    """Set the splits of frames from nerfstudio's lists, or else from the key split of the frames.

    Validation images are for training if there are test images, otherwise for the test. Frames in
    no list are for training, but for the test if there is only a list of training images.

    Args:
        path: the JSON file, for messages.
        top: the values at its top.
        frames: its frames, modified in place.
        notes: gets lines about names without a frame, and about frames in no list.

    Raises:
        PoseNetError: a list is not a list of names, or a frame has an unknown split.
    """
    lists = {
        key: _read_list(path, key, top[key])
        for key in (TRAIN_LIST, *TEST_LISTS)
        if top.get(key) is not None
    }
    if any(lists.values()):
        _apply_lists(path, lists, frames, notes)
    elif any(frame.own_split is not None for frame in frames):
        _apply_own(frames)


def _read_list(path: Path, key: str, value: object) -> list[str]:
    """Return the names in a list."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PoseNetError(
            f"{path}: {key} must be a list of names, received {shorten(repr(value))}"
        )
    return [tidy_name(name) for name in value]


def _apply_lists(
    path: Path, lists: Mapping[str, list[str]], frames: Sequence[Frame], notes: list[str]
) -> None:
    index = NameIndex([frame.name for frame in frames])
    members: dict[str, set[str]] = {}
    unknown: list[str] = []
    for key, names in lists.items():
        found = {name: _find(index, name) for name in names}
        members[key] = {name for name in found.values() if name is not None}
        unknown += [name for name, match in found.items() if match is None]
    train = members.get(TRAIN_LIST, set())
    test = next((members[key] for key in TEST_LISTS if members.get(key)), set())
    if set(lists) == {TRAIN_LIST}:
        test = {frame.name for frame in frames} - train
        if not test:
            return
    for frame in frames:
        frame.split = "test" if frame.name in test else "train"
    listed = set().union(*members.values())
    unlisted = [frame.name for frame in frames if frame.name not in listed]
    if unknown:
        total = count(len(unknown), "name")
        notes.append(f"{path}: {total} in the split lists without a frame, such as {unknown[0]}")
    if unlisted and train:
        split = "training" if unlisted[0] not in test else "the test"
        total = count(len(unlisted), "frame")
        notes.append(f"{path}: {total} in no split list used for {split}, such as {unlisted[0]}")


def _find(index: NameIndex, name: str) -> str | None:
    """Return the frame that a listed name means, by the name or its unique end."""
    ends = index.find_ending(name)
    return index.find(name) or (ends[0] if len(ends) == 1 else None)


def _apply_own(frames: Sequence[Frame]) -> None:
    """Set the splits from the frames' own values; those without one are for training."""
    splits = []
    for frame in frames:
        value = "train" if frame.own_split is None else frame.own_split
        if not isinstance(value, str) or value.lower() not in SPLIT_VALUES:
            raise PoseNetError(
                f"{frame.source}: split must be train, val or test, received {shorten(repr(value))}"
            )
        splits.append(SPLIT_VALUES[value.lower()])
    of_validation = "train" if "test" in splits else "test"
    for frame, split in zip(frames, splits, strict=True):
        frame.split = of_validation if split == "val" else split
