"""Plan a training: what to do with the time on this machine.

The thresholds count the images that all layers would be trained on in the time that is left, at a
short side of 128 pixels. They were chosen on validation images (docs/lab-notes.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from posenet.config import TrainConfig, TrainingPlan
from posenet.environment import available_cores
from posenet.errors import count
from posenet.training.batches import default_batch_size

# Short sides of the images in pixels, and the smallest number of images each is worth it for.
SHORT_SIDES = ((192, 180_000), (160, 45_000), (128, 0))
SHORT_SIDE_OF_EPOCHS = 192
MEASURED_SIDE = 128
# Largest fraction of a pretrained backbone's stages that stays frozen, and the smallest number of
# images that each is worth it for.
FROZEN = ((0.0, 10_000), (0.7, 1_000), (1.0, 0))
# Images per second of a training with these stages frozen, relative to one of all layers.
SPEEDUP = {0.0: 1.0, 0.7: 2.0, 1.0: 3.7}
# Batch of trainings with fewer images than this: more steps.
SMALL_BATCH = 16
FEW_IMAGES = 10_000
# Images of the full head warm-up, and how much faster inference is than training.
WARMUP_IMAGES = 1500
INFERENCE_SPEEDUP = 4.0
# Largest fraction of the time for the head warm-up, and of the whole budget for the landmark map.
WARMUP_FRACTION = 0.25
MAP_FRACTION = 0.3
# Largest number of images whose map is made if epochs are counted: it takes 1 GB.
MAX_MAP_IMAGES = 2000
# If there is no time for the map: fraction of the budget for depth, and fewest images with depth.
DEPTH_FRACTION = 0.15
MIN_DEPTH_IMAGES = 50
# Fewer images give a network that is hardly better than image retrieval.
MIN_IMAGES = 1000


@dataclass(frozen=True)
class Machine:
    """What was measured before a training.

    Attributes:
        images_per_second: images that all layers are trained on, at a short side of 128 pixels.
        map_seconds: estimated time of a landmark map of all images; None if there can be none.
        seconds_left: time that is left of the budget.
    """

    images_per_second: float
    map_seconds: float | None
    seconds_left: float


def plan_epochs(config: TrainConfig, num_images: int, *, can_build_map: bool) -> TrainingPlan:
    """Plan a training whose epochs are counted: the machine does not matter.

    Args:
        config: the settings.
        num_images: number of training images.
        can_build_map: whether the scene can have a landmark map.

    Returns:
        The plan.
    """
    side = config.short_side or SHORT_SIDE_OF_EPOCHS
    return TrainingPlan(
        side,
        _batch_size(config, num_images, side),
        build_map=can_build_map and num_images <= MAX_MAP_IMAGES,
    )


def plan_minutes(
    config: TrainConfig,
    machine: Machine,
    num_images: int,
    *,
    num_stages: int,
    is_pretrained: bool,
) -> TrainingPlan:
    """Plan a training whose time is limited.

    Args:
        config: the settings.
        machine: what was measured.
        num_images: number of training images.
        num_stages: number of stages of the backbone.
        is_pretrained: whether the backbone starts from pretrained weights.

    Returns:
        The plan.
    """
    budget = 60 * config.budget
    map_seconds = machine.map_seconds
    build_map = map_seconds is not None and map_seconds < MAP_FRACTION * budget
    mapped = 1.0  # fraction of the images whose points are triangulated
    seconds = machine.seconds_left
    if map_seconds is not None:
        mapped = 1.0 if build_map else min(1.0, DEPTH_FRACTION * budget / map_seconds)
        seconds -= mapped * map_seconds
    seconds = max(seconds, 1.0)
    total = seconds * machine.images_per_second
    side = config.short_side or _first_worth(SHORT_SIDES, total)
    fraction = _first_worth(FROZEN, total) if is_pretrained else 0.0
    warmup_seconds = WARMUP_IMAGES / (INFERENCE_SPEEDUP * machine.images_per_second)
    return TrainingPlan(
        short_side=side,
        batch_size=_batch_size(config, num_images, side, total),
        frozen_stages=round(fraction * num_stages),
        warmup_share=min(1.0, WARMUP_FRACTION * seconds / warmup_seconds),
        images_per_second=machine.images_per_second,
        seconds=seconds,
        build_map=build_map,
        depth_images=max(MIN_DEPTH_IMAGES, round(mapped * num_images)),
    )


def describe_plan(plan: TrainingPlan, *, num_images: int, num_stages: int, precision: str) -> str:
    """Describe a plan in one line.

    Args:
        plan: a plan of a training whose time is limited.
        num_images: number of training images.
        num_stages: number of stages of the backbone.
        precision: "float32" or "bfloat16".

    Returns:
        Such as "2 cores, bfloat16: 90 images/s; short side 128, batch 32, 11 of 17 stages frozen,
        about 28 epochs".
    """
    assert plan.images_per_second is not None
    cores = count(available_cores(), "core")
    parts = [f"short side {plan.short_side}", f"batch {plan.batch_size}"]
    if plan.frozen_stages:
        parts.append(f"{plan.frozen_stages} of {num_stages} stages frozen")
    epochs = expected_images(plan, num_stages=num_stages) / num_images
    parts.append(f"about {count(max(1, round(epochs)), 'epoch')}")
    speed = f"{plan.images_per_second:.3g} images/s"
    return f"{cores}, {precision}: {speed}; {', '.join(parts)}"


def expected_images(plan: TrainingPlan, *, num_stages: int) -> float:
    """Return how many images a planned training sees.

    Args:
        plan: a plan of a training whose time is limited.
        num_stages: number of stages of the backbone.

    Returns:
        The number.
    """
    assert plan.images_per_second is not None
    assert plan.seconds is not None
    fraction = plan.frozen_stages / max(num_stages, 1)
    nearest = min(SPEEDUP, key=lambda known: abs(known - fraction))
    area = (plan.short_side / MEASURED_SIDE) ** 2
    return plan.seconds * plan.images_per_second * SPEEDUP[nearest] / area


def advisable_minutes(config: TrainConfig, plan: TrainingPlan) -> float | None:
    """Return the training time from which a network is better than image retrieval.

    Args:
        config: the settings.
        plan: the plan of the training.

    Returns:
        Minutes; None if the training is long enough.
    """
    if plan.images_per_second is None or plan.seconds is None:
        return None
    missing = MIN_IMAGES - plan.seconds * plan.images_per_second
    if missing <= 0:
        return None
    return math.ceil(config.budget + missing / plan.images_per_second / 60)


def _first_worth(choices: tuple[tuple[Any, float], ...], images: float) -> Any:
    """Return the first choice that is worth it for a number of images."""
    return next(choice for choice, fewest in choices if images >= fewest)


def _batch_size(
    config: TrainConfig, num_images: int, short_side: int, images: float = math.inf
) -> int:
    if config.batch_size:
        return config.batch_size
    batch_size = default_batch_size(num_images, (short_side, short_side * 4 // 3))
    return min(batch_size, SMALL_BATCH) if images < FEW_IMAGES else batch_size
