"""What tests do in a process of its own, on a backend of Keras and without TensorFlow.

python -m tests.helpers.backend_work BACKEND FOLDER: FOLDER contains the scene `plane`, a finished run
and an unfinished run of another backend, and images.npy. Writes own_run and results.npz, and prints
facts as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from posenet.config import TrainConfig
from posenet.environment import import_keras
from posenet.errors import PoseNetError


class Hiding:
    """A finder of modules that does not find one package."""

    def __init__(self, finder: Any, package: str) -> None:
        self.finder = finder
        self.package = package

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(self, name: str, *arguments: Any) -> Any:
        """Return what the finder finds, None for the package."""
        is_hidden = name.partition(".")[0] == self.package
        return None if is_hidden else self.finder.find_spec(name, *arguments)


def hide(package: str) -> None:
    """Make a package that is not imported yet seem not to be installed.

    None in `sys.modules` would not do: Keras takes a name in there for an imported module.
    """
    sys.meta_path = [Hiding(finder, package) for finder in sys.meta_path]


def main(backend: str, folder: Path) -> dict[str, Any]:
    """Do all of the work."""
    hide("tensorflow")
    import_keras(backend)
    import keras

    from posenet.run import open_run
    from tests.helpers.tiny import register_tiny

    register_tiny()
    keras.utils.set_random_seed(0)
    facts: dict[str, Any] = {"backend": keras.backend.backend()}
    images = np.load(folder / "images.npy")
    outputs = open_run(folder / "run").load_model().predict_on_batch(images)
    np.savez(folder / "results.npz", **{name: np.asarray(each) for name, each in outputs.items()})
    facts |= trained(folder) | parts() | refusals(folder)
    return facts


def trained(folder: Path) -> dict[str, Any]:
    """Train a run with an interruption, and resume one of another backend."""
    from posenet.training.callbacks import read_history
    from posenet.training.train import train
    from tests.helpers.tiny import TINY, StopAfter

    run = folder / "own_run"
    config = TrainConfig(folder / "plane", run, epochs=2, **TINY)
    train(config, [StopAfter(1)])
    train(TrainConfig(None, run, resume=True))
    train(TrainConfig(None, folder / "unfinished", resume=True))
    histories = {
        name: [float(row["loss"]) for row in read_history(folder / name / "history.csv")]
        for name in ("own_run", "unfinished")
    }
    return {"histories": histories}


def parts() -> dict[str, Any]:
    """Train single networks: losses, frozen stages, the head warm-up, and averages."""
    from tests.backends import test_parts

    passed = []
    for name, test in vars(test_parts).items():
        if name.startswith("test_"):
            test()
            passed.append(name)
    return {"passed": passed}


def refusals(folder: Path) -> dict[str, Any]:
    """Return the messages about what requires TensorFlow."""
    from posenet.export.export import export_run
    from posenet.models.weights.tf1 import read_checkpoint
    from posenet.run import open_run

    (folder / "model.ckpt.index").touch()
    works = {
        "export": lambda: export_run(open_run(folder / "run"), "saved-model"),
        "checkpoint": lambda: read_checkpoint(folder / "model.ckpt"),
    }
    messages = {}
    for name, work in works.items():
        try:
            work()
        except PoseNetError as error:
            messages[name] = str(error)
    return messages


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
