"""The commands. The only place that prints; heavy imports happen inside the commands."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from posenet.config import COURTYARD_MINUTES, TrainConfig
from posenet.errors import PoseNetError

log = logging.getLogger("posenet")

Positional = tyro.conf.Positional
COURTYARD = Path("scenes") / "courtyard"


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a run on its test split, beside the baselines, and draw the camera path."""

    run: Annotated[Path, Positional]
    """Run folder that training wrote. With --poses: the scene's folder."""
    scene: Annotated[Path | None, Positional] = None
    """Folder of the scene. Default: the one the run was trained on."""
    poses: Path | None = None
    """Score this pose file instead of a network: TUM lines, or lines `name X Y Z W P Q R`."""
    output: Path | None = None
    """Folder for the results. Default: RUN/evaluation; none with --poses."""
    json: bool = False
    """Print summary.json instead of the table."""
    plot: bool = True
    """Draw the camera path and the error curves."""
    strict: bool = False
    """Refuse a scene with any label fault instead of reporting and dropping."""


@dataclass(frozen=True)
class PredictConfig:
    """Tell where the camera stood for new pictures.

    Prints lines `name x y z qw qx qy qz`: the camera centre, and the rotation from camera to world axes.
    """

    run: Annotated[Path, Positional]
    """Run folder that training wrote."""
    images: Annotated[tuple[Path, ...], Positional]
    """Pictures, or folders of pictures."""


@dataclass(frozen=True)
class CourtyardConfig:
    """Make the built-in synthetic scene: a courtyard in the Cambridge Landmarks layout."""

    output: Annotated[Path, Positional]
    """Folder to write."""
    train: int = 300
    """Training pictures, three walks."""
    test: int = 100
    """Test pictures, a walk of their own."""
    seed: int = 0
    """Another seed gives another courtyard."""


@dataclass(frozen=True)
class InfoConfig:
    """Say what a scene's folder holds: pictures, splits, unit, extent, label faults."""

    scene: Annotated[Path, Positional]
    """Folder of the scene."""
    strict: bool = False
    """Fail on any label fault."""


@dataclass(frozen=True)
class SceneCommand:
    """Look at or make scenes."""

    command: (
        Annotated[InfoConfig, tyro.conf.subcommand("info")]
        | Annotated[CourtyardConfig, tyro.conf.subcommand("courtyard")]
    )


def train(config: TrainConfig) -> None:
    """The train command: make the courtyard if no scene is given, train, evaluate, draw."""
    from posenet.quiet import start_tensorflow

    if config.scene is None and not (config.resume and config.output):
        config = replace(config, scene=COURTYARD)
        if config.epochs is None and config.minutes is None:
            config = replace(config, minutes=COURTYARD_MINUTES)
        if not COURTYARD.exists():
            from posenet.datasets.courtyard import make_courtyard

            log.info("making the courtyard in %s", COURTYARD)
            make_courtyard(COURTYARD)
    if config.output is None and config.scene is not None:
        config = replace(config, output=Path("runs") / Path(config.scene).resolve().name)
    start_tensorflow()
    from posenet import training

    run = training.train(config)
    print(f"trained: {run.folder}")
    if config.evaluate:
        evaluate(EvaluateConfig(run.folder))


def evaluate(config: EvaluateConfig) -> None:
    """The evaluate command."""
    from posenet import evaluation
    from posenet.report import report, write_evaluation

    if config.poses is not None:
        result = evaluation.evaluate_poses(config.poses, config.run, strict=config.strict)
        folder = config.output
    else:
        from posenet.quiet import start_tensorflow
        from posenet.run import open_run

        run = open_run(config.run)
        start_tensorflow()
        result = evaluation.evaluate_run(run, config.scene, strict=config.strict)
        folder = config.output or run.folder / "evaluation"
    if folder is not None:
        write_evaluation(result, folder, config.plot)
        log.info("written: %s", folder)
    print(json.dumps(result.summary(), indent=2) if config.json else report(result))


def predict(config: PredictConfig) -> None:
    """The predict command."""
    from posenet.quiet import start_tensorflow
    from posenet.run import open_run

    run = open_run(config.run)
    start_tensorflow()
    from posenet.prediction import picture_files, predict_poses
    from posenet.trajectories import PREDICTED

    paths = picture_files(config.images)
    poses, found = predict_poses(run, paths)
    print(PREDICTED)
    for path, position, quaternion, good in zip(paths, poses.positions, poses.quaternions_wxyz, found, strict=True):
        if good:
            print(path, *(f"{value:.6f}" for value in (*position, *quaternion)))


def courtyard(config: CourtyardConfig) -> None:
    """The scene courtyard command."""
    from posenet.datasets.courtyard import make_courtyard

    make_courtyard(config.output, train=config.train, test=config.test, seed=config.seed)
    print(f"made: {config.output} ({config.train} training and {config.test} test pictures)")


def info(config: InfoConfig) -> None:
    """The scene info command."""
    from posenet.datasets import open_scene

    scene = open_scene(config.scene, strict=config.strict)
    known = sum(camera is not None for camera in scene.cameras)
    low, high = scene.poses.positions.min(axis=0), scene.poses.positions.max(axis=0)
    print(f"{scene.name}: {len(scene)} pictures, intrinsics known for {known}")
    for split in ("train", "test"):
        chosen = scene.splits == split
        print(f"{split}: {chosen.sum()} pictures in {len(set(scene.sequences[chosen]))} sequences")
    print(f"camera positions extend over {' x '.join(f'{side:.2f}' for side in high - low)} {scene.unit}")


COMMANDS: dict[type, Callable] = {
    TrainConfig: train,
    EvaluateConfig: evaluate,
    PredictConfig: predict,
    InfoConfig: info,
    CourtyardConfig: courtyard,
}

AnyCommand = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[PredictConfig, tyro.conf.subcommand("predict")]
    | Annotated[SceneCommand, tyro.conf.subcommand("scene")]
)


def main(arguments: list[str] | None = None, command=AnyCommand, program: str = "posenet") -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        chosen = tyro.cli(command, prog=program, args=arguments, config=(tyro.conf.OmitArgPrefixes,))
        chosen = chosen.command if isinstance(chosen, SceneCommand) else chosen
        COMMANDS[type(chosen)](chosen)
    except PoseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; train with --resume goes on from the last epoch", file=sys.stderr)
        return 130
    return 0
