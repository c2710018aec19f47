"""Images decoded and resized once: in memory when they are few, in a memory-mapped file otherwise."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path, fingerprint_file, require_free_space
from posenet.io.images import READING, load_image

log = logging.getLogger("posenet")

IN_MEMORY_BYTES = 256 * 2**20
DAYS_KEPT, DAYS_HALF_WRITTEN = 30, 2


def cache_folder() -> Path:
    """Where caches are kept: POSENET_CACHE, else posenet/ in the user's cache folder."""
    own = os.environ.get("POSENET_CACHE")
    return (
        Path(own)
        if own
        else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "posenet"
    )


class ImageArray:
    """n stored images, (n, h, w, 3) uint8, that are read in any order without growing the process.

    rows: which of the wanted images they are; those that did not decode are left out, and `faults` tells why.
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray, faults: list[str]):
        self.array, self.rows, self.faults = array, rows, faults
        self.chosen = rows  # which rows of the array these are

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index) -> np.ndarray:
        return np.asarray(self.array[self.chosen[index]])

    def subset(self, index) -> ImageArray:
        """The images at an index array, without a copy."""
        chosen = ImageArray(self.array, self.rows[index], self.faults)
        chosen.chosen = self.chosen[index]
        return chosen

    def release(self) -> None:
        """Let the system take back the file's pages that this process touched (they stay in its page cache)."""
        mapped = getattr(self.array, "_mmap", None)
        if mapped is not None and hasattr(mapped, "madvise"):
            import mmap

            mapped.madvise(mmap.MADV_DONTNEED)


def release(images) -> None:
    """`Images.release` for whatever is indexed like them."""
    if hasattr(images, "release"):
        images.release()


def load_images(
    paths: list[Path], size: tuple[int, int], label: str = "images", in_memory_bytes: int = IN_MEMORY_BYTES,
    quarter_turns: int = 0,
) -> ImageArray:  # fmt: skip
    """Images at size (height, width), turned as for `load_image`, from the disk cache where it is still valid.

    The cache belongs to exactly these files with these sizes and modification times. Images that do not
    decode are left out. Raises PoseNetError when none decodes, or the disk has no room.
    """
    shape = (len(paths), *size, 3)
    total = int(np.prod(shape))
    if total <= in_memory_bytes:
        array = np.empty(shape, np.uint8)
        return _kept(array, _decode_all(paths, (*size, quarter_turns), array, label))
    target = cache_folder() / f"{_fingerprint(paths, (*size, quarter_turns))}.npy"
    if target.exists():
        try:
            log.info("%s: read from the cache %s", label, target)
            return _opened(target, shape)
        except (ValueError, OSError, EOFError):  # json's errors are ValueErrors
            log.warning("%s: the cache %s is damaged, made anew", label, target)
    log.info("%s: %.1f GB as decoded, kept in %s", label, total / 1e9, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(
            f"{target.parent} cannot be made ({error.strerror}): set POSENET_CACHE to a folder"
        ) from None
    require_free_space(target.parent, total)
    _tidy(target.parent)
    with atomic_path(target) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        faults = _decode_all(paths, (*size, quarter_turns), array, label)
        array.flush()
        del array
        target.with_suffix(".json").write_text(
            json.dumps({str(row): why for row, why in faults.items()})
        )
    return _opened(target, shape)


def _tidy(folder: Path) -> None:
    """Remove what nobody has read for a month, and what a killed process has left half-written."""
    now = time.time()
    for path in folder.glob("*.npy"):
        with suppress(OSError):  # another process may be as tidy
            if (
                now - path.stat().st_mtime
                > (DAYS_HALF_WRITTEN if path.name.startswith(".") else DAYS_KEPT) * 86400
            ):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)


def _opened(target: Path, shape) -> ImageArray:
    array = np.load(target, mmap_mode="r")
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError("another shape")
    faults = json.loads(target.with_suffix(".json").read_text())
    with suppress(OSError):
        os.utime(target)  # it is read: see _tidy
    return _kept(array, {int(row): why for row, why in faults.items()})


def _kept(array, faults: dict[int, str]) -> ImageArray:
    rows = np.setdiff1d(np.arange(len(array)), list(faults))
    if len(rows) == 0:
        raise PoseNetError(
            f"at least one image must decode: {next(iter(faults.values()), 'no image was given')}"
        )
    for why in list(faults.values())[:3]:
        log.warning("image dropped: %s", why)
    if len(faults) > 3:
        log.warning("%d more images dropped", len(faults) - 3)
    return ImageArray(array, rows, list(faults.values()))


def _decode_all(paths, how, array, label) -> dict[int, str]:
    """Fill array with the images; {row: why} for those that do not decode."""
    faults = {}
    step = max(1, 64 * 2**20 // max(1, array[0].nbytes))

    def decode(row):
        try:
            array[row] = load_image(paths[row], *how)
        except PoseNetError as error:
            return row, str(error)
        return row, None

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(
            total=len(paths),
            desc=f"reading {label}",
            unit="",
            leave=False,
            disable=None,
            file=sys.stderr,
        ) as bar,
    ):
        for start in range(0, len(paths), step):
            for row, why in pool.map(decode, range(start, min(start + step, len(paths)))):
                bar.update()
                if why:
                    faults[row] = why
            if isinstance(array, np.memmap):
                array.flush()
                ImageArray(array, np.empty(0), []).release()
    return faults


def _fingerprint(paths: list[Path], how) -> str:
    digest = hashlib.sha256(repr((READING, tuple(how))).encode())
    for path in paths:
        digest.update(fingerprint_file(path, str(path.resolve())))
    return digest.hexdigest()[:32]
