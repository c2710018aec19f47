"""Images that are decoded and resized once: in memory if they are few, otherwise memory-mapped."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from posenet.errors import PoseNetError, count, name_first
from posenet.io.files import (
    atomic_path,
    fingerprint_file,
    require_free_space,
    reserve_space,
    write_text,
)
from posenet.io.images import DECODER_VERSION, load_image
from posenet.io.json_files import read_json
from posenet.io.stored_arrays import DAMAGED
from posenet.io.user_folders import cache_folder

log = logging.getLogger("posenet")

# Bytes up to which images stay in memory.
IN_MEMORY_BYTES = 256 * 2**20
# Bytes that are decoded between two releases of memory.
STEP_BYTES = 64 * 2**20
# Days after which cached files that nobody read, and unfinished ones, are removed.
UNUSED_DAYS = 30
UNFINISHED_DAYS = 2
SECONDS_PER_DAY = 86400


class ImageArray:
    """n resized images, (n, h, w, 3) uint8, that are read in any order without growing the process.

    Attributes:
        array: all images.
        scene_rows: for each of the n images, its index among the images that were requested.
            Images that did not decode are missing.
        array_rows: for each of the n images, its index in `array`.
        issues: why images did not decode.
    """

    def __init__(
        self,
        array: np.ndarray,
        scene_rows: np.ndarray,
        issues: list[str],
        array_rows: np.ndarray | None = None,
    ) -> None:
        self.array = array
        self.scene_rows = scene_rows
        self.issues = issues
        self.array_rows = scene_rows if array_rows is None else array_rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.array_rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return images, (h, w, 3) or (k, h, w, 3) uint8."""
        return np.asarray(self.array[self.array_rows[index]])

    def subset(self, index: np.ndarray) -> ImageArray:
        """Return some of the images without a copy.

        Args:
            index: indices of the images.

        Returns:
            These images.
        """
        return ImageArray(self.array, self.scene_rows[index], self.issues, self.array_rows[index])

    def release(self) -> None:
        """Release the mapped pages of this process; they stay in the system's page cache."""
        mapped = getattr(self.array, "_mmap", None)
        if mapped is not None and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)


def release(images: Any) -> None:
    """Call `release` of an image array, or of anything that is indexed like one.

    Args:
        images: the images.
    """
    if hasattr(images, "release"):
        images.release()


def load_images(
    paths: Sequence[Path],
    size: tuple[int, int],
    label: str = "images",
    *,
    in_memory_bytes: int = IN_MEMORY_BYTES,
    quarter_turns: int = 0,
) -> ImageArray:
    """Load images at one size, from the disk cache if it is valid.

    A cached file is valid for exactly these files with their sizes and modification times.

    Args:
        paths: the image files.
        size: (height, width) to resize to.
        label: what the images are, for the log.
        in_memory_bytes: size in bytes up to which images stay in memory.
        quarter_turns: number of counter-clockwise rotations by 90 degrees.

    Returns:
        The images that decode.

    Raises:
        PoseNetError: no image decodes, or the disk is full.
    """
    shape = (len(paths), *size, 3)
    total = int(np.prod(shape))
    if total <= in_memory_bytes:
        array = np.empty(shape, np.uint8)
        issues = _decode_all(paths, array, quarter_turns, label)
        return _drop_undecoded(array, issues)
    target = cache_folder() / f"{_fingerprint(paths, size, quarter_turns)}.npy"
    if target.exists():
        try:
            log.info("%s: read from the cache %s", label, target)
            return _open_cached(target, shape)
        except DAMAGED:
            log.warning("%s: the cache %s is damaged and made again", label, target)
    log.info("%s: %.1f GB decoded, cached in %s", label, total / 1e9, target)
    _prepare_folder(target.parent, total)
    with atomic_path(target) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        reserve_space(temporary)
        issues = _decode_all(paths, array, quarter_turns, label)
        array.flush()
        del array
        # Before the images have their name: another process may read both from then on.
        text = json.dumps({str(row): issue for row, issue in issues.items()})
        write_text(target.with_suffix(".json"), text)
    return _open_cached(target, shape)


def _prepare_folder(folder: Path, size: int) -> None:
    """Make the cache folder and room in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(
            f"{folder} cannot be made ({error.strerror}): set POSENET_CACHE to a folder"
        ) from None
    require_free_space(folder, size)
    _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    """Remove files that nobody has read for a month, and unfinished ones of killed processes."""
    now = time.time()
    for path in folder.glob("*.npy"):
        days = UNFINISHED_DAYS if path.name.startswith(".") else UNUSED_DAYS
        with suppress(OSError):  # another process may remove it at the same time
            if now - path.stat().st_mtime > days * SECONDS_PER_DAY:
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)


def _open_cached(target: Path, shape: tuple[int, ...]) -> ImageArray:
    array = np.load(target, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{target} has shape {array.shape} and type {array.dtype}")
    issues = read_json(target.with_suffix(".json"))
    with suppress(OSError):
        os.utime(target)  # see _remove_unused
    return _drop_undecoded(array, {int(row): issue for row, issue in issues.items()})


def warn_dropped(issues: Sequence[str], total: int) -> None:
    """Log the images that do not decode in one line.

    Args:
        issues: why each of them does not.
        total: number of all images.
    """
    if issues:
        images = count(total, "image")
        log.warning("%d of %s dropped: %s", len(issues), images, name_first(issues))


def _drop_undecoded(array: np.ndarray, issues: dict[int, str]) -> ImageArray:
    rows = np.setdiff1d(np.arange(len(array)), list(issues))
    if len(rows) == 0:
        first = next(iter(issues.values()), "no image was given")
        raise PoseNetError(f"at least one image must decode: {first}")
    warn_dropped(list(issues.values()), len(array))
    return ImageArray(array, rows, list(issues.values()))


def _decode_all(
    paths: Sequence[Path], array: np.ndarray, quarter_turns: int, label: str
) -> dict[int, str]:
    """Fill an array (n, h, w, 3) with images; return the issues of those that do not decode."""
    issues: dict[int, str] = {}
    height, width = array.shape[1:3]
    step = max(1, STEP_BYTES // max(1, array[0].nbytes)) if len(array) else 1

    def decode(row: int) -> tuple[int, str | None]:
        try:
            array[row] = load_image(paths[row], height, width, quarter_turns=quarter_turns)
        except PoseNetError as error:
            return row, str(error)
        return row, None

    bar = tqdm(
        total=len(paths),
        desc=f"reading {label}",
        unit="",
        leave=False,
        disable=None,
        file=sys.stderr,
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        for start in range(0, len(paths), step):
            rows = range(start, min(start + step, len(paths)))
            for row, issue in pool.map(decode, rows):
                bar.update()
                if issue:
                    issues[row] = issue
            if isinstance(array, np.memmap):
                array.flush()
                ImageArray(array, np.empty(0, int), []).release()
    return issues


def _fingerprint(paths: Sequence[Path], size: tuple[int, int], quarter_turns: int) -> str:
    digest = hashlib.sha256(repr((DECODER_VERSION, (*size, quarter_turns))).encode())
    for path in paths:
        digest.update(fingerprint_file(path, str(path.resolve())))
    return digest.hexdigest()[:32]
