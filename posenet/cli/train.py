"""The command `train`."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from posenet.cli.cluster import tasks_on
from posenet.cli.evaluate import evaluate
from posenet.cli.options import EvaluateConfig
from posenet.cli.scene import reconstruct_video
from posenet.config import COURTYARD_MINUTES, TrainConfig
from posenet.errors import EmptySplitError

log = logging.getLogger("posenet")

# Where the built-in scene is generated.
COURTYARD = Path("scenes") / "courtyard"


def train(config: TrainConfig) -> None:
    """Train a network on a scene, then evaluate it and draw figures.

    Without a scene, the courtyard is generated; a video is reconstructed first. With --add, another
    scene is added to a run.

    Args:
        config: the options.
    """
    if config.add is None:
        config = _with_output(_with_scene(config))
    with tasks_on(config.scheduler):
        _train_and_evaluate(config)


def _train_and_evaluate(config: TrainConfig) -> None:
    from posenet.cli.startup import start_keras

    start_keras("jax" if config.hosts else config.backend, join_hosts=config.hosts)
    from posenet.training import train as training
    from posenet.training.devices import leave_hosts, own_share

    run = training.train(config)
    if config.hosts:
        is_first = own_share().is_first
        leave_hosts()
        if not is_first:
            return
    print(f"trained: {run.folder}")
    if config.evaluate:
        try:
            evaluate(EvaluateConfig(run.folder))
        except EmptySplitError as error:
            log.warning("not evaluated: %s", error)


def _with_scene(config: TrainConfig) -> TrainConfig:
    """Return the options with a scene folder: the courtyard, or that of a video."""
    from posenet.io.image_headers import VIDEO_SUFFIXES

    scene = config.scene
    if scene is None:
        is_resumed_run = config.resume and config.output is not None
        return config if is_resumed_run else _with_courtyard(config)
    if scene.is_file() or scene.suffix.lower() in VIDEO_SUFFIXES:
        return replace(config, scene=reconstruct_video(scene, must_exist=config.resume))
    return config


def _with_output(config: TrainConfig) -> TrainConfig:
    """Return the options with a run folder, named like the scene."""
    if config.output is not None or config.scene is None:
        return config
    return replace(config, output=Path("runs") / Path(config.scene).resolve().name)


def _with_courtyard(config: TrainConfig) -> TrainConfig:
    """Return the options of a training on the courtyard, which is generated if needed."""
    config = replace(config, scene=COURTYARD)
    if not config.resume and config.epochs is None and config.minutes is None:
        config = replace(config, minutes=COURTYARD_MINUTES)
    if not COURTYARD.exists():
        from posenet.datasets.courtyard.generate import make_courtyard

        log.info("generating the courtyard in %s", COURTYARD)
        make_courtyard(COURTYARD)
    return config
