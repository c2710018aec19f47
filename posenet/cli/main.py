"""The commands: train, evaluate, predict, and the door to the others. Only cli*.py print results."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import tyro

from posenet.cli.options import (
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
from posenet.cli.scene import capture, captured, convert, courtyard, info
from posenet.cli.weights import classify, convert_weights, inspect_weights
from posenet.config import COURTYARD_MINUTES, TTA_VIEWS, TrainConfig
from posenet.errors import EmptySplitError, PoseNetError

log = logging.getLogger("posenet")

COURTYARD = Path("scenes") / "courtyard"


def train(config: TrainConfig) -> None:
    """The train command: make the courtyard if no scene is given, train, evaluate, draw."""
    from posenet.cli.startup import start_tensorflow

    if config.scene is None and not (config.resume and config.output):
        config = replace(
            config,
            scene=COURTYARD,
            backbone="googlenet"
            if config.backbone == "auto" and not config.resume
            else config.backbone,
        )
        if config.epochs is None and config.minutes is None and not config.resume:
            config = replace(config, minutes=COURTYARD_MINUTES)
        if not COURTYARD.exists():
            from posenet.datasets.courtyard.generate import make_courtyard

            log.info("making the courtyard in %s", COURTYARD)
            make_courtyard(COURTYARD)
    from posenet.io.images import VIDEO_SUFFIXES

    if config.scene is not None and (
        config.scene.is_file() or config.scene.suffix.lower() in VIDEO_SUFFIXES
    ):
        config = replace(config, scene=captured(config.scene, there=config.resume))
    if config.output is None and config.scene is not None:
        config = replace(config, output=Path("runs") / Path(config.scene).resolve().name)
    start_tensorflow()
    from posenet.training import train as training

    run = training.train(config)
    print(f"trained: {run.folder}")
    if config.evaluate:
        try:
            evaluate(EvaluateConfig(run.folder))
        except EmptySplitError as error:
            log.warning("not evaluated: %s", error)


def evaluate(config: EvaluateConfig) -> None:
    """The evaluate command."""
    from posenet.evaluation import evaluate as evaluation
    from posenet.evaluation.report import report, report_folder, write_evaluation

    published = (
        config.poses is None
        and not config.run.is_dir()
        and (config.run.is_file() or config.scene is not None)
    )
    if (config.poses or published) and (config.tta_views, config.smooth, config.refine) != (
        TTA_VIEWS,
        False,
        False,
    ):
        raise PoseNetError(
            "--tta-views, --smooth and --refine need a run, received a pose file or published weights"
        )
    if not config.poses and not published and config.split != "auto":
        raise PoseNetError(
            f"--split is for pose files and published weights, a run has its own; received {config.split}"
        )
    if config.poses is not None:
        result = evaluation.evaluate_poses(
            config.poses, config.run, strict=config.strict, test_split=config.split
        )
        folder = config.output
    elif published:
        from posenet.cli.startup import start_tensorflow

        if config.scene is None:
            raise PoseNetError(f"{config.run}: published weights need a scene to be evaluated on")
        start_tensorflow()
        from posenet.evaluation.published import evaluate_weights

        result = evaluate_weights(
            config.run,
            config.scene,
            config.graph,
            config.legacy,
            config.mean,
            config.strict,
            config.split,
            config.epsilon,
        )
        folder = config.output
    else:
        from posenet.cli.startup import start_tensorflow
        from posenet.run import open_run

        run = open_run(config.run)
        folder = report_folder(
            config.output or run.folder / "evaluation"
        )  # what is wrong with it is said first
        start_tensorflow()
        from posenet.localization.localizer import LocalizationOptions

        options = LocalizationOptions(config.tta_views, config.smooth, config.refine)
        result = evaluation.evaluate_run(run, config.scene, config.strict, options)
    if folder is not None:
        write_evaluation(result, folder, config.plot)
        log.info("written: %s", folder)
    print(json.dumps(result.summary(), indent=2) if config.json else report(result))


def predict(config: PredictConfig) -> None:
    """The predict command."""
    import numpy as np

    from posenet.cli.startup import start_tensorflow
    from posenet.run import open_run

    run = open_run(config.run)
    start_tensorflow()
    from posenet.evaluation.pose_files import PREDICTED
    from posenet.localization import predict as prediction
    from posenet.localization.localizer import LocalizationOptions

    paths = prediction.image_files(config.images)
    options = LocalizationOptions(config.tta_views, config.smooth, config.refine)
    found = prediction.predict(run, paths, options, config.show_retrieved)
    answers, refined = found.answers, found.answers.refinement
    print(
        f"{PREDICTED}; then doubt_deg"
        + ", inliers, deviation" * config.refine
        + ", nearest" * config.show_retrieved
    )
    table = np.hstack([answers.poses.positions, answers.poses.quaternions_wxyz])
    columns = [
        ["nan"] * len(table)
        if answers.doubt_deg is None
        else [f"{each:.3f}" for each in answers.doubt_deg]
    ]
    if refined:
        columns += [refined.inliers.tolist(), [f"{each:.4g}" for each in refined.deviations[:, 0]]]
    columns += [found.nearest] if found.nearest else []
    for row, values, usable, *more in zip(found.rows, table, answers.found, *columns, strict=True):
        if usable:
            print(paths[row], *(f"{value:.6f}" for value in values), *more)
    if config.plot:
        log.info("written: %s", prediction.draw(run, answers.poses[answers.found], config.plot))


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
    """Run one command; returns the exit code: 0 done, 1 failed, 130 interrupted. Wrong use leaves by SystemExit(2)."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = None
    with suppress(ValueError):  # not in the main thread
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # as Ctrl-C: what is half done is cleared away
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        chosen = tyro.cli(
            command, prog=program, args=arguments, config=(tyro.conf.OmitArgPrefixes,)
        )
        chosen = chosen.command if isinstance(chosen, SceneCommand | WeightsCommand) else chosen
        COMMANDS[type(chosen)](chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the results has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PoseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:  # of no file of the user's
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        train_hint = "; --resume goes on from the last epoch, if there was one"
        hints = {TrainConfig: train_hint, CaptureConfig: "; the same command goes on"}
        refining = getattr(chosen, "refine", False)
        hint = (
            "; a map that was being made goes on with the same command"
            if refining
            else hints.get(type(chosen), "")
        )
        print(f"interrupted{hint}", file=sys.stderr)
        return 130
    return 0
