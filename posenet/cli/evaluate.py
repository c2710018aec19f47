"""The commands `evaluate` and `evaluate-poses`, and the script evaluate.py."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posenet.cli.options import EvaluateConfig, EvaluatePosesConfig, EvaluateWeightsConfig
from posenet.errors import PoseNetError

if TYPE_CHECKING:
    from posenet.evaluation.evaluate import Evaluation

log = logging.getLogger("posenet")


def evaluate(config: EvaluateConfig) -> None:
    """Evaluate a run on its test split, write the files and print the report.

    Args:
        config: the options.
    """
    result = evaluate_quietly(config)
    print(json.dumps(result.summary(), indent=2) if config.json else result)


def evaluate_quietly(config: EvaluateConfig) -> Evaluation:
    """Evaluate a run on its test split and write the files.

    Args:
        config: the options.

    Returns:
        The evaluation.

    Raises:
        PoseNetError: the run is packed and no scene is given.
    """
    from posenet.evaluation.report import make_report_folder
    from posenet.run import open_run
    from posenet.run_files import is_packed

    run = open_run(config.run)
    # A folder that cannot be written is reported before the work starts.
    packed = is_packed(config.run)
    if packed and config.scene is None:
        raise PoseNetError(
            f"evaluating a packed run requires its scene: posenet evaluate {config.run} SCENE"
        )
    own = Path(f"{run.scene.name}_evaluation") if packed else run.folder / "evaluation"
    folder = make_report_folder(config.output or own)
    from posenet.interop.bag_writer import remove_bag, require_bags

    if config.bag:
        require_bags("--bag")
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.evaluation.evaluate import evaluate_run
    from posenet.localization.localizer import LocalizationOptions

    options = LocalizationOptions(
        tta_views=config.tta_views, smooth=config.smooth, refine=config.refine
    )
    result = evaluate_run(run, config.scene, strict=config.strict, options=options)
    result.save(folder, plot=config.plot, formats=config.figures)
    log.info("written: %s", folder)
    from posenet.cli.bags import EVALUATION_BAG, write_evaluation_bag

    remove_bag(folder / EVALUATION_BAG)
    if config.bag:
        write_evaluation_bag(result, folder / EVALUATION_BAG)
    return result


def evaluate_poses(config: EvaluatePosesConfig) -> None:
    """Evaluate a pose file.

    Args:
        config: the options.
    """
    from posenet.evaluation.evaluate import evaluate_poses as evaluate_file

    result = evaluate_file(config.file, config.scene, strict=config.strict, split_rule=config.split)
    print_evaluation(
        result, config.output, plot=config.plot, formats=config.figures, as_json=config.json
    )


def print_evaluation(
    result: Evaluation,
    folder: Path | None,
    *,
    plot: bool,
    formats: Sequence[str],
    as_json: bool,
) -> None:
    """Write the files of an evaluation and print its report.

    Args:
        result: the evaluation.
        folder: the folder to write to, None to write no files.
        plot: draw the figures.
        formats: formats of the figures.
        as_json: print JSON instead of the report.
    """
    if folder is not None:
        result.save(folder, plot=plot, formats=formats)
        log.info("written: %s", folder)
    print(json.dumps(result.summary(), indent=2) if as_json else result)


def evaluate_script(arguments: Sequence[str] | None = None) -> int:
    """Run evaluate.py RUN|WEIGHTS [SCENE]: a run or a weight file, by what the path is.

    Args:
        arguments: the arguments. Default: those of the process.

    Returns:
        The exit code.
    """
    from posenet.cli.main import main

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    is_weights = any(_is_weight_file(Path(argument)) for argument in arguments)
    command = EvaluateWeightsConfig if is_weights else EvaluateConfig
    return main(arguments, command=command, program="evaluate.py")


def _is_weight_file(path: Path) -> bool:
    """Return whether a path is a file, or the prefix of a TensorFlow 1 checkpoint."""
    if path.is_dir() or not path.name:
        return False
    if path.suffix.lower() == ".zip":  # a packed run
        return False
    return path.is_file() or path.with_name(f"{path.name}.index").is_file()
