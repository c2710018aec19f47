"""The run folder: config.json and model.keras, written by training and reopened by everything else."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from posenet.calibration import Correction, Corrections, corrected
from posenet.config import Head, TrainConfig
from posenet.datasets import open_scene
from posenet.errors import PoseNetError
from posenet.framing import Framing
from posenet.scene import Camera, Scene
from posenet.storage import atomic_path, write_text

CONFIG, MODEL, HISTORY, EVALUATION = "config.json", "model.keras", "history.csv", "evaluation"


@dataclass(frozen=True)
class Run:
    """A run folder and what its config.json says.

    framing: how pictures become the network's input. centre, scale: of the training positions, in the scene's
    unit. held_out: names of the training pictures that chose the model. split: the rule that set test pictures aside.
    head: "pose" or "points", how the network answers (see models/build.py). camera: that of most training pictures, if
    it is known; one_camera: whether all see its view angle. corrections: of the scene's intrinsics (see
    calibration.py).
    """

    folder: Path
    config: TrainConfig
    scene: Path
    unit: str
    framing: Framing
    centre: tuple[float, ...]
    scale: float
    held_out: tuple[str, ...] = ()
    precision: str = "float32"
    split: str = "auto"
    head: Head = "pose"
    camera: Camera | None = None
    one_camera: bool = False
    corrections: Corrections = field(default_factory=dict)

    def open_scene(self, path: Path | None = None, strict: bool = False) -> Scene:
        """The run's scene, or the same one at another path, with the run's split and corrected intrinsics."""
        return corrected(open_scene(path or self.scene, strict=strict, split=self.split), self.corrections)

    def save(self) -> None:
        """Write config.json."""
        values = {"format": 1, "scene": str(self.scene), "unit": self.unit, "precision": self.precision}
        values |= {"split": self.split, "stored": list(self.framing.stored), "cut": list(self.framing.cut)}
        values |= {"centre": list(self.centre), "scale": self.scale, "head": self.head}
        values["one_camera"] = self.one_camera
        values["corrections"] = {source: list(each) for source, each in self.corrections.items()}
        values["camera"] = asdict(self.camera) if self.camera else None
        values |= {"settings": json.loads(self.config.to_json()), "held_out": list(self.held_out)}
        write_text(self.folder / CONFIG, json.dumps(values, indent=2) + "\n")

    def save_model(self, network) -> None:
        """Write model.keras, whole or not at all."""
        with atomic_path(self.folder / MODEL) as temporary:
            network.save(temporary)

    def load_model(self):
        """The trained network: raw RGB float (b, h, w, 3) -> {"position", "quaternion"}.

        Raises PoseNetError when model.keras is missing or cannot be read. Marshalled code in it is never run.
        """
        path = self.folder / MODEL
        if not path.is_file():
            raise PoseNetError(f"{path} is missing: the run has not trained long enough to keep a model")
        import keras

        import posenet.models  # noqa: F401  the layers must be registered before loading

        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise PoseNetError(f"{path} must be a model written by posenet, it cannot be read ({reason})") from None


def open_run(folder: Path) -> Run:
    """Read RUN/config.json. Raises PoseNetError when it is missing, corrupted or of another format."""
    path = folder / CONFIG
    if not folder.is_dir():
        raise PoseNetError(f"{folder}: no such run folder")
    if not path.is_file():
        raise PoseNetError(f"{folder} must be a run folder, it holds no {CONFIG}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != 1:
            raise ValueError(f"format {values['format']}, this version reads format 1")
        framing = Framing(tuple(values["stored"]), tuple(values["cut"]))
        config = TrainConfig.from_dict(values["settings"])
        return Run(
            folder=folder,
            config=config,
            scene=Path(values["scene"]),
            unit=str(values["unit"]),
            framing=framing,
            centre=tuple(float(value) for value in values["centre"][:3]),
            scale=float(values["scale"]),
            held_out=tuple(values["held_out"]),
            precision=values["precision"],
            split=values.get("split", "auto"),
            head=values.get("head", "pose"),
            one_camera=bool(values.get("one_camera", False)),
            corrections={
                source: Correction(*map(float, each)) for source, each in values.get("corrections", {}).items()
            },
            camera=Camera(**values["camera"]) if values.get("camera") else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PoseNetError(
            f"{path} must be the configuration that training wrote, it cannot be read ({error})"
        ) from None


def new_run_folder(folder: Path, overwrite: bool) -> None:
    """Make an empty run folder. Raises PoseNetError when it exists, unless overwrite; then only a run is replaced."""
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not overwrite:
            raise PoseNetError(
                f"{folder} exists: give --resume to go on, --overwrite to replace it, or another --output"
            )
        if not (folder / CONFIG).is_file():
            raise PoseNetError(f"{folder} is no run folder (no {CONFIG}), it is not overwritten")
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"{folder} cannot be made: {error.strerror}") from None
