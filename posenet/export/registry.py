"""The registry of export formats: one file and one line each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from posenet.environment import import_extra, is_installed, missing_extra
from posenet.errors import PoseNetError
from posenet.export import litert, onnx, openvino, saved_model
from posenet.models.inference import Network

if TYPE_CHECKING:
    import keras


class ExportFormat(Protocol):
    """A module that writes and loads one format.

    Attributes:
        FILE: name of the file in a run folder; its suffix is required.
        COMPANIONS: suffixes of the files beside it that belong to it.
        MODULES: modules that writing and checking import.
        EXTRA: the extra of this package that installs them.
    """

    FILE: str
    COMPANIONS: tuple[str, ...]
    MODULES: tuple[str, ...]
    EXTRA: str

    def write(self, network: keras.Model, path: Path) -> None:
        """Write a network.

        Args:
            network: the network.
            path: the file to write.
        """

    def load(self, path: Path) -> Network:
        """Load a written network in the format's own runtime.

        Args:
            path: the file.

        Returns:
            The network.
        """


FORMATS: dict[str, ExportFormat] = {
    "onnx": onnx,
    "litert": litert,
    "saved-model": saved_model,
    "openvino": openvino,
}


def get_format(name: str) -> ExportFormat:
    """Return an export format whose packages are installed.

    Args:
        name: one of `FORMATS`.

    Returns:
        The module of the format.

    Raises:
        PoseNetError: there is no such format, or a package is missing.
    """
    if name not in FORMATS:
        raise PoseNetError(f"--to must be one of {', '.join(FORMATS)}; received {name!r}")
    chosen = FORMATS[name]
    if not is_installed("tensorflow"):
        raise missing_extra("tensorflow", f"posenet export --to {name}")
    for module in chosen.MODULES:
        import_extra(module, chosen.EXTRA, f"posenet export --to {name}")
    return chosen
