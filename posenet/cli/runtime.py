"""The runtime that a command computes the network with."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from posenet.errors import PoseNetError

if TYPE_CHECKING:
    from posenet.models.inference import Network
    from posenet.run import Run

log = logging.getLogger("posenet")


def start_runtime(name: str, run: Run) -> Network | None:
    """Start Keras, or load the exported network of a run instead.

    Args:
        name: the value of --runtime: "onnx", or a backend of Keras.
        run: the run.

    Returns:
        The network in ONNX Runtime; None with Keras, where a localizer loads the Keras model.

    Raises:
        PoseNetError: a package is missing, or the network cannot be exported.
    """
    if name == "onnx":
        return _exported_network(run)
    from posenet.cli.startup import start_keras

    start_keras(name)
    return None


def _exported_network(run: Run) -> Network:
    """Load the ONNX file of a run; export it first if there is none for its model."""
    from posenet.export.cached import load_exported

    network = load_exported(run)
    if network is not None:
        return network
    from posenet.cli.startup import start_keras
    from posenet.export.export import export_run

    log.info("exporting the network to ONNX, which takes TensorFlow this one time")
    start_keras("tensorflow", "the export to ONNX")
    made = export_run(run, "onnx", overwrite=True)
    log.info("written: %s", made.path)
    network = load_exported(run)
    if network is None:
        raise PoseNetError(f"{run.folder} must not be trained while it is exported")
    return network
