"""Which images are for testing, where a scene's own files do not say.

Neighboring frames of a video are nearly the same image. Split at random, almost every test image has a training
image a few centimeters away, and the figure says how well the network remembers, not how well it finds a new place.
So the default holds out blocks of time; a whole walk of its own is better still.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import (
    escape_comment,
    path_suffixes,
    read_lines,
    shortened,
    tidy_name,
    without_suffix,
)
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.io.files import write_text

log = logging.getLogger("posenet")

BLOCKS, EVERY = 16, 4
TEST_LIST = "test.txt"  # names the test images of a folder whose format knows no split
FORMS = "auto, blocks, random[:SHARE[:SEED]], every:N, sequence:NAME, or a file that lists the test images"


def chosen_splits(choice: str, names: Sequence[str], sequences: Sequence[str]) -> list[str]:
    """ "train" or "test" for each image, in the order of time.

    choice: "blocks" (16 blocks of time, every fourth from the third is test), "random:0.25:0" (share and seed),
    "every:8" (each eighth image), "sequence:NAME", or the path of a list of test images.
    Raises PoseNetError for any other, and when nothing is left to train on or to test; a list may be empty.
    """
    kind, _, value = choice.partition(":")
    count = len(names)
    if count == 0:
        return []
    if choice == "blocks":
        test = np.arange(count) * BLOCKS // count % EVERY == EVERY // 2
    elif kind == "random" and (
        found := re.fullmatch(r"random(?::(0?\.\d+)(?::(\d{1,9}))?)?", choice)
    ):
        share, seed = float(found[1] or 0.25), int(found[2] or 0)
        log.warning(
            "split at random: neighboring frames on both sides make the test error look better than it is"
        )
        test = np.zeros(count, bool)
        test[np.random.default_rng(seed).permutation(count)[: round(share * count)]] = True
    elif kind == "every" and re.fullmatch(r"[1-9]\d{0,8}", value):
        log.warning(
            "every %s. image is test: neighboring frames make the error look better than it is",
            value,
        )
        test = np.arange(count) % int(value) == int(value) - 1
    elif kind == "sequence" and value:
        test = np.array([sequence == value for sequence in sequences], bool)
        if not test.any():
            known = ", ".join(dict.fromkeys(sequences))
            raise PoseNetError(
                f"--split {choice}: the sequence must be one of the scene's, {known}"
            )
    elif Path(choice).is_file():
        test = _listed(Path(choice), names)
    elif "/" in choice or choice.endswith(".txt"):
        raise PoseNetError(f"--split {choice}: there is no such list")
    else:
        raise PoseNetError(f"--split must be {FORMS}, received {choice!r}")
    if test.all():
        raise PoseNetError(f"--split {choice} must leave images to train on, all {count} are test")
    if not test.any() and kind in ("every", "random"):
        raise PoseNetError(f"--split {choice} must leave images to test, none of {count} is")
    return ["test" if each else "train" for each in test]


def _listed(path: Path, names: Sequence[str]) -> np.ndarray:
    """(n,) whether a image stands in the list, by its name or by the end of it; suffixes aside.

    A name that is a image's own, maybe in images/, means that one, though others end so too.
    """
    own: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        for key in {name, without_suffix(name)}:
            own.setdefault(key, []).append(row)
        for end in path_suffixes(without_suffix(name)):
            ends.setdefault(end, []).append(row)
    test = np.zeros(len(names), bool)
    for place, line in read_lines(path):
        name = tidy_name(line)
        stem = without_suffix(name)
        found = next((own[key] for key in _own_names(name, stem) if key in own), ends.get(stem, []))
        if len(found) != 1:
            wrong = "fits several images" if found else "is no image of the scene"
            raise PoseNetError(
                f"{place}: {shortened(line)} {wrong}, names are like {shortened(names[0])}"
            )
        test[found[0]] = True
    return test


def _own_names(name: str, stem: str) -> list[str]:
    """What a image of that name may be called in its scene, the likest first."""
    return [folder + each for each in (name, stem) for folder in ("", "images/")]


def write_test_list(folder: Path, scene: Scene, names: Sequence[str]) -> None:
    """Write test.txt with the test images' names, for layouts that know no split."""
    chosen = [name for name, split in zip(names, scene.splits, strict=True) if split == "test"]
    write_text(folder / TEST_LIST, "".join(f"{escape_comment(name)}\n" for name in chosen))
