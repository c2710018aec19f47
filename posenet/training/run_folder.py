"""Who may write to a run folder: a new training, in place of an earlier run, or one that goes on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.files import exclusive_lock
from posenet.run import CONFIG, MODEL, CHECKPOINT

log = logging.getLogger("posenet")


@contextmanager
def new_run_folder(folder: Path, overwrite: bool) -> Iterator[None]:
    """An empty run folder. When the block fails before training has kept anything, it is removed, and the run that was
    there before is put back.

    Raises PoseNetError when the folder exists, unless overwrite; then only a run is replaced, and when another training
    writes to it.
    """
    real = folder.resolve()  # of a link, what it leads to
    old = _earlier(real)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not overwrite:
            raise PoseNetError(
                f"{folder} exists: give --resume to go on, --overwrite to replace it, or another --output"
            )
        if not (folder / CONFIG).is_file():
            raise PoseNetError(f"{folder} is no run folder (no {CONFIG}), it is not overwritten")
        if real == Path.cwd():
            raise PoseNetError(
                f"{folder} is the current folder, which cannot be replaced: give --output from outside it"
            )
        try:
            with exclusive_lock(folder):
                _set_aside(real, old)
        except OSError as error:
            raise PoseNetError(f"{folder} cannot be replaced: {error.strerror}") from None
    try:
        real.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"{folder} cannot be made: {error.strerror}") from None
    with exclusive_lock(folder), _restored(real, old):
        yield


def _set_aside(folder: Path, old: Path) -> None:
    """Keep a run under the name `old` until the new one has begun: the one there, where a training that was killed
    before it kept anything has left both."""
    if old.exists() and not _begun(folder):
        shutil.rmtree(folder)
        return
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)


def _begun(folder: Path) -> bool:
    """Whether training has kept anything."""
    return (folder / CHECKPOINT).is_file() or (folder / MODEL).is_file()


@contextmanager
def _restored(folder: Path, old: Path) -> Iterator[None]:
    """A block that fills a new run folder: what it leaves when it fails, as `new_run_folder` says."""
    try:
        yield
    except BaseException as error:
        if not _begun(folder) and (old.exists() or isinstance(error, PoseNetError)):
            shutil.rmtree(folder, ignore_errors=True)
            if old.exists():
                _put_back(old, folder)
        else:
            shutil.rmtree(old, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _put_back(old: Path, folder: Path) -> None:
    """The earlier run under its own name again; where that fails it stays as `old`, which the next training heeds."""
    try:
        old.rename(folder)
    except OSError as error:
        log.warning("nothing new was kept, and the earlier run is %s: %s", old, error.strerror)
    else:
        log.info("nothing new was kept: %s is the earlier run again", folder)


@contextmanager
def resumed_run_folder(folder: Path) -> Iterator[None]:
    """A run folder whose training goes on. Raises PoseNetError when another training writes to it."""
    with exclusive_lock(folder):
        yield
        if _begun(folder):
            shutil.rmtree(_earlier(folder.resolve()), ignore_errors=True)


def _earlier(folder: Path) -> Path:
    """Where the run that a new one replaces is kept meanwhile."""
    return folder.with_name(f".{folder.name}.replaced")
