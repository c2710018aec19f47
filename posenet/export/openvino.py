"""OpenVINO, for Intel's processors: an .xml file with the graph, and a .bin file with weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posenet.environment import available_cores, import_extra

if TYPE_CHECKING:
    import keras

FILE = "model.xml"
COMPANIONS: tuple[str, ...] = (".bin",)
EXTRA = "export"
MODULES: tuple[str, ...] = ("openvino",)
# Processors that compute bfloat16 or float16 would do so by default.
PRECISION = "f32"


def write(network: keras.Model, path: Path) -> None:
    """Write a network.

    Args:
        network: the network.
        path: the .xml file to write; the .bin file is written beside it.
    """
    network.export(str(path), format="openvino", verbose=False)


def load(path: Path) -> OpenVINONetwork:
    """Load an exported network.

    Args:
        path: the .xml file.

    Returns:
        The network in OpenVINO.

    Raises:
        PoseNetError: OpenVINO is not installed.
    """
    return OpenVINONetwork(path)


class OpenVINONetwork:
    """A network in OpenVINO, on the CPU in float32."""

    def __init__(self, path: Path) -> None:
        core = import_extra("openvino", EXTRA, "OpenVINO").Core()
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISION,
            "INFERENCE_NUM_THREADS": available_cores(),
        }
        self.compiled = core.compile_model(str(path), "CPU", settings)

    def predict_on_batch(self, images: Any) -> dict[str, np.ndarray]:
        """Return the outputs by name, shape (n, ...), float32.

        Args:
            images: raw RGB images 0-255, shape (n, h, w, 3).

        Returns:
            The outputs, each under all of its names.
        """
        values = self.compiled({"image": np.asarray(images, np.float32)})
        return {name: value for port, value in values.items() for name in port.names}
