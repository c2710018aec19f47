"""Prepare a new run: check the settings, describe the scene, and make the training batches."""

from __future__ import annotations

import dataclasses
import glob
import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.config import Head, TrainConfig, TrainingPlan
from posenet.datasets.registry import resolve_split
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.areas import Areas, find_areas
from posenet.geometry.cropping import Crop, full_image_crop, square_crop
from posenet.geometry.poses import Poses
from posenet.io.addresses import local_path
from posenet.io.image_cache import ImageArray
from posenet.io.image_headers import sample_sizes
from posenet.mapping.calibration import (
    apply_corrections,
    describe_corrections,
)
from posenet.mapping.keypoints import KeypointCache
from posenet.mapping.label_check import check_labels, describe_wrong_labels
from posenet.mapping.landmarks import Landmarks
from posenet.models.build import BACKBONES, get_backbone
from posenet.run import Run
from posenet.training.augmentation import NO_AUGMENTATION, Augmentation
from posenet.training.batches import TrainingBatches, default_batch_size
from posenet.training.depths import load_or_estimate_depths, max_depth_images
from posenet.training.devices import own_share
from posenet.training.losses.registry import LOSSES
from posenet.training.plan import MEASURED_SIDE, SHORT_SIDE_OF_EPOCHS
from posenet.training.reference_camera import find_reference_camera, is_single_camera
from posenet.training.validation_split import validation_mask

log = logging.getLogger("posenet")

# Settings that apply to one call of train and are not part of the run.
NOT_RESUMED = (
    "output",
    "resume",
    "overwrite",
    "evaluate",
    "log",
    "add",
    "backend",
    "hosts",
)
# Distance of the scene from its own origin, in multiples of its size, from which positions are
# relative to the scene's center: float32 would resolve only ten thousandths of the size.
MAX_ORIGIN_DISTANCE = 1000.0
# Largest translation of augmented views, in mean distances of the cameras from their center.
MAX_TRANSLATION = 0.5
# The scene-coordinate head and the geometric loss require depth for this fraction of the images.
MIN_DEPTH_FRACTION = 0.5
# Short side of the resized images of the posenet backbones, pixels.
POSENET_SHORT_SIDE = 256


class PositionFrame(NamedTuple):
    """The frame of the positions that the network regresses.

    Attributes:
        origin: its origin in the world frame, shape (3,).
        mean: mean position in the frame, shape (3,).
        scale: mean distance of the positions from the mean of their area, scene units.
        area_offsets: origins of the areas relative to `origin`, shape (k, 3); none for one area.
    """

    origin: np.ndarray
    mean: np.ndarray
    scale: float
    area_offsets: np.ndarray


def check_backbone(config: TrainConfig) -> None:
    """Check backbone, head, loss and weights.

    Args:
        config: the settings.

    Raises:
        PoseNetError: one of them is unknown, or they do not fit together.
    """
    weights = Path(config.weights)
    pattern = f"{glob.escape(weights.name)}*"  # a TensorFlow checkpoint consists of several files
    is_file = config.weights not in ("auto", "imagenet", "none")
    if is_file and not any(weights.parent.glob(pattern)):
        raise PoseNetError(
            f"--weights must be auto, imagenet, none or an existing file, received {weights}"
        )
    if config.loss not in LOSSES:
        raise PoseNetError(f"--loss must be one of {', '.join(LOSSES)}, received {config.loss}")
    backbone = get_backbone(config.backbone)
    if config.head == "scene-coordinates" and not backbone.feature_maps:
        names = ", ".join(name for name, other in BACKBONES.items() if other.feature_maps)
        raise PoseNetError(
            f"--head scene-coordinates requires one of the backbones {names}, "
            f"received {config.backbone}"
        )
    if config.rotation != "quaternion" and backbone.fixed_size:
        raise PoseNetError(
            f"--rotation must be quaternion for --backbone {config.backbone}, "
            f"received {config.rotation}"
        )


def check_resume_settings(given: TrainConfig, run: Run) -> None:
    """Check that the settings of a resumed training are those of the run, or defaults.

    Args:
        given: the settings of the command.
        run: the run.

    Raises:
        PoseNetError: a setting differs.
    """
    for field in dataclasses.fields(TrainConfig):
        wanted = getattr(given, field.name)
        own = getattr(run.config, field.name)
        if field.name == "scene" and wanted is not None:
            wanted = local_path(wanted).resolve()
            own = run.scene.resolve()
        if field.name == "split" and str(Path(wanted).resolve()) == run.split:
            continue  # the same list, wherever the current folder was then
        if field.name not in NOT_RESUMED and wanted not in (field.default, own):
            option = field.name.replace("_", "-")
            raise PoseNetError(
                f"cannot change --{option} when resuming: the run uses {own}, received {wanted}"
            )


def create_run(
    config: TrainConfig, scene: Scene, precision: str, *, keypoints: KeypointCache | None = None
) -> tuple[Run, Scene]:
    """Create a run with all that depends on its scene but not on the speed of the machine.

    Args:
        config: the settings.
        scene: the training images.
        precision: "float32" or "bfloat16".
        keypoints: receives the keypoints that are detected.

    Returns:
        The run, and the scene with corrected intrinsics.

    Raises:
        PoseNetError: the images are not usable, or no image is left to train on.
    """
    convention, estimated = check_labels(
        scene, scene, refine_intrinsics=config.refine_intrinsics, cache=keypoints
    )
    corrections = dict(estimated)
    warnings = describe_wrong_labels(scene, convention)
    for sentence in [*describe_corrections(scene, corrections), *warnings]:
        log.warning("%s: %s", scene.name, sentence)
    scene = apply_corrections(scene, corrections)
    short_side = SHORT_SIDE_OF_EPOCHS if config.epochs is not None else MEASURED_SIDE
    crop = choose_crop(config, scene, short_side)
    frame = describe_positions(scene.poses.positions)
    mask = validation_mask(scene, config.validation_split)
    if not all(camera and camera.is_perspective for camera in scene.cameras):
        log.warning(
            "%s: images with unknown focal length or strong distortion are augmented by rolls and "
            "shifts only",
            scene.name,
        )
    camera = find_reference_camera(scene)
    run = Run(
        folder=config.output or Path(),
        config=config,
        scene=scene.root.absolute(),
        unit=scene.unit,
        crop=crop,
        position_mean=tuple(frame.mean.tolist()),
        position_scale=frame.scale,
        validation_images=tuple(np.array(scene.names)[mask].tolist()),
        precision=precision,
        split=resolve_split(scene.root, config.split),
        camera=camera,
        single_camera=is_single_camera(scene, camera),
        origin=tuple(frame.origin.tolist()),
        area_offsets=tuple(tuple(offset) for offset in frame.area_offsets.tolist()),
        training_images=scene.names,
        corrections=corrections,
    )
    return run, scene


def describe_positions(positions: np.ndarray) -> PositionFrame:
    """Choose the frame of the positions that the network regresses.

    Args:
        positions: positions of the training images, world frame, shape (n, 3).

    Returns:
        The frame. In a place of several areas positions are relative to the center of their own.
    """
    centers = find_areas(positions)
    if len(centers) > 1:
        areas = Areas(centers, centers)
        scale = np.linalg.norm(positions - areas.origins_at(positions), axis=1).mean()
        return PositionFrame(np.zeros(3), np.zeros(3), float(scale) or 1.0, centers)
    center = centers[0]
    scale = float(np.linalg.norm(positions - center, axis=1).mean()) or 1.0
    is_far = np.abs(center).max() > MAX_ORIGIN_DISTANCE * scale
    origin = center if is_far else np.zeros(3)
    return PositionFrame(origin, center - origin, scale, np.zeros((0, 3)))


def training_batches(
    config: TrainConfig,
    scene: Scene,
    images: ImageArray,
    run: Run,
    *,
    chosen: np.ndarray,
    keypoints: KeypointCache | None = None,
    landmarks: Landmarks | None = None,
) -> TrainingBatches:
    """Make the training batches; depth is estimated first if the head or the loss uses it.

    Args:
        config: the settings.
        scene: n images, in the world frame.
        images: the n resized images.
        run: the run.
        chosen: a mask (n,) of the images to train on.
        keypoints: keypoints that were detected before.
        landmarks: the landmark map of the n images; depth is fitted to its points.

    Returns:
        The batches.
    """
    rows = np.flatnonzero(chosen)
    new_names = run.last_added_images
    observed = None
    if landmarks is not None:
        observed = landmarks.observed_points(rows)
    scene = scene.subset(rows)
    images = images.subset(rows)
    supports_points = get_backbone(config.backbone).feature_maps is not None
    depths = None
    if (config.head != "pose" and supports_points) or config.loss == "geometric":
        depths = load_or_estimate_depths(scene, run, keypoints=keypoints, observed=observed)
    augmentation = Augmentation() if config.augment else NO_AUGMENTATION
    if not config.synthetic_views:
        augmentation = replace(augmentation, translation=0.0)
    # Where the cameras hardly move, synthetic views must not be far from them either.
    augmentation = replace(augmentation, max_translation=MAX_TRANSLATION * run.position_scale)
    positions = scene.poses.positions - run.areas.origins_at(scene.poses.positions)
    is_new = [name in new_names for name in scene.names]
    return TrainingBatches(
        replace(scene, poses=Poses(positions, scene.poses.rotations), points=None),
        images,
        run.crop,
        augmentation,
        batch_size=run.plan.batch_size if run.plan else _batch_size(config, len(rows), run.crop),
        seed=config.seed,
        depths=depths,
        new=np.array(is_new) if new_names else None,
        share=own_share(),
    )


def choose_head(
    config: TrainConfig, batches: TrainingBatches, plan: TrainingPlan | None = None
) -> Head:
    """Choose the network head: as requested, or scene coordinates if backbone and scene allow it.

    Args:
        config: the settings.
        batches: the training batches.
        plan: the plan, which may limit the number of images with depth.

    Returns:
        The head.

    Raises:
        PoseNetError: head or loss require depth that is unknown.
    """
    total = len(batches.scene)
    with_depth = batches.num_with_depth
    fraction = with_depth / min(total, max_depth_images(plan))
    if config.loss == "geometric" and fraction < MIN_DEPTH_FRACTION:
        raise PoseNetError(
            f"--loss geometric requires the depth of at least {MIN_DEPTH_FRACTION:.0%} of the "
            f"training images, {fraction:.0%} have one"
        )
    if config.loss == "geometric" and with_depth < total:
        log.warning(
            "--loss geometric uses %d of %d images, those with known depth", with_depth, total
        )
    if config.head == "scene-coordinates" and fraction == 0:
        raise PoseNetError(
            "--head scene-coordinates requires the depth of training images, none has one: "
            "use --head pose"
        )
    if config.head != "auto":
        return config.head
    supports_points = get_backbone(config.backbone).feature_maps is not None
    has_depth = fraction >= MIN_DEPTH_FRACTION
    return "scene-coordinates" if supports_points and has_depth else "pose"


def choose_crop(config: TrainConfig, scene: Scene, short_side: int) -> Crop:
    """Return how images are resized and cropped.

    Args:
        config: the settings.
        scene: the training images.
        short_side: short side of the resized images in pixels, unless the settings say another or
            the backbone's input has a fixed size.

    Returns:
        The crop.

    Raises:
        PoseNetError: the images would be smaller than the input of the backbone.
    """
    sizes = sample_sizes(scene.paths)
    fixed_size = get_backbone(config.backbone).fixed_size
    if fixed_size is None:
        return full_image_crop(sizes, config.short_side or short_side)
    side = fixed_size[0]
    if (config.short_side or side) < side:
        raise PoseNetError(
            f"--short-side must be at least {side} for --backbone {config.backbone}, "
            f"received {config.short_side}"
        )
    return square_crop(sizes, config.short_side or POSENET_SHORT_SIDE, side)


def _batch_size(config: TrainConfig, num_images: int, crop: Crop) -> int:
    return config.batch_size or default_batch_size(num_images, crop.size)
