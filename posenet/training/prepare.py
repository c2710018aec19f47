"""What a training starts from: what is settled of its scene, its batches, and how its network will answer."""

from __future__ import annotations

import dataclasses
import glob
import logging
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from posenet.config import Head, TrainConfig
from posenet.datasets.registry import resolve_split
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import full_image_crop, square_crop
from posenet.io.files import atomic_path
from posenet.io.image_cache import ImageArray
from posenet.io.images import READING, some_sizes
from posenet.mapping.calibration import apply_corrections, estimate_corrections, told
from posenet.mapping.depth import most_images, scene_depths
from posenet.models.build import BACKBONES, get_backbone
from posenet.run import Run
from posenet.training.augmentation import NO_AUGMENTATION, Augmentation
from posenet.training.batches import TrainingBatches, default_batch_size
from posenet.training.validation_split import validation_mask

log = logging.getLogger("posenet")

NOT_KEPT = ("output", "resume", "overwrite", "evaluate")  # settings that say what to do now
FAR = 1000.0  # scales from the scene's zero: float32 then tells positions only to some ten thousandths of the scale
FARTHEST = 0.5  # that views move, in mean distances of the cameras from their center


def check_backbone(config: TrainConfig) -> None:
    """Raises PoseNetError where the backbone is not known, cannot answer as it is asked to, or has no such weights."""
    weights = Path(config.weights)
    beginning = f"{glob.escape(weights.name)}*"  # a TensorFlow checkpoint is several files
    if config.weights not in ("auto", "imagenet", "none") and not any(
        weights.parent.glob(beginning)
    ):
        raise PoseNetError(
            f"--weights must be auto, imagenet, none or a file, there is no {weights}"
        )
    backbone = get_backbone(config.backbone)
    if config.head == "scene-coordinates" and not backbone.maps:
        names = ", ".join(name for name, each in BACKBONES.items() if each.maps)
        raise PoseNetError(
            f"--head scene-coordinates needs one of the backbones {names}, received {config.backbone}"
        )
    if config.rotation != "quaternion" and backbone.fixed_size:
        raise PoseNetError(
            f"--rotation must be quaternion for --backbone {config.backbone}, received {config.rotation}"
        )


def check_resume_settings(given: TrainConfig, run: Run) -> None:
    """Raises PoseNetError where settings were given that are not the run's own."""
    for field in dataclasses.fields(TrainConfig):
        wanted, own = getattr(given, field.name), getattr(run.config, field.name)
        if field.name == "scene" and wanted is not None:
            wanted, own = wanted.resolve(), run.scene.resolve()
        if (
            field.name == "split" and str(Path(wanted).resolve()) == run.split
        ):  # a list, wherever it was then
            continue
        if field.name not in NOT_KEPT and wanted not in (field.default, own):
            option = field.name.replace("_", "-")
            raise PoseNetError(
                f"--resume goes on with the run's own settings, {option} {own}: received {wanted}"
            )


def described(config: TrainConfig, scene: Scene, precision: str) -> tuple[Run, Scene]:
    """A new run, with what depends on the scene: crop, the positions' center and scale, the held-out images, the
    corrections of its intrinsics. And the scene with these."""
    corrections = estimate_corrections(scene) if config.refine_intrinsics else {}
    for sentence in told(scene, corrections):
        log.warning("%s: %s", scene.name, sentence)
    scene = apply_corrections(scene, corrections)
    sizes = some_sizes(scene.paths)
    fixed = get_backbone(config.backbone).fixed_size
    if fixed and (config.short_side or fixed[0]) < fixed[0]:
        raise PoseNetError(
            f"--short-side must be at least {fixed[0]} for --backbone {config.backbone}, received {config.short_side}"
        )
    crop = (
        square_crop(sizes, config.short_side or 256, fixed[0])
        if fixed
        else full_image_crop(sizes, config.short_side or config.default_short_side)
    )
    positions = scene.poses.positions
    center = positions.mean(axis=0)
    scale = float(np.linalg.norm(positions - center, axis=1).mean()) or 1.0
    origin = center if np.abs(center).max() > FAR * scale else np.zeros(3)
    mask = validation_mask(scene, config.validation_split)
    if not all(camera and camera.is_perspective for camera in scene.cameras):
        log.warning(
            "%s: images of unknown focal length or bent lines only roll and shift when augmented",
            scene.name,
        )
    camera = _shared_camera(scene)
    run = Run(
        config.output or Path(), config, scene.root.absolute(), scene.unit, crop,
        tuple((center - origin).tolist()), scale,
        tuple(name for name, out in zip(scene.names, mask, strict=True) if out), precision,
        resolve_split(scene.root, config.split), camera=camera, single_camera=_one_camera(scene, camera),
        origin=tuple(origin.tolist()), training_images=scene.names, corrections=corrections,
    )  # fmt: skip
    return run, scene


def _shared_camera(scene: Scene) -> Camera | None:
    """The camera in the middle of those whose focal length is known, by its length for the image's long side, if nine
    tenths of all images have one as long to within 5 %; None otherwise: new images must tell their own."""
    counts = Counter(camera for camera in scene.cameras if camera and camera.has_known_focal_length)
    if not counts:
        return None

    def length(camera: Camera) -> float:
        return camera.fx / max(camera.width, camera.height)

    lengths = np.array([length(camera) for camera in counts.elements()])
    alike = np.abs(lengths / np.median(lengths) - 1) < 0.05
    by_number = [camera for camera, _ in counts.most_common()]
    if alike.sum() < 0.9 * len(scene):
        return None
    return min(by_number, key=lambda each: abs(length(each) - np.median(lengths)))


def _one_camera(scene: Scene, camera: Camera | None) -> bool:
    """Whether all training images see the same angle as the shared camera's, to within 5 %."""
    views = [each.width / each.fx if each else 0.0 for each in scene.cameras]
    return camera is not None and all(
        abs(view * camera.fx / camera.width - 1) < 0.05 for view in views
    )


def training_batches(
    config: TrainConfig, scene: Scene, images: ImageArray, run: Run, chosen: np.ndarray
) -> TrainingBatches:
    """The batches of the chosen (n,) training images; where the head or the loss uses depth, it is found first."""
    augmentation = Augmentation() if config.augment else NO_AUGMENTATION
    rows = np.flatnonzero(chosen)
    scene, images = scene.subset(rows), images.subset(rows)
    size = config.batch_size or default_batch_size(len(rows), run.crop.size)
    points = config.head != "pose" and get_backbone(config.backbone).maps is not None
    depths = (
        _depths(scene, run, most_images(config.budget))
        if points or config.loss == "geometric"
        else None
    )
    # where the cameras hardly move, their new views must not stand far beside them either
    move = augmentation.move if config.synthetic_views else 0.0
    augmentation = replace(augmentation, move=move, farthest=FARTHEST * run.position_scale)
    return TrainingBatches(scene, images, run.crop, augmentation, size, config.seed, depths)


def choose_head(config: TrainConfig, batches: TrainingBatches) -> Head:
    """How the network answers: as wanted, or by points where the backbone and the scene allow it."""
    able = get_backbone(config.backbone).maps is not None
    share = batches.with_depth / min(len(batches.scene), most_images(config.budget))
    if config.loss == "geometric" and share < 0.5:
        raise PoseNetError(
            f"--loss geometric needs the depth of most training images, {share:.0%} have one"
        )
    if config.loss == "geometric" and batches.with_depth < len(batches.scene):
        log.warning(
            "--loss geometric learns from the %d of %d images whose depth is known",
            batches.with_depth, len(batches.scene),
        )  # fmt: skip
    if config.head == "scene-coordinates" and share == 0:
        raise PoseNetError(
            "--head scene-coordinates needs the depth of training images, none has one: see --head pose"
        )
    if config.head != "auto":
        return config.head
    return "scene-coordinates" if able and share >= 0.5 else "pose"


def _depths(scene: Scene, run: Run, most: int) -> np.ndarray | None:
    """Depth grids of the training images, kept in the run folder for when training goes on."""
    kept, stamp = run.folder / "backup" / "depths.npz", f"{READING} {scene.digest()}"
    try:
        with np.load(kept, allow_pickle=False) as saved:
            if str(saved["stamp"]) == stamp:
                return saved["depths"]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        pass  # not there, or damaged
    depths = scene_depths(scene, run.crop, most)
    if depths is not None:
        kept.parent.mkdir(exist_ok=True)
        with atomic_path(kept) as temporary, open(temporary, "wb") as file:
            np.savez(file, depths=depths, stamp=stamp)
    return depths
