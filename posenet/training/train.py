"""Training: a scene and settings in, a run folder with the best model out."""

from __future__ import annotations

import gc
import logging
import math
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, first_line
from posenet.geometry.metrics import mean_pose_errors, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import ImageArray, load_images
from posenet.mapping.keypoints import remembered
from posenet.models.build import build_network, get_backbone, inference_network
from posenet.models.inference import predict_in_batches
from posenet.models.weights.pretrained import default_backbone, initialize_backbone
from posenet.run import HISTORY, CHECKPOINT, Run, open_run
from posenet.training import callbacks
from posenet.training.batches import TrainingBatches
from posenet.training.device import configure_device
from posenet.training.head_warmup import warm_up_heads
from posenet.training.losses import GeometricLoss, LearnedWeightsLoss, PoseNetLoss
from posenet.training.prepare import (
    check_backbone,
    check_resume_settings,
    choose_head,
    described,
    training_batches,
)
from posenet.training.progress import Progress
from posenet.training.run_folder import new_run_folder, resumed_run_folder
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")


def train(config: TrainConfig) -> Run:
    """Train on the training split of config.scene and write the run folder config.output; returns the run.

    With config.resume the run folder's own settings are used. Raises PoseNetError for what the user can mend,
    and when the loss becomes NaN (the last good model, if there is one, stays).
    """
    started = time.monotonic()
    output = config.output
    if output is None:
        raise PoseNetError("training needs an output folder")
    if config.resume:
        run = open_run(output)
        check_resume_settings(config, run)
        with resumed_run_folder(output):
            return _fit(run.config, started, run)
    if config.scene is None:
        raise PoseNetError("training needs a scene")
    if config.backbone == "auto":
        config = replace(config, backbone=default_backbone())
    check_backbone(config)
    with new_run_folder(output, config.overwrite):
        return _fit(config, started, None)


def _fit(config: TrainConfig, started: float, resumed: Run | None) -> Run:
    precision = configure_device(config.precision, get_backbone(config.backbone).halves)
    keras.utils.set_random_seed(config.seed)
    with remembered():
        run, scene, images, batches = _prepared(config, resumed, precision)
    held_out, state = np.isin(scene.names, run.validation_images), run.folder / CHECKPOINT
    if not state.is_file():
        run = replace(run, head=choose_head(config, batches))
        run.save()
    budget = callbacks.TrainingBudget(config.epochs, 60 * config.budget, batches.steps, started)
    trainer = _trainer(config, run, None if resumed and state.is_file() else batches, budget)
    validation = _validation(
        trainer, run, scene.subset(held_out), images, np.flatnonzero(held_out), budget
    )
    backup = callbacks.TrainingCheckpoint(state, budget, validation, lambda: _save(trainer, run))
    done = backup.restore(trainer) if resumed and state.is_file() else 0
    if budget.progress >= 1:
        log.warning(
            "%s",
            "nothing is left to train"
            if done
            else "the preparation took all the time: one step is trained",
        )
    if budget.progress < 1 or not done:
        kept = [validation] if validation else []
        progress = Progress(budget, scene.unit, batches.batch_size)
        history = callbacks.History(run.folder / HISTORY, budget, done)
        schedule = callbacks.WarmupCosine(
            budget, config.learning_rate or get_backbone(config.backbone).learning_rate
        )
        trainer.fit(
            batches.stream(done), epochs=config.epochs or 10**6, initial_epoch=done, steps_per_epoch=batches.steps,
            callbacks=[schedule, callbacks.StopOnNaN(), *kept, progress, history, backup], verbose=0, shuffle=False,
        )  # fmt: skip
        gc.collect()  # the batches' thread must end before Python does
    if validation:
        position, degrees = validation.best_errors
        log.info(
            "kept epoch %d: held out %.3f %s %.1f deg",
            validation.best_epoch,
            position,
            scene.unit,
            degrees,
        )
    else:
        _save(trainer, run)
    return run


def _prepared(
    config: TrainConfig, resumed: Run | None, precision: str
) -> tuple[Run, Scene, ImageArray, TrainingBatches]:
    """The run, its training scene and images, those held out among them, and the batches of the others."""
    if resumed:
        run, scene = resumed, resumed.training_scene(strict=config.strict)
    else:
        scene = open_scene(config.scene or Path(), strict=config.strict, split=config.split).split(
            "train"
        )
        run, scene = described(config, scene, precision)
    images = load_images(scene.paths, run.crop.resized, "training images")
    scene = scene.subset(images.rows).moved(-np.array(run.origin))
    held_out = np.isin(scene.names, run.validation_images)
    run.save()
    log.info(
        "%s: %d images to train on, %d held out; the network sees %d x %d, %s",
        scene.name, (~held_out).sum(), held_out.sum(), *run.crop.size[::-1], precision,
    )  # fmt: skip
    return run, scene, images, training_batches(config, scene, images, run, ~held_out)


def _trainer(
    config: TrainConfig, run: Run, fresh: TrainingBatches | None, budget: callbacks.TrainingBudget
) -> Trainer:
    """The network with its loss and optimizer; fresh: what to start its heads with, None for a run that goes on."""
    try:
        network = build_network(*_plan(run), head=run.head, rotation=config.rotation)
    except ValueError as error:
        raise PoseNetError(
            f"--backbone {config.backbone} takes no images of {run.crop.size}: {first_line(error)}"
        ) from None
    kinds = {"learned": LearnedWeightsLoss, "geometric": GeometricLoss}
    loss = (
        kinds[config.loss](run.position_scale) if config.loss in kinds else PoseNetLoss(config.beta)
    )
    trainer = Trainer(network, loss)
    loaded = initialize_backbone(network, config.backbone, config.weights) if fresh else None
    if fresh and loaded:
        told = (
            f"{len(loaded.matched)} of its layers"
            if config.weights in ("auto", "imagenet")
            else loaded
        )
        log.info("the backbone starts from published weights: %s", told)
        if not get_backbone(config.backbone).auxiliary and budget.progress < 1:
            warm_up_heads(trainer, fresh, config.budget)
    trainer.compile(optimizer=_optimizer(), jit_compile=False)
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _optimizer() -> keras.optimizers.Optimizer:
    """Muon (Jordan 2024) for the heads' dense layers: the position is learned in half as many steps.
    Adam, at half the rate, for all else: convolutions, normalization, outputs of positions and quaternions.

    The wide layers of the 2015 heads stay with Adam too: Muon's matrix products would slow them.
    Now and then a step's gradient is twenty times the usual; with beta_2 = 0.999 Adam took it for a real step, and
    the loss rose for several epochs. With 0.95 it soon counts in the divisor too.
    """
    others = ["_xyz", "_wpqr", "_fc"]
    return keras.optimizers.Muon(
        exclude_layers=others,
        weight_decay=None,
        adam_weight_decay=None,
        adam_lr_ratio=0.5,
        adam_beta_2=0.95,
    )


def _save(trainer: Trainer, run: Run) -> None:
    """Write model.keras: the float32 network of the final head."""
    run.save_model(inference_network(trainer.network, *_plan(run), run.head, run.config.rotation))


def _plan(run: Run) -> tuple[str, tuple[int, int], tuple[float, ...], float]:
    """Backbone, input size, and the positions' center and scale of a run's network."""
    return run.config.backbone, run.crop.size, run.position_mean, run.position_scale


def _validation(trainer: Trainer, run: Run, scene: Scene, images, rows: np.ndarray, budget):
    """The callback that measures the held-out images; None when there are none."""
    if len(rows) == 0:
        return None
    held_out = images.subset(rows)

    def measure() -> tuple[float, float]:
        outputs = predict_in_batches(trainer.final_head, held_out, run.crop)
        if not all(np.isfinite(each).all() for each in outputs.values()):
            return math.nan, math.nan
        estimate = Poses.from_quaternions(outputs["position"], outputs["quaternion"])
        errors = position_errors(estimate, scene.poses), rotation_errors_deg(estimate, scene.poses)
        return float(np.median(errors[0])), float(np.median(errors[1]))

    spread, turn = (
        float(np.median(errors)) for errors in mean_pose_errors(scene.poses, scene.poses)
    )
    scales = (
        max(spread, 0.01 * run.position_scale),
        max(turn, 0.1),
    )  # those of images from one place tell nothing
    return callbacks.BestModel(measure, lambda: _save(trainer, run), scales, budget)
