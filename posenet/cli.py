"""The commands. The only place that prints; heavy imports happen inside the commands."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import tyro

from posenet.commands import (
    AnyCommand,
    CaptureConfig,
    ClassifyConfig,
    ConvertConfig,
    ConvertWeightsConfig,
    CourtyardConfig,
    EvaluateConfig,
    InfoConfig,
    InspectConfig,
    PredictConfig,
    SceneCommand,
    WeightsCommand,
)
from posenet.config import COURTYARD_MINUTES, VIDEO_SUFFIXES, TrainConfig
from posenet.errors import PoseNetError

log = logging.getLogger("posenet")

COURTYARD = Path("scenes") / "courtyard"


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
    if config.scene is not None and (config.scene.is_file() or config.scene.suffix.lower() in VIDEO_SUFFIXES):
        config = replace(config, scene=_captured(config.scene))
    if config.output is None and config.scene is not None:
        config = replace(config, output=Path("runs") / Path(config.scene).resolve().name)
    start_tensorflow()
    from posenet import training

    run = training.train(config)
    print(f"trained: {run.folder}")
    if config.evaluate:
        evaluate(EvaluateConfig(run.folder))


def _captured(video: Path) -> Path:
    """The scene that capture makes of a video, made unless it is there."""
    from posenet.datasets.capture import belongs_to, is_finished
    from posenet.datasets.capture import capture as make_scene
    from posenet.datasets.capture_frames import is_video

    if not video.exists():
        raise PoseNetError(f"{video}: no such video")
    if not is_video(video):
        raise PoseNetError(f"{video} must be a scene's folder or a video, it is another file")
    name = video.stem.replace(" ", "_")
    folders = (Path("scenes") / (name if number == 1 else f"{name}_{number}") for number in range(1, 10**6))
    folder = next(each for each in folders if not each.exists() or belongs_to(each, video))
    if not is_finished(folder, video):
        log.info("making a scene of %s in %s", video, folder)
        make_scene((video,), folder)
    return folder


def evaluate(config: EvaluateConfig) -> None:
    """The evaluate command."""
    from posenet import evaluation
    from posenet.report import report, write_evaluation

    if config.poses is not None:
        result = evaluation.evaluate_poses(config.poses, config.run, strict=config.strict)
        folder = config.output
    elif not config.run.is_dir() and (config.run.is_file() or config.scene is not None):
        from posenet.quiet import start_tensorflow

        if config.scene is None:
            raise PoseNetError(f"{config.run}: published weights need a scene to be evaluated on")
        start_tensorflow()
        from posenet.weights.published import evaluate_weights

        result = evaluate_weights(
            config.run, config.scene, config.graph, config.legacy, config.mean, config.strict, config.split
        )
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


def inspect_weights(config: InspectConfig) -> None:
    """The weights inspect command."""
    from posenet.quiet import start_tensorflow
    from posenet.weights.load import read_weights, weight_format

    kind = weight_format(config.file)
    if kind == "checkpoint":
        start_tensorflow()
    weights = read_weights(config.file, config.order)
    shapes = {layer: {name: list(array.shape) for name, array in arrays.items()} for layer, arrays in weights.items()}
    count = sum(array.size for arrays in weights.values() for array in arrays.values())
    if config.json:
        print(json.dumps({"format": kind, "parameters": count, "layers": shapes}, indent=2))
        return
    for layer, parts in shapes.items():
        print(f"{layer:<40} " + ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in parts.items()))
    print(f"{kind}: {len(shapes)} layers, {count:,} numbers")


def convert_weights(config: ConvertWeightsConfig) -> None:
    """The weights convert command."""
    from posenet.quiet import start_tensorflow

    start_tensorflow()
    from posenet.weights.convert import convert_weights as convert_file

    print(convert_file(config.file, config.output, config.graph, config.order, config.overwrite))


def classify(config: ClassifyConfig) -> None:
    """The classify command."""
    from posenet.quiet import start_tensorflow

    start_tensorflow()
    from posenet.classify import classify as classes_of

    for name, share in classes_of(config.image, config.trunk, config.weights):
        print(f"{share:6.1%}  {name}")


def courtyard(config: CourtyardConfig) -> None:
    """The scene courtyard command."""
    from posenet.datasets.courtyard import make_courtyard

    make_courtyard(config.output, train=config.train, test=config.test, seed=config.seed)
    print(f"made: {config.output} ({config.train} training and {config.test} test pictures)")


def info(config: InfoConfig) -> None:
    """The scene info command."""
    from posenet.conventions import check_convention
    from posenet.datasets import open_scene_with_faults, read_scene, settled_split
    from posenet.datasets.pictures import is_there
    from posenet.scene_facts import facts_text, scene_facts

    raw = read_scene(config.scene)
    pictures = any(is_there(raw.root / name) for name in raw.names)
    if not pictures:
        log.warning("%s: none of the listed pictures is there, the labels alone are looked at", raw.name)
    level = log.level
    log.setLevel(logging.ERROR)  # the report says it all
    try:
        scene, faults = open_scene_with_faults(config.scene, config.strict, pictures, config.split)
    finally:
        log.setLevel(level)
    convention = check_convention(scene, pictures)
    facts = scene_facts(scene, faults, raw.format, settled_split(config.scene, config.split), convention)
    if config.plot:
        from posenet.scene_map import write_scene_map

        if config.map and config.map.suffix.lower() != ".png":
            raise PoseNetError(f"--map must be a .png file, received {config.map}")
        target = config.map or Path(f"{scene.name}_map.png")
        write_scene_map(target, scene)
        log.info("written: %s", target)
    print(json.dumps(facts.to_dict(), indent=2) if config.json else facts_text(facts))


def convert(config: ConvertConfig) -> None:
    """The scene convert command."""
    from posenet.datasets import convert as converting
    from posenet.datasets import open_scene

    scene = open_scene(config.scene, config.strict, split=config.split)
    converting.convert(scene, config.output, config.to, config.copy)
    print(f"written: {config.output} ({len(scene)} pictures)")


def capture(config: CaptureConfig) -> None:
    """The scene capture command."""
    from posenet.datasets import capture as capturing

    if len(config.paths) < 2:
        received = ", ".join(map(str, config.paths)) or "nothing"
        raise PoseNetError(f"photographs or a video and a folder to write are needed, received {received}")
    *inputs, output = config.paths
    result = capturing.capture(
        tuple(inputs), output, config.scale if any(config.scale) else None, config.align, config.pictures
    )
    print(
        f"captured: {output}, {result.placed} of {result.pictures} pictures placed, {result.points} 3-D points, ",
        end="",
    )
    print(f"mean reprojection error {result.reprojection_px:.2f} px, unit {result.unit}")
    if result.unplaced:
        print("not placed: " + ", ".join(result.unplaced))


COMMANDS: dict[type, Callable] = {
    TrainConfig: train,
    EvaluateConfig: evaluate,
    PredictConfig: predict,
    InfoConfig: info,
    ConvertConfig: convert,
    CaptureConfig: capture,
    ClassifyConfig: classify,
    InspectConfig: inspect_weights,
    ConvertWeightsConfig: convert_weights,
    CourtyardConfig: courtyard,
}


def main(arguments: list[str] | None = None, command=AnyCommand, program: str = "posenet") -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = None
    try:
        chosen = tyro.cli(command, prog=program, args=arguments, config=(tyro.conf.OmitArgPrefixes,))
        chosen = chosen.command if isinstance(chosen, SceneCommand | WeightsCommand) else chosen
        COMMANDS[type(chosen)](chosen)
    except PoseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hints = {TrainConfig: "; --resume goes on from the last epoch", CaptureConfig: "; the same command goes on"}
        print("interrupted" + hints.get(type(chosen), ""), file=sys.stderr)
        return 130
    return 0
