"""Names, options, columns and keys that programs of users rely on do not disappear.

After an addition: python -m tests.test_public_surface writes the list anew. What is missing from it
afterwards needs a new major version.
"""

import dataclasses
import json
from pathlib import Path

import posenet
from posenet.cli.commands import COMMANDS
from posenet.cli.predict import _columns, _json_line
from posenet.run_config import format_config
from posenet.training.callbacks import HISTORY_COLUMNS

SURFACE = Path(__file__).parent / "fixtures" / "public_surface.json"
CLASSES = ("Run", "Scene", "Localizer", "PoseEstimates", "PoseTracker", "Evaluation", "Poses")


def public_members(kind: type) -> list[str]:
    """Return the public attributes and methods of a class, fields of dataclasses included."""
    names = {name for name in dir(kind) if not name.startswith("_")}
    if dataclasses.is_dataclass(kind):
        names |= {field.name for field in dataclasses.fields(kind)}
    return sorted(names)


def surface() -> dict[str, list[str]]:
    """Return everything public by where it is."""
    from tests.cli.test_terminal import ESTIMATE

    found = {"posenet": sorted(posenet.__all__), "history.csv": sorted(HISTORY_COLUMNS)}
    for name in CLASSES:
        found[f"posenet.{name}"] = public_members(getattr(posenet, name))
    for config in COMMANDS:
        found[config.__name__] = sorted(field.name for field in dataclasses.fields(config))
    found["predict"] = sorted(_columns(ESTIMATE, ""))
    found["predict --json"] = sorted(json.loads(_json_line("", ESTIMATE, "")))
    found["config.json"] = sorted(format_config(example_run()))
    return found


def example_run():
    """Return a run that is not on the disk."""
    from posenet.config import TrainConfig
    from posenet.geometry.cropping import Crop
    from posenet.run import Run

    return Run(
        folder=Path("run"),
        config=TrainConfig(Path("scene")),
        scene=Path("scene"),
        unit="m",
        crop=Crop((96, 128), (96, 128)),
        position_mean=(0.0, 0.0, 0.0),
        position_scale=1.0,
    )


def test_nothing_public_has_disappeared():
    known = json.loads(SURFACE.read_text())
    found = surface()
    missing = [
        f"{place}: {name}"
        for place, names in known.items()
        for name in names
        if name not in found.get(place, [])
    ]
    assert missing == []


def test_the_list_is_complete():
    assert json.loads(SURFACE.read_text()) == surface()


if __name__ == "__main__":
    SURFACE.write_text(json.dumps(surface(), indent=1) + "\n")
