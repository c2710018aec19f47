"""Create, replace and lock run folders."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.files import exclusive_lock
from posenet.io.folders import list_folder
from posenet.run import CHECKPOINT, CONFIG, MODEL, OLD_CHECKPOINT

log = logging.getLogger("posenet")


@contextmanager
def new_run_folder(folder: Path, *, overwrite: bool) -> Iterator[None]:
    """Create an empty, locked run folder for a block.

    If the block fails before training has saved anything, the folder is removed, and an earlier run
    is restored.

    Args:
        folder: the run folder.
        overwrite: replace an earlier run.

    Yields:
        Nothing.

    Raises:
        PoseNetError: the folder exists and `overwrite` is False, it is not a run folder, or another
            training uses it.
    """
    target = folder.resolve()  # the target of a link
    backup = _backup_folder(target)
    if folder.exists() and (not folder.is_dir() or list_folder(folder)):
        _check_replaceable(folder, overwrite)
        try:
            with exclusive_lock(folder):
                _set_aside(target, backup)
        except OSError as error:
            raise PoseNetError(f"{folder} cannot be replaced: {error.strerror}") from None
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"{folder} cannot be made: {error.strerror}") from None
    with exclusive_lock(folder), _restoring_backup(target, backup):
        yield


@contextmanager
def resumed_run_folder(folder: Path) -> Iterator[None]:
    """Lock a run folder for a block that resumes its training.

    Args:
        folder: the run folder.

    Yields:
        Nothing.

    Raises:
        PoseNetError: another training uses it.
    """
    with exclusive_lock(folder):
        yield
        if _has_checkpoint(folder):
            shutil.rmtree(_backup_folder(folder.resolve()), ignore_errors=True)


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raise PoseNetError unless an existing folder may be replaced."""
    if not overwrite:
        raise PoseNetError(
            f"run folder already exists: {folder} (use --resume to continue it, --overwrite to "
            "replace it, or another --output)"
        )
    if not (folder / CONFIG).is_file():
        raise PoseNetError(
            f"{folder} is not a run folder (it does not contain {CONFIG}), it is not overwritten"
        )
    if folder.resolve() == Path.cwd():
        raise PoseNetError(
            f"{folder} is the current folder, which cannot be replaced: give --output from outside"
        )


def _set_aside(folder: Path, backup: Path) -> None:
    """Move a run to its backup. A backup of an earlier run stays if this one saved nothing."""
    if backup.exists() and not _has_checkpoint(folder):
        shutil.rmtree(folder)
        return
    shutil.rmtree(backup, ignore_errors=True)
    folder.rename(backup)


def _has_checkpoint(folder: Path) -> bool:
    """Return whether training has saved anything."""
    return any((folder / name).is_file() for name in (CHECKPOINT, OLD_CHECKPOINT, MODEL))


@contextmanager
def _restoring_backup(folder: Path, backup: Path) -> Iterator[None]:
    """Restore the backup if the block fails before anything is saved, otherwise remove it."""
    try:
        yield
    except BaseException as error:
        saved_nothing = not _has_checkpoint(folder)
        if saved_nothing and (backup.exists() or isinstance(error, PoseNetError)):
            shutil.rmtree(folder, ignore_errors=True)
            if backup.exists():
                _restore(backup, folder)
        else:
            shutil.rmtree(backup, ignore_errors=True)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _restore(backup: Path, folder: Path) -> None:
    """Move the backup back; if that fails it stays, and the next training finds it."""
    try:
        backup.rename(folder)
    except OSError as error:
        log.warning(
            "the training saved nothing, and the earlier run is %s: %s", backup, error.strerror
        )
    else:
        log.info("the training saved nothing: restored the earlier run in %s", folder)


def _backup_folder(folder: Path) -> Path:
    """Return where the run that a new one replaces is kept meanwhile."""
    return folder.with_name(f".{folder.name}.replaced")
