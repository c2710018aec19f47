"""Build the trainer of a run, and plan the training with its speed."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from posenet.config import Head, TrainConfig
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, first_line
from posenet.mapping.keypoints import KeypointCache
from posenet.mapping.landmarks import can_have_landmarks, estimate_build_seconds
from posenet.models.build import NetworkSpec, get_backbone
from posenet.models.weights.pretrained import has_pretrained_weights
from posenet.run import Run
from posenet.training.batches import default_batch_size
from posenet.training.device import compiles_by_xla
from posenet.training.losses.registry import create_loss
from posenet.training.optimizer import create_optimizer
from posenet.training.plan import (
    MEASURED_SIDE,
    Machine,
    advisable_minutes,
    describe_plan,
    plan_epochs,
    plan_minutes,
)
from posenet.training.prepare import choose_crop
from posenet.training.speed import measure_speed
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")


def network_spec(run: Run) -> NetworkSpec:
    """Return what the network of a run is built from.

    Args:
        run: the run.

    Returns:
        The specification.
    """
    return NetworkSpec(
        backbone=run.config.backbone,
        size=run.crop.size,
        position_mean=run.position_mean,
        position_scale=run.position_scale,
        head=run.head,
        rotation=run.config.rotation,
    )


def build_trainer(run: Run) -> Trainer:
    """Build the network of a run with loss and optimizer. Weights are random.

    Args:
        run: the run.

    Returns:
        The compiled trainer.

    Raises:
        PoseNetError: the backbone does not accept images of this size.
    """
    config = run.config
    try:
        network = network_spec(run).build()
    except ValueError as error:
        raise PoseNetError(
            f"--backbone {config.backbone} does not accept images of {run.crop.size}: "
            f"{first_line(error)}"
        ) from None
    if run.plan and run.plan.frozen_stages:
        backbone = get_backbone(config.backbone)
        backbone.keep_statistics(network)
        backbone.freeze(network, run.plan.frozen_stages)
    loss = create_loss(config.loss, scale=run.position_scale, beta=config.beta)
    trainer = Trainer(network, loss)
    trainer.compile(optimizer=create_optimizer(), jit_compile=compiles_by_xla())
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def plan_run(
    run: Run, scene: Scene, keypoints: KeypointCache, started: float
) -> tuple[Run, Trainer | None]:
    """Plan a new training by the speed of this machine and the time that is left.

    Args:
        run: a new run.
        scene: its training images, those for validation included.
        keypoints: receives keypoints that are detected.
        started: `time.monotonic()` when the training started.

    Returns:
        The run with its plan and crop, and the trainer that was measured if it is the planned one.

    Raises:
        PoseNetError: the backbone does not accept the images.
    """
    config = run.config
    num_images = len(scene) - len(run.validation_images)
    can_build_map = can_have_landmarks(scene)
    if config.epochs is not None:
        plan = plan_epochs(config, num_images, can_build_map=can_build_map)
        return replace(run, plan=plan), None
    batch_size = min(num_images, config.batch_size or default_batch_size(num_images, run.crop.size))
    run = replace(run, head=_likely_head(config, can_build_map))
    trainer = build_trainer(run)
    speed = measure_speed(trainer, run.crop, batch_size)
    backbone = get_backbone(config.backbone)
    if backbone.fixed_size is None:  # as if the images were of the side that plans assume
        speed *= (min(run.crop.size) / MEASURED_SIDE) ** 2
    map_seconds = estimate_build_seconds(scene, cache=keypoints) if can_build_map else None
    machine = Machine(speed, map_seconds, started + 60 * config.budget - time.monotonic())
    num_stages = len(backbone.stages)
    is_pretrained = has_pretrained_weights(config.backbone, config.weights)
    plan = plan_minutes(
        config, machine, num_images, num_stages=num_stages, is_pretrained=is_pretrained
    )
    log.info(
        describe_plan(plan, num_images=num_images, num_stages=num_stages, precision=run.precision)
    )
    planned = replace(run, plan=plan, crop=choose_crop(config, scene, plan.short_side))
    warn_short_training(planned)
    is_measured = (
        planned.crop == run.crop
        and min(num_images, plan.batch_size) == batch_size
        and not plan.frozen_stages
    )
    return planned, trainer if is_measured else None


def warn_short_training(run: Run) -> None:
    """Log a warning if the time of a training is hardly enough to beat image retrieval.

    Args:
        run: the run.
    """
    minutes = advisable_minutes(run.config, run.plan) if run.plan else None
    if minutes is not None:
        log.warning(
            "%.3g minutes are short on this machine: the network may be less accurate than image "
            "retrieval; --minutes %d or more are advisable",
            run.config.budget,
            minutes,
        )


def _likely_head(config: TrainConfig, has_intrinsics: bool) -> Head:
    """Return the head that the training will probably have, before depth is known."""
    if config.head != "auto":
        return config.head
    supports_points = get_backbone(config.backbone).feature_maps is not None
    return "scene-coordinates" if supports_points and has_intrinsics else "pose"
