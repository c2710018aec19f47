"""Train a network: a configuration becomes a run folder with the best model."""

from __future__ import annotations

import gc
import logging
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count, first_line
from posenet.geometry.metrics import mean_pose_errors, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import ImageArray, load_images
from posenet.mapping.keypoints import KeypointCache
from posenet.models.build import NetworkSpec, get_backbone
from posenet.models.inference import predict_in_batches
from posenet.models.weights.pretrained import default_backbone, initialize_backbone
from posenet.run import HISTORY, Run, open_run
from posenet.training.batches import TrainingBatches
from posenet.training.budget import TrainingBudget, WarmupCosine
from posenet.training.callbacks import BestModel, History, MedianErrors, StopOnNaN
from posenet.training.checkpoint import TrainingCheckpoint
from posenet.training.device import configure_device
from posenet.training.head_warmup import warm_up_heads
from posenet.training.losses.registry import create_loss
from posenet.training.optimizer import create_optimizer
from posenet.training.prepare import (
    check_backbone,
    check_resume_settings,
    choose_head,
    create_run,
    training_batches,
)
from posenet.training.progress import Progress
from posenet.training.run_folder import new_run_folder, resumed_run_folder
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")

# Number of epochs that is never reached when the time counts.
ENDLESS_EPOCHS = 10**6
# Smallest scales of the validation errors: of images from one place the baseline's are meaningless.
MIN_POSITION_SCALE = 0.01
MIN_ROTATION_SCALE_DEG = 0.1


@dataclass
class _Preparation:
    """What a training starts from."""

    run: Run
    scene: Scene
    images: ImageArray
    batches: TrainingBatches
    is_resumed: bool

    @property
    def validation_rows(self) -> np.ndarray:
        """Indices of the validation images."""
        return np.flatnonzero(np.isin(self.scene.names, self.run.validation_images))


def train(config: TrainConfig) -> Run:
    """Train on the training split of a scene and write the run folder.

    Args:
        config: the settings. To resume a run, only its output folder is needed.

    Returns:
        The run.

    Raises:
        PoseNetError: the settings or the scene are not usable, or training diverged; the best model
            so far is kept.
    """
    started = time.monotonic()
    output = config.output
    if output is None:
        raise PoseNetError("training requires an output folder, received none")
    if config.resume:
        run = open_run(output)
        check_resume_settings(config, run)
        with resumed_run_folder(output):
            return _train(run.config, started, run)
    if config.scene is None:
        raise PoseNetError("training requires a scene, received none")
    if config.backbone == "auto":
        config = replace(config, backbone=default_backbone())
    check_backbone(config)
    with new_run_folder(output, overwrite=config.overwrite):
        return _train(config, started, None)


def _train(config: TrainConfig, started: float, resumed: Run | None) -> Run:
    backbone = get_backbone(config.backbone)
    precision = configure_device(
        config.precision, benefits_from_bfloat16=backbone.benefits_from_bfloat16
    )
    keras.utils.set_random_seed(config.seed)
    prepared = _prepare(config, resumed, precision)
    checkpoint_path = prepared.run.checkpoint_path
    can_resume = prepared.is_resumed and checkpoint_path.is_file()
    if not checkpoint_path.is_file():
        prepared.run = replace(prepared.run, head=choose_head(config, prepared.batches))
        prepared.run.save()
    run = prepared.run
    budget = TrainingBudget(
        epochs=config.epochs,
        seconds=60 * config.budget,
        steps_per_epoch=prepared.batches.steps,
        started=started,
    )
    trainer = _create_trainer(run, None if can_resume else prepared.batches, budget)
    best_model = _create_validation(trainer, prepared, budget)
    checkpoint = TrainingCheckpoint(
        checkpoint_path, budget, best_model, lambda: _save_model(trainer, run)
    )
    epochs_done = checkpoint.restore(trainer) if can_resume else 0
    if budget.is_spent:
        _warn_spent(epochs_done)
    if not budget.is_spent or not epochs_done:
        _fit(trainer, prepared, budget, best_model, checkpoint, epochs_done)
    if best_model is None:
        _save_model(trainer, run)
    else:
        log.info(
            "kept epoch %d: validation %.3f %s %.1f deg",
            best_model.best_epoch,
            best_model.best_errors.position,
            prepared.scene.unit,
            best_model.best_errors.rotation_deg,
        )
    return run


def _prepare(config: TrainConfig, resumed: Run | None, precision: str) -> _Preparation:
    """Open the scene, load its images and make the batches."""
    keypoints = KeypointCache()
    if resumed:
        run = resumed
        scene = resumed.training_scene(strict=config.strict)
    else:
        assert config.scene is not None
        scene = open_scene(config.scene, strict=config.strict, split=config.split).split("train")
        run, scene = create_run(config, scene, precision, keypoints=keypoints)
    images = load_images(scene.paths, run.crop.resized, "training images")
    scene = scene.subset(images.scene_rows).translated(-np.array(run.origin))
    is_validation = np.isin(scene.names, run.validation_images)
    run.save()
    height, width = run.crop.size
    log.info(
        "%s: %s, %d for validation; input %d x %d, %s",
        scene.name,
        count(int((~is_validation).sum()), "training image"),
        is_validation.sum(),
        width,
        height,
        precision,
    )
    batches = training_batches(
        config, scene, images, run, chosen=~is_validation, keypoints=keypoints
    )
    return _Preparation(run, scene, images, batches, is_resumed=resumed is not None)


def _create_trainer(run: Run, batches: TrainingBatches | None, budget: TrainingBudget) -> Trainer:
    """Build the network with loss and optimizer.

    Batches are given for a new training: weights are initialized, and the heads warmed up.
    """
    config = run.config
    try:
        network = _network_spec(run).build()
    except ValueError as error:
        raise PoseNetError(
            f"--backbone {config.backbone} does not accept images of {run.crop.size}: "
            f"{first_line(error)}"
        ) from None
    loss = create_loss(config.loss, scale=run.position_scale, beta=config.beta)
    trainer = Trainer(network, loss)
    if batches is not None:
        report = initialize_backbone(network, config.backbone, config.weights)
        if report:
            is_imagenet = config.weights in ("auto", "imagenet")
            summary = f"{len(report.matched)} of its layers" if is_imagenet else report
            log.info("the backbone starts from published weights: %s", summary)
            if not get_backbone(config.backbone).auxiliary and not budget.is_spent:
                warm_up_heads(trainer, batches, config.budget)
    trainer.compile(optimizer=create_optimizer(), jit_compile=False)
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _create_validation(
    trainer: Trainer, prepared: _Preparation, budget: TrainingBudget
) -> BestModel | None:
    """Return the callback that selects the best model; None without validation images."""
    run = prepared.run
    rows = prepared.validation_rows
    if len(rows) == 0:
        return None
    images = prepared.images.subset(rows)
    ground_truth = prepared.scene.poses[rows]

    def measure() -> MedianErrors:
        outputs = predict_in_batches(trainer.final_head, images, run.crop)
        if not all(np.isfinite(values).all() for values in outputs.values()):
            return MedianErrors(math.nan, math.nan)
        estimate = Poses.from_quaternions(outputs["position"], outputs["quaternion"])
        return MedianErrors(
            float(np.median(position_errors(estimate, ground_truth))),
            float(np.median(rotation_errors_deg(estimate, ground_truth))),
        )

    position, rotation_deg = mean_pose_errors(ground_truth, ground_truth)
    scales = MedianErrors(
        max(float(np.median(position)), MIN_POSITION_SCALE * run.position_scale),
        max(float(np.median(rotation_deg)), MIN_ROTATION_SCALE_DEG),
    )
    return BestModel(measure, lambda: _save_model(trainer, run), scales, budget)


def _fit(
    trainer: Trainer,
    prepared: _Preparation,
    budget: TrainingBudget,
    best_model: BestModel | None,
    checkpoint: TrainingCheckpoint,
    epochs_done: int,
) -> None:
    run = prepared.run
    config = run.config
    peak = config.learning_rate or get_backbone(config.backbone).learning_rate
    callbacks: list[Any] = [WarmupCosine(budget, peak), StopOnNaN()]
    callbacks += [best_model] if best_model else []
    callbacks += [
        Progress(budget, prepared.scene.unit, prepared.batches.batch_size),
        History(run.folder / HISTORY, budget, epochs_done=epochs_done),
        checkpoint,
    ]
    trainer.fit(
        prepared.batches.stream(epochs_done),
        epochs=config.epochs or ENDLESS_EPOCHS,
        initial_epoch=epochs_done,
        steps_per_epoch=prepared.batches.steps,
        callbacks=callbacks,
        verbose=0,
        shuffle=False,
    )
    gc.collect()  # the thread of the batches must end before Python does


def _warn_spent(epochs_done: int) -> None:
    if epochs_done:
        log.warning("the training is finished, nothing is left to train")
    else:
        log.warning("preprocessing used up the time budget, training a single step")


def _save_model(trainer: Trainer, run: Run) -> None:
    """Write model.keras: the float32 network of the final head."""
    run.save_model(_network_spec(run).build_inference(trainer.network))


def _network_spec(run: Run) -> NetworkSpec:
    return NetworkSpec(
        backbone=run.config.backbone,
        size=run.crop.size,
        position_mean=run.position_mean,
        position_scale=run.position_scale,
        head=run.head,
        rotation=run.config.rotation,
    )
