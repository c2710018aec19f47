"""Keypoints and matches on the disk while a map is built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.io.stored_arrays import DAMAGED, open_arrays
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.parallel import Arrays

# Images whose keypoints are in memory: 270 MB with 2500 each.
LOADED_IMAGES = 800
# Number of pairs of images in a file of matches.
CHUNK = 200


def to_arrays(keypoints: Keypoints) -> Arrays:
    """Return the arrays that are stored of keypoints: rays in float32, descriptors, and pixel.

    Args:
        keypoints: n keypoints.

    Returns:
        Shapes (n, 2), (n, 128) and ().
    """
    return keypoints.rays.astype(np.float32), keypoints.descriptors, np.array(keypoints.pixel)


class KeypointStore:
    """Keypoints of images, one file each; those used last are in memory too."""

    def __init__(self, folder: Path) -> None:
        """Open a store.

        Args:
            folder: the folder of the files, which exists.
        """
        self.folder = folder
        self._cached = lru_cache(maxsize=LOADED_IMAGES)(self._read)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the keypoints in memory: another process reads the files.

        It may have another working folder.
        """
        return KeypointStore, (self.folder.absolute(),)

    def contains(self, row: int) -> bool:
        """Return whether the keypoints of an image are stored and can be read.

        Args:
            row: index of the image.
        """
        try:
            self._cached(row)
        except DAMAGED:
            return False
        return True

    def load(self, row: int) -> Keypoints:
        """Return the keypoints of an image.

        Args:
            row: index of the image.

        Returns:
            Its keypoints.

        Raises:
            PoseNetError: they are not stored, or the file is damaged.
        """
        try:
            return self._cached(row)
        except DAMAGED:
            raise PoseNetError(
                f"{self._path(row)} must contain the keypoints of an image and cannot be read; "
                "each worker must see this folder"
            ) from None

    def save(self, row: int, arrays: Arrays) -> None:
        """Store the keypoints of an image.

        Args:
            row: index of the image.
            arrays: its keypoints as `to_arrays` returns them.
        """
        rays, descriptors, pixel = arrays
        with atomic_path(self._path(row)) as temporary, open(temporary, "wb") as file:
            np.savez(file, rays=rays, descriptors=descriptors, pixel=pixel)

    def remove(self, row: int) -> None:
        """Delete the keypoints of an image, if they are stored.

        Args:
            row: index of the image.
        """
        with suppress(OSError):
            self._path(row).unlink(missing_ok=True)

    def _read(self, row: int) -> Keypoints:
        with open_arrays(self._path(row)) as saved:
            return Keypoints(saved["rays"], saved["descriptors"], float(saved["pixel"]))

    def _path(self, row: int) -> Path:
        return self.folder / f"keypoints-{row:07d}.npz"


class MatchStore:
    """Matches of pairs of images, in files of the block that they were matched for."""

    def __init__(self, folder: Path) -> None:
        """Open a store.

        Args:
            folder: the folder of the files, which exists.
        """
        self.folder = folder

    def load(self, block: int) -> dict[int, Arrays]:
        """Return the matches that are stored for a block.

        Args:
            block: number of the block.

        Returns:
            The matching keypoints of both images by the index of the pair, without those of damaged
            files.
        """
        found: dict[int, Arrays] = {}
        for file in self._files(block):
            try:
                with open_arrays(file) as saved:
                    ends = np.cumsum(saved["counts"])[:-1]
                    first, second = (np.split(saved[name], ends) for name in ("first", "second"))
                    numbers = saved["pairs"].tolist()
                found |= dict(zip(numbers, zip(first, second, strict=True), strict=True))
            except DAMAGED:
                continue
        return found

    def save_all(
        self, block: int, pairs: Sequence[int], matches: Iterable[Arrays]
    ) -> dict[int, Arrays]:
        """Store matches as they arrive.

        Args:
            block: number of the block.
            pairs: indices of the pairs.
            matches: the matching keypoints of both images of each pair.

        Returns:
            The matches by the index of the pair.
        """
        saved: dict[int, Arrays] = {}
        chunk: dict[int, Arrays] = {}
        for pair, arrays in zip(pairs, matches, strict=True):
            chunk[pair] = arrays
            if len(chunk) == CHUNK or pair == pairs[-1]:
                self._save(block, chunk)
                saved |= chunk
                chunk = {}
        return saved

    def remove(self, block: int) -> None:
        """Delete the matches of a block.

        Args:
            block: number of the block.
        """
        for file in self._files(block):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _save(self, block: int, chunk: dict[int, Arrays]) -> None:
        first, second = zip(*chunk.values(), strict=True)
        target = self.folder / f"matches-{block:06d}-{next(iter(chunk)):08d}.npz"
        with atomic_path(target) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                pairs=np.array(list(chunk)),
                counts=np.array([len(rows) for rows in first]),
                first=np.concatenate(first),
                second=np.concatenate(second),
            )

    def _files(self, block: int) -> list[Path]:
        return sorted(self.folder.glob(f"matches-{block:06d}-*.npz"))
