"""Train a network: a configuration becomes a run folder with the best model."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.environment import hidden_stderr
from posenet.errors import PoseNetError, count
from posenet.geometry.metrics import mean_pose_errors, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import ImageArray, load_images
from posenet.mapping.keypoints import KeypointCache
from posenet.models.build import get_backbone
from posenet.models.inference import predict_in_batches
from posenet.models.weights.pretrained import default_backbone, initialize_backbone
from posenet.run import HISTORY, Run, open_run
from posenet.run_config import MAX_VALIDATION_IMAGES, spread_evenly
from posenet.training.adding import check_add_settings, extend_run
from posenet.training.batch_norm import num_batches, refresh_averages
from posenet.training.batches import TrainingBatches
from posenet.training.budget import TrainingBudget, WarmupCosine
from posenet.training.build_trainer import (
    build_trainer,
    network_spec,
    plan_run,
    warn_short_training,
)
from posenet.training.callbacks import BestModel, History, MedianErrors, StopOnNaN
from posenet.training.checkpoint import TrainingCheckpoint
from posenet.training.depths import prepare_landmarks
from posenet.training.device import configure_device
from posenet.training.devices import distributed, on_one_device, own_share, wait_for_hosts
from posenet.training.head_warmup import warm_up_heads
from posenet.training.prepare import (
    check_backbone,
    check_resume_settings,
    choose_head,
    create_run,
    training_batches,
)
from posenet.training.progress import Progress
from posenet.training.run_folder import new_run_folder, resumed_run_folder
from posenet.training.tracking_tools import check_callbacks, tool_callbacks
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")

# Peak learning rate of a training that adds a scene, relative to that of a new network.
ADDED_RATE = 0.5
# Number of epochs that is never reached when the time counts.
ENDLESS_EPOCHS = 10**6
# The point at which the first of several processes has written what the others read.
PREPARED = "prepared"
# Smallest scales of the validation errors: of images from one place the baseline's are meaningless.
MIN_POSITION_SCALE = 0.01
MIN_ROTATION_SCALE_DEG = 0.1


@dataclass
class _Preparation:
    """What a training starts from.

    The trainer was built to measure the speed; it is None if the plan is for another one.
    """

    run: Run
    scene: Scene
    images: ImageArray
    batches: TrainingBatches
    is_resumed: bool
    trainer: Trainer | None = None
    callbacks: list[keras.callbacks.Callback] = field(default_factory=list)

    @property
    def validation_rows(self) -> np.ndarray:
        """Indices of the validation images; of more than 1000, as many are evenly taken."""
        rows = np.flatnonzero(self.scene.mask_names(self.run.validation_images))
        return spread_evenly(rows, MAX_VALIDATION_IMAGES)


def train(config: TrainConfig, callbacks: Sequence[keras.callbacks.Callback] = ()) -> Run:
    """Train on the training split of a scene and write the run folder.

    Args:
        config: the settings. To resume a run, only its output folder is needed.
        callbacks: Keras callbacks to run after those of the training.

    Returns:
        The run.

    Raises:
        PoseNetError: the settings, the scene or the callbacks are not usable, or training diverged;
            the best model so far is kept.
    """
    started = time.monotonic()
    output = config.output
    if config.add is not None:
        return _add(config, started, callbacks)
    if output is None:
        raise PoseNetError("training requires an output folder, received none")
    check_callbacks(callbacks, config.log)
    if config.hosts and not own_share().is_first:
        wait_for_hosts(PREPARED)
        return _train(open_run(output).config, started, open_run(output), ())
    if config.resume:
        assert output is not None
        run = open_run(output)
        check_resume_settings(config, run)
        if config.hosts and run.config.epochs is None:
            raise PoseNetError(f"--hosts requires a run with --epochs, {output} has --minutes")
        log_tool = config.log or run.config.log
        run = replace(run, config=replace(run.config, log=log_tool, hosts=config.hosts))
        check_callbacks(callbacks, run.config.log)
        with resumed_run_folder(output):
            return _train(run.config, started, run, callbacks)
    if config.scene is None:
        raise PoseNetError("training requires a scene, received none")
    if config.backbone == "auto":
        config = replace(config, backbone=default_backbone())
    check_backbone(config)
    with new_run_folder(output, overwrite=config.overwrite):
        return _train(config, started, None, callbacks)


def _add(config: TrainConfig, started: float, callbacks: Sequence[keras.callbacks.Callback]) -> Run:
    """Add a scene to a run: first to its map, then to its network."""
    folder = check_add_settings(config)
    run = open_run(folder)
    check_callbacks(callbacks, config.log or run.config.log)
    with resumed_run_folder(folder):
        run = extend_run(run, config, KeypointCache())
        return _train(run.config, started, run, callbacks)


def _train(
    config: TrainConfig,
    started: float,
    resumed: Run | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> Run:
    backbone = get_backbone(config.backbone)
    precision = configure_device(
        config.precision, benefits_from_bfloat16=backbone.benefits_from_bfloat16
    )
    with hidden_stderr():  # it imports TensorFlow if that is installed, on other backends too
        keras.utils.set_random_seed(config.seed)
    prepared = _prepare(config, resumed, precision, started)
    share = prepared.batches.share
    if share.is_first:
        prepared.callbacks = [*tool_callbacks(config.log, prepared.run.folder), *callbacks]
    checkpoint_path = prepared.run.checkpoint_path
    can_resume = prepared.is_resumed and checkpoint_path.is_file()
    planned_head = prepared.run.head
    if not checkpoint_path.is_file() and not prepared.run.added:
        head = choose_head(config, prepared.batches, prepared.run.plan)
        prepared.run = replace(prepared.run, head=head)
        if share.is_first:
            prepared.run.save()
    run = prepared.run
    if share.is_first and share.count > 1:
        wait_for_hosts(PREPARED)
    if not share.is_alone:  # the preparation may have drawn other numbers than another process
        keras.utils.set_random_seed(config.seed)
    budget = TrainingBudget(
        epochs=config.epochs,
        seconds=60 * config.budget,
        steps_per_epoch=prepared.batches.steps,
        started=started,
    )
    trainer = prepared.trainer if run.head == planned_head else None
    trainer = trainer or build_trainer(run)
    best_model = _create_validation(trainer, prepared, budget)
    is_started = not can_resume and _initialize(trainer, run, prepared.batches)
    if is_started and best_model and share.is_first:
        best_model.validate(0)  # a short training must not end worse than it began
    checkpoint = TrainingCheckpoint(
        checkpoint_path, budget, best_model, lambda: _save_model(trainer, run)
    )
    epochs_done = checkpoint.restore(trainer) if can_resume else 0
    if budget.is_spent:
        _warn_spent(epochs_done)
    if not budget.is_spent or not epochs_done:
        _fit(trainer, prepared, budget, best_model, checkpoint, epochs_done)
    if not share.is_first:
        return run
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
    warn_short_training(run)
    return run


def _prepare(
    config: TrainConfig, resumed: Run | None, precision: str, started: float
) -> _Preparation:
    """Open the scene, plan the training, load its images and make the batches."""
    keypoints = KeypointCache()
    trainer = None
    if resumed:
        run = resumed
        scene = resumed.training_scene(strict=config.strict)
    else:
        assert config.scene is not None
        scene = open_scene(config.scene, strict=config.strict, split=config.split).split("train")
        run, scene = create_run(config, scene, precision, keypoints=keypoints)
        run, trainer = plan_run(run, scene, keypoints, started)
    images = load_images(scene.paths, run.crop.resized, "training images")
    scene = scene.subset(images.scene_rows)
    landmarks = prepare_landmarks(run, scene, keypoints)
    is_validation = scene.mask_names(run.validation_images)
    if own_share().is_first:
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
        config,
        scene,
        images,
        run,
        chosen=~is_validation,
        keypoints=keypoints,
        landmarks=landmarks,
    )
    return _Preparation(run, scene, images, batches, resumed is not None, trainer)


def _initialize(trainer: Trainer, run: Run, batches: TrainingBatches) -> bool:
    """Load pretrained weights of the backbone and warm the heads up; False if they stay random."""
    config = run.config
    if run.added:
        run.restore_weights(trainer.network)
        return True
    report = initialize_backbone(trainer.network, config.backbone, config.weights)
    if not report:
        return False
    is_imagenet = config.weights in ("auto", "imagenet")
    summary = f"{len(report.matched)} of its layers" if is_imagenet else report
    log.info("the backbone starts from published weights: %s", summary)
    if get_backbone(config.backbone).auxiliary:
        return False
    warm_up_heads(trainer, batches, run.plan.warmup_share if run.plan else 1.0)
    return True


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
    # Images are routed to their areas by the training images, not by the network.
    origins = run.areas.origins_at(ground_truth.positions)
    parts = _parts(prepared.scene.subset(rows))

    is_alone = own_share().is_alone

    def measure() -> MedianErrors:
        network = trainer.final_head
        if not is_alone:
            network = network_spec(run).build_inference(trainer.network)
        outputs = predict_in_batches(network, images, run.crop)
        if not all(np.isfinite(values).all() for values in outputs.values()):
            return MedianErrors(math.nan, math.nan)
        estimate = Poses.from_quaternions(outputs["position"] + origins, outputs["quaternion"])
        position = position_errors(estimate, ground_truth)
        rotation_deg = rotation_errors_deg(estimate, ground_truth)
        # Old and added scenes count the same, so that neither is given up for the other.
        medians = [(np.median(position[part]), np.median(rotation_deg[part])) for part in parts]
        return MedianErrors(*np.mean(medians, axis=0).tolist())

    position, rotation_deg = mean_pose_errors(ground_truth, ground_truth)
    scales = MedianErrors(
        max(float(np.median(position)), MIN_POSITION_SCALE * run.position_scale),
        max(float(np.median(rotation_deg)), MIN_ROTATION_SCALE_DEG),
    )

    def measure_on_one_device() -> MedianErrors:
        with on_one_device():
            return measure()

    return BestModel(measure_on_one_device, lambda: _save_model(trainer, run), scales, budget)


def _parts(scene: Scene) -> list[np.ndarray]:
    """Return the rows of each of the joined scenes; of all images if there is only one."""
    if scene.parts is None:
        return [np.arange(len(scene))]
    return [np.flatnonzero(scene.parts == part) for part in dict.fromkeys(scene.parts)]


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
    peak *= ADDED_RATE if run.added else 1.0
    batches = prepared.batches
    callbacks: list[Any] = [WarmupCosine(budget, peak), StopOnNaN()]
    if batches.share.is_first:
        callbacks += [best_model] if best_model else []
        callbacks += [
            Progress(budget, prepared.scene.unit, batches.batch_size),
            History(run.folder / HISTORY, budget, epochs_done=epochs_done),
            *prepared.callbacks,
            checkpoint,  # the last, since others may stop the training
        ]
    refreshed = _reserve_refresh(run, budget)
    with distributed(trainer, batches.share), batches.stream(epochs_done) as stream:
        trainer.fit(
            stream,
            epochs=config.epochs or ENDLESS_EPOCHS,
            initial_epoch=epochs_done,
            steps_per_epoch=batches.steps,
            callbacks=callbacks,
            verbose=0,
            shuffle=False,
        )
    if refreshed:
        with distributed(trainer, batches.share):
            refresh_averages(trainer, batches, refreshed)
        if best_model:
            best_model.validate(best_model.last_epoch)
    gc.collect()  # TensorFlow's own thread of the batches must end before Python does


def _reserve_refresh(run: Run, budget: TrainingBudget) -> int:
    """Reserve time to average the statistics of batch normalization; return of how many batches.

    There are none if epochs are counted, or if the normalization keeps pretrained statistics.
    """
    plan = run.plan
    if plan is None or plan.images_per_second is None or plan.frozen_stages:
        return 0
    seconds_per_step = plan.batch_size / plan.images_per_second
    batches = num_batches(budget.seconds - budget.elapsed, seconds_per_step)
    budget.reserve_final_work(batches * seconds_per_step)
    return batches


def _warn_spent(epochs_done: int) -> None:
    if epochs_done:
        log.warning("the training is finished, nothing is left to train")
    else:
        log.warning("preprocessing used up the time budget, training a single step")


def _save_model(trainer: Trainer, run: Run) -> None:
    """Write model.keras: the float32 network of the final head."""
    with on_one_device():
        run.save_model(network_spec(run).build_inference(trainer.network))
