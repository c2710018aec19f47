"""Which images are test images, if a scene's own files do not state it.

Neighboring frames of a video are almost the same image. In a random split almost every test image
has a training image a few centimeters away: the error then measures memory, not localization. The
default therefore holds out blocks of time. A whole sequence is even better.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_names import escape_comment, is_absolute, tidy_name
from posenet.datasets.formats.name_index import NameIndex, describe_moved
from posenet.datasets.formats.parsing import read_lines, shorten
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.io.files import write_text
from posenet.io.folders import normalize_name

log = logging.getLogger("posenet")

# --split blocks: the images are divided into 16 blocks of time; every fourth, from the third on, is
# for the test.
NUM_BLOCKS = 16
TEST_BLOCK_STEP = 4
# File with the names of the test images, for formats without a split.
TEST_LIST = "test.txt"
SPLIT_FORMS = (
    "auto, blocks, random[:FRACTION[:SEED]], every:N, sequence:NAME, "
    "or a file that lists the test images"
)
RANDOM_FORM = re.compile(r"random(?::(0?\.\d+)(?::(\d{1,9}))?)?")
EVERY_FORM = re.compile(r"every:([1-9]\d{0,8})")
DEFAULT_FRACTION = 0.25


def choose_splits(
    rule: str,
    names: Sequence[str],
    sequences: Sequence[str],
    moments: Sequence[int] | None = None,
    notes: list[str] | None = None,
) -> list[str]:
    """Divide images into training and test images.

    Images that the cameras of a rig took at one moment stay together, unless a list parts them.

    Args:
        rule: "blocks" (16 blocks of time, every fourth is for the test), "random:0.25:0" (fraction
            and seed), "every:8" (every eighth image), "sequence:NAME", or the path of a text file
            that lists the test images.
        names: names of n images, ordered by time.
        sequences: the sequence of each image.
        moments: number of the moment of each image, 0, 1, ... in the order of time. Default: every
            image is a moment of its own.
        notes: gets a line about paths of another machine in the list, if there are any.

    Returns:
        "train" or "test" for each image.

    Raises:
        PoseNetError: `rule` is none of these, or no image is left to train on or to test. A list
            may be empty.
    """
    total = len(names)
    if total == 0:
        return []
    of_image = np.arange(total) if moments is None else np.asarray(moments)
    test = _test_mask(rule, names, sequences, of_image, [] if notes is None else notes)
    if test.all():
        raise PoseNetError(
            f"--split {rule} must leave images to train on, all {total} are test images"
        )
    if not test.any() and (RANDOM_FORM.fullmatch(rule) or EVERY_FORM.fullmatch(rule)):
        raise PoseNetError(f"--split {rule} must leave images to test, none of {total} is one")
    return ["test" if is_test else "train" for is_test in test]


def write_test_list(folder: Path, scene: Scene, names: Sequence[str]) -> None:
    """Write test.txt, for formats without a split.

    Args:
        folder: the folder of the scene.
        scene: the scene.
        names: names of its images in the written format.
    """
    test = [name for name, split in zip(names, scene.splits, strict=True) if split == "test"]
    write_text(folder / TEST_LIST, "".join(f"{escape_comment(name)}\n" for name in test))


def _test_mask(
    rule: str,
    names: Sequence[str],
    sequences: Sequence[str],
    moments: np.ndarray,
    notes: list[str],
) -> np.ndarray:
    total = int(moments.max()) + 1
    kind, _, value = rule.partition(":")
    if rule == "blocks":
        block = np.arange(total) * NUM_BLOCKS // total
        return (block % TEST_BLOCK_STEP == TEST_BLOCK_STEP // 2)[moments]
    if found := RANDOM_FORM.fullmatch(rule):
        log.warning(
            "random split: the test error looks better than it is, since neighboring frames of "
            "test images are training images"
        )
        fraction = float(found[1] or DEFAULT_FRACTION)
        test = np.zeros(total, bool)
        order = np.random.default_rng(int(found[2] or 0)).permutation(total)
        test[order[: round(fraction * total)]] = True
        return test[moments]
    if found := EVERY_FORM.fullmatch(rule):
        step = int(found[1])
        log.warning(
            "split %s: the test error looks better than it is, since neighboring frames of test "
            "images are training images",
            rule,
        )
        return (np.arange(total) % step == step - 1)[moments]
    if kind == "sequence" and value:
        return _of_sequence(rule, value, sequences, moments)
    if Path(rule).is_file():
        return _listed(Path(rule), names, notes)
    if "/" in rule or rule.endswith(".txt"):
        raise PoseNetError(f"--split {rule}: list not found")
    raise PoseNetError(f"--split must be {SPLIT_FORMS}, received {rule!r}")


def _of_sequence(rule: str, name: str, sequences: Sequence[str], moments: np.ndarray) -> np.ndarray:
    """Return a mask of the images of a sequence, and of those taken at the same moments."""
    wanted = normalize_name(name)
    own = np.array([normalize_name(sequence) == wanted for sequence in sequences], bool)
    if not own.any():
        known = ", ".join(dict.fromkeys(sequences))
        raise PoseNetError(f"--split {rule}: the sequence must be one of {known}")
    test: np.ndarray = np.isin(moments, moments[own])
    if test.all() and not own.all():
        raise PoseNetError(
            f"--split {rule} must leave images to train on, the other cameras of the rig took all "
            "of theirs at the same moments: use blocks"
        )
    if others := int((test & ~own).sum()):
        log.warning(
            "--split %s: the test includes %s that other cameras took at the same moments",
            rule,
            count(others, "image"),
        )
    return test


def _listed(path: Path, names: Sequence[str], notes: list[str]) -> np.ndarray:
    """Return a mask of the images in a list, by their names or the end of them, without suffix.

    A line that is the name of an image, maybe in images/, means that image, even if other names end
    the same way.
    """
    index = NameIndex(names)
    row_of = {name: row for row, name in reversed(list(enumerate(names)))}
    test = np.zeros(len(names), bool)
    moved: dict[str, str] = {}
    for place, line in read_lines(path):
        written = tidy_name(line)
        found = index.find(written)
        matches = [found] if found else index.find_ending(written)
        if len(matches) != 1:
            problem = "matches several images" if matches else "is not an image of the scene"
            raise PoseNetError(
                f"{place}: {shorten(line)} {problem}, names look like {shorten(names[0])}"
            )
        test[row_of[matches[0]]] = True
        if is_absolute(written):
            moved[written] = matches[0]
    if moved:
        notes.append(f"{path}: {describe_moved(list(moved), list(moved.values()))}")
    return test
