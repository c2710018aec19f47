"""Which images were taken at the same moment, by the cameras of a rig or as parts of a panorama.

Their poses determine each other, and often they overlap. Splits therefore divide moments, not
images. The moments are those that the files state (frames of a COLMAP model, timestamps), otherwise
those of the names (rig_names.py). Without a rig every image is a moment of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posenet.datasets.rig_names import RigImage, rig_from_names
from posenet.datasets.validation import RawScene
from posenet.errors import count


def number_moments(raw: RawScene) -> RawScene:
    """Number the moments of a scene, and give each camera of a rig a sequence of its own.

    Args:
        raw: the labels; `rig_images` contains what the files state.

    Returns:
        The labels with `moments`, if there is a rig.
    """
    images = raw.rig_images or _rig_from_times(raw)
    if images is None or not _has_rig(images):
        images = rig_from_names(raw.names, raw.positions, raw.quaternions_wxyz)
    if images is None:
        return raw
    moments = [image.moment for image in images]
    shared = {
        sequence
        for (sequence, _), number in Counter(zip(raw.sequences, moments, strict=True)).items()
        if number > 1
    }
    sequences = [
        _sequence_of_camera(sequence, image.camera) if sequence in shared else sequence
        for sequence, image in zip(raw.sequences, images, strict=True)
    ]
    numbers = _number_by_time(moments, sequences)
    return replace(raw, moments=numbers, sequences=sequences)


def merge_sequences(sequences: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Merge the sequences of the cameras of a rig, which share moments.

    Args:
        sequences: the sequence of each of n images, shape (n,).
        moments: number of the moment of each image, shape (n,).

    Returns:
        The first of the sequences that share moments with that of each image, shape (n,).
    """
    merged = {str(sequence): str(sequence) for sequence in sequences}

    def find(sequence: str) -> str:
        while merged[sequence] != sequence:
            sequence = merged[sequence]
        return sequence

    first_of: dict[int, str] = {}
    for sequence, moment in zip(map(str, sequences), moments.tolist(), strict=True):
        merged[find(sequence)] = find(first_of.setdefault(moment, sequence))
    return np.array([find(str(sequence)) for sequence in sequences])


def describe_shared_moments(
    splits: Sequence[str] | np.ndarray | None, moments: Sequence[int] | np.ndarray | None
) -> list[str]:
    """Describe test images that were taken at the same moment as training images.

    Args:
        splits: "train" or "test" for each of n images, None if unknown.
        moments: number of the moment of each image; None if every image is a moment of its own.

    Returns:
        One sentence, or none if there is no such image.
    """
    if splits is None or moments is None:
        return []
    is_test = np.asarray(splits) == "test"
    numbers = np.asarray(moments)
    shared = int((is_test & np.isin(numbers, numbers[~is_test])).sum())
    if not shared:
        return []
    return [
        "another camera of the rig took training images at the same moments as "
        f"{shared} of {count(int(is_test.sum()), 'test image')}: the test error looks better than "
        "it is"
    ]


def _has_rig(images: Sequence[RigImage]) -> bool:
    """Return whether moments are shared, and no camera took two images of a moment."""
    moments = {image.moment for image in images}
    return len(moments) < len(set(images)) == len(images)


def _rig_from_times(raw: RawScene) -> list[RigImage] | None:
    """Return the times as moments, with the folders as cameras."""
    if raw.times is None:
        return None
    return [
        RigImage(repr(time), name.rpartition("/")[0])
        for time, name in zip(raw.times, raw.names, strict=True)
    ]


def _sequence_of_camera(sequence: str, camera: str) -> str:
    return camera if camera.startswith(f"{sequence}/") else f"{sequence}/{camera}"


def _number_by_time(moments: Sequence[str], sequences: Sequence[str]) -> list[int]:
    """Number moments in the order of time, of images that are ordered by time in each sequence.

    Moments that only a later sequence has are inserted next to those that it shares.
    """
    by_sequence: dict[str, list[str]] = {}
    for moment, sequence in zip(moments, sequences, strict=True):
        by_sequence.setdefault(sequence, []).append(moment)
    # A linked ring, since insertion into a long list takes long; None is before its first moment.
    after: dict[str | None, str | None] = {None: None}
    before: dict[str | None, str | None] = {None: None}
    for own in by_sequence.values():
        first = next((moment for moment in own if moment in before), None)
        last = before[first]
        for moment in own:
            if moment not in before:
                after[moment], before[moment] = after[last], last
                before[after[last]] = moment
                after[last] = moment
            last = moment
    numbers: dict[str, int] = {}
    following = after[None]
    while following is not None:
        numbers[following] = len(numbers)
        following = after[following]
    return [numbers[moment] for moment in moments]
