"""Export the network of a run, check it in its own runtime, and keep it only if it agrees."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from posenet.environment import hidden_stderr
from posenet.errors import PoseNetError, first_line
from posenet.export.cached import STAMP, description_path, model_stamp
from posenet.export.registry import ExportFormat, get_format
from posenet.io.files import write_text
from posenet.run import Run

if TYPE_CHECKING:
    from posenet.export.check import CheckResult


# Every SavedModel folder contains this file.
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Export:
    """An exported network.

    Attributes:
        path: the file, or the folder of a SavedModel.
        size: bytes of all its files.
        check: how it differs from Keras.
    """

    path: Path
    size: int
    check: CheckResult


def export_run(
    run: Run, format_name: str, output: Path | None = None, *, overwrite: bool = False
) -> Export:
    """Export the network of a run to a file, and write its description beside it.

    Args:
        run: the run.
        format_name: one of `FORMATS`.
        output: the file to write. Default: a name for each format in the run folder.
        overwrite: replace the file if it exists.

    Returns:
        The export.

    Raises:
        PoseNetError: the format is unknown or lacks a package, the file exists or cannot be
            written, the run has no model, or the exported network does not load or differs from
            Keras. Nothing is written then.
    """
    chosen = get_format(format_name)
    target = Path(output) if output is not None else run.folder / chosen.FILE
    _require_writable(chosen, target, overwrite)
    stamp = model_stamp(run)  # before the model is loaded: a training may replace it at any time
    model = run.load_model()
    # They import Keras.
    import keras

    from posenet.export.check import check_images, compare, require_agreement
    from posenet.export.description import describe
    from posenet.export.network import export_network

    if (backend := keras.backend.backend()) != "tensorflow":
        raise PoseNetError(f"the export requires Keras on TensorFlow, here it runs on {backend}")
    network = export_network(model)
    images = check_images(run)
    with _temporary_folder(target) as folder:
        temporary = folder / target.name
        with quiet(format_name):
            chosen.write(network, temporary)
            check = compare(chosen.load(temporary), model, images)
        require_agreement(check, run.position_scale)
        shapes = {name: tuple(output.shape) for name, output in network.output.items()}
        description = describe(run, format_name, check, shapes) | {STAMP: stamp}
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        write_text(description_path(temporary), json.dumps(description, indent=2) + "\n")
        _move(folder, target)
    return Export(target, size, check)


def _require_writable(chosen: ExportFormat, target: Path, overwrite: bool) -> None:
    """Check the name of the file to write before the work starts."""
    suffix = Path(chosen.FILE).suffix
    if suffix and target.suffix != suffix:
        raise PoseNetError(f"--output must end with {suffix}, received {target}")
    if not target.parent.is_dir():
        raise PoseNetError(f"--output must be in a folder that exists, received {target}")
    pieces = [target, *map(target.with_suffix, chosen.COMPANIONS), description_path(target)]
    existing = [piece for piece in pieces if os.path.lexists(piece)]
    if existing and not overwrite:
        raise PoseNetError(f"output already exists: {existing[0]} (use --overwrite to replace it)")
    for piece in existing:
        if piece.is_dir() != (piece == target and not suffix) or (
            piece.is_dir() and not (piece / SAVED_MODEL).is_file()
        ):
            raise PoseNetError(
                f"--overwrite replaces exported networks only, {piece} is something else"
            )


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    """Make a folder beside a target, which is removed at the end of a block."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise PoseNetError(f"{target} cannot be written: {error.strerror or error}") from error


@contextmanager
def quiet(format_name: str) -> Iterator[None]:
    """Hide what other libraries print during a block; what they raise becomes one line.

    Args:
        format_name: name of the format, for the message.

    Yields:
        Nothing.

    Raises:
        PoseNetError: the block has failed.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with hidden_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PoseNetError:
        raise
    except Exception as error:
        raise PoseNetError(
            f"the network cannot be exported to {format_name} ({first_line(error)})"
        ) from None
    finally:
        logging.disable(disabled)


def _move(folder: Path, target: Path) -> None:
    """Move the files in a folder beside a target to their places, the target itself last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == target.name):
        place = target.with_name(path.name)
        if place.is_dir():
            shutil.rmtree(place)
        path.replace(place)
