"""The command `export`, and the exported network for `predict --runtime onnx`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posenet.cli.options import Positional
from posenet.errors import PoseNetError

log = logging.getLogger("posenet")

MEGABYTE = 1e6


@dataclass(frozen=True)
class ExportConfig:
    """Export the network of a run for use without posenet, and check the file.

    Writes the file and FILE.json, which describes input, preprocessing and outputs. The file is
    loaded in its own runtime and compared with Keras on eight training images; it is kept only if
    both agree. Prints the file, its size, the largest differences and the time of one image. All
    formats but saved-model require the extra `export`.
    """

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote."""
    to: Literal["onnx", "litert", "saved-model", "openvino"]
    """Format: onnx for ONNX Runtime and most other runtimes, litert for phones, saved-model for
    TensorFlow, openvino for Intel's processors."""
    output: Path | None = None
    """File to write, a folder for saved-model. Default: model.onnx, model.tflite, saved_model or
    model.xml in RUN, unless RUN is a packed run."""
    overwrite: bool = False
    """Replace the file if it exists."""


def export(config: ExportConfig) -> None:
    """Export the network of a run and print a summary of the file.

    Args:
        config: the options.

    Raises:
        PoseNetError: the network cannot be exported, or a packed run has no place for the file.
    """
    from posenet.cli.startup import start_keras
    from posenet.export.export import export_run
    from posenet.run import open_run
    from posenet.run_files import is_packed

    if is_packed(config.run) and config.output is None:
        raise PoseNetError(f"exporting the packed run {config.run} requires --output FILE")
    run = open_run(config.run)
    start_keras("tensorflow", "posenet export")
    made = export_run(run, config.to, config.output, overwrite=config.overwrite)
    check = made.check
    differences = ", ".join(f"{name} {value:.1e}" for name, value in check.differences.items())
    print(
        f"{made.path}: {made.size / MEGABYTE:.1f} MB; largest differences from Keras on "
        f"{check.source}: {differences}; one image {check.milliseconds:.1f} ms, Keras "
        f"{check.keras_milliseconds:.1f} ms"
    )
