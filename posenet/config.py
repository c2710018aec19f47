"""The settings of a training run: Python API, command options and config.json in one dataclass."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from posenet.errors import PoseNetError
from posenet.typed_values import check_types

Head = Literal["pose", "scene-coordinates"]
Rotation = Literal["quaternion", "log", "6d"]
FigureFormat = Literal["png", "pdf", "svg"]

FIGURE_FORMATS: tuple[FigureFormat, ...] = get_args(FigureFormat)
# Default training time for the built-in courtyard and for a user's own scene, minutes.
COURTYARD_MINUTES = 4.0
SCENE_MINUTES = 15.0
# Smallest input side in pixels: one cell of a backbone's last feature map (stride 32).
MIN_SIDE = 32
# Default number of test-time augmentation views per image: all rotations that are defined.
TTA_VIEWS = 11
# The same when poses are refined. 1, 3, 5 and 11 views gave the same refined poses on sequences
# held out of RedKitchen's training split; one view does not detect rotated images
# (docs/lab-notes.md).
REFINED_TTA_VIEWS = 3

# Settings by their names in config.json of format 1, before 0.1.0 was released.
FORMAT_1_NAMES = {
    "trunk": "backbone",
    "novel_views": "synthetic_views",
    "measure_camera": "refine_intrinsics",
    "validation": "validation_split",
}
FORMAT_1_HEADS = {"points": "scene-coordinates"}


@dataclass(frozen=True)
class TrainingPlan:
    """What a training does with its time, chosen by the speed of the machine.

    Attributes:
        short_side: short side of the resized images, pixels.
        batch_size: images per training step.
        frozen_stages: number of the backbone's stages, counted from the image, that keep their
            pretrained weights. If there are any, the batch normalization of the others keeps its
            statistics.
        warmup_share: fraction of the full head warm-up.
        images_per_second: how many images all layers train on, as measured at the start; None if
            epochs are counted, so that the machine does not matter.
        seconds: time for training, without the preparation; None if epochs are counted.
        build_map: make the landmark map for PnP refinement before training.
        depth_images: largest number of images whose depth is triangulated, if there is no map.
    """

    short_side: int
    batch_size: int
    frozen_stages: int = 0
    warmup_share: float = 1.0
    images_per_second: float | None = None
    seconds: float | None = None
    build_map: bool = False
    depth_images: int = 2000


@dataclass(frozen=True)
class TrainConfig:
    """Train a network on a scene, evaluate it on the test split and plot the camera path."""

    scene: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[SCENE|VIDEO]")] = (
        None
    )
    """Scene folder, an address such as s3://bucket/scene (requires the extra `remote`), or a video
    to reconstruct a scene from. Default: the built-in courtyard, which is generated on first use.
    With --add: the run folder."""
    output: Path | None = None
    """Run folder to write. Default: runs/ plus the name of the scene."""
    add: Annotated[Path | None, tyro.conf.arg(metavar="SCENE")] = None
    """Add another scene to a run: `posenet train RUN --add SCENE`. Its poses must be in the same
    world frame. Landmark map and gallery are extended, then the network trains on old and new
    images (3 minutes, unless --minutes or --epochs state another time)."""
    backbone: str = "auto"
    """Backbone network: efficientnet_lite0, googlenet (with batch normalization), inception_v4, any
    network of keras.applications (MobileNetV2, ResNet50, ...), or PoseNet of 2015 as posenet (Caffe
    variant), posenet_tensorflow or posenet_keras. auto: efficientnet_lite0, whose ImageNet weights
    are installed with posenet."""
    head: Literal["auto"] | Head = "auto"
    """Network head. scene-coordinates: regress world and camera coordinates for every cell and
    align them (weighted Procrustes). pose: regress position and rotation directly, as PoseNet does.
    auto: scene-coordinates if the backbone supports it and depth can be triangulated for at least
    half of the training images, otherwise pose."""
    rotation: Rotation = "quaternion"
    """Rotation parameterization of the pose head: a quaternion, its logarithm, or two axes (6d)."""
    weights: str = "auto"
    """Initial weights of the backbone. auto: ImageNet weights if they are on this machine already
    (googlenet and posenet start from random weights); imagenet: download them if necessary; none:
    random; or a file of published weights."""
    minutes: float | None = None
    """Training time in minutes, all preparation included. Default: 15, or 4 for the courtyard."""
    epochs: int | None = None
    """Number of epochs to train for, instead of a time."""
    loss: str = "learned"
    """Training loss. learned: position and rotation errors weighted by learned variances (Kendall
    and Cipolla, 2017). geometric: distance between predicted and true scene points in the camera
    frame, divided by depth (requires depth). posenet: fixed weight beta (Kendall et al., 2015)."""
    beta: float = 500.0
    """Weight of the rotation error relative to the position error in the posenet loss."""
    learning_rate: float | None = None
    """Peak learning rate of Muon; Adam, which trains convolutions and output layers, uses half of
    it. Linear warm-up, then cosine decay to zero. Default: 0.002; 0.001 for inception_v4 and
    keras.applications; 0.0001 for the posenet backbones."""
    batch_size: int | None = None
    """Images per training step. Default: 32 (fewer for large images), or 16 for scenes with fewer
    than 500 training images."""
    short_side: int | None = None
    """Short side in pixels that images are resized to, at least 32. Default: 128, 160 or 192, by
    how many images this machine trains in the time (192 with --epochs); 256, cropped to 224, for
    posenet backbones."""
    augment: bool = True
    """Augment training images: rotate the camera about its center (the pose changes with it) and
    jitter the colors."""
    synthetic_views: bool = True
    """Also augment with small camera translations, rendered with depth that is triangulated from
    the training images (scene-coordinate head or geometric loss only)."""
    refine_intrinsics: bool = True
    """Estimate focal length and principal point from the training images and their poses, and use
    the estimate if the given intrinsics are missing or clearly wrong."""
    split: str = "auto"
    """Test split. auto: the scene's own or its test.txt, otherwise blocks; blocks: every fourth
    block of time; sequence:NAME; a text file that lists the test images; every:8 or random:0.25,
    which make the error look better than it is, since neighboring frames are nearly identical."""
    validation_split: float = 0.08
    """Fraction of the training images, 0 to 0.9, held out as whole sequences or blocks to select
    the best model. 0 disables validation."""
    backend: Literal["auto", "tensorflow", "jax", "torch"] = "auto"
    """Library that Keras computes with. auto: that of KERAS_BACKEND, or the first of TensorFlow,
    PyTorch and JAX that is installed, the fastest on CPUs. A run can be used and
    resumed with any of them."""
    hosts: bool = False
    """Train with all processes of a job, each of which runs this command: JAX only, with --epochs
    and a run folder that all of them reach (docs/cluster.md). All devices of one process are used
    without this option."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers build the landmark
    map (requires the extra `cluster`). Workers must see run and scene under the same paths.
    Default: this machine alone."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numeric precision of training. auto: bfloat16 on GPUs and TPUs that compute it natively,
    and with TensorFlow on such CPUs for the backbones that it speeds up; otherwise float32."""
    seed: int = 0
    """Random seed, 0 to 4294967295. On a CPU, the same seed with --epochs gives the same model."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""
    log: Annotated[
        tyro.conf.DisallowNone[Literal["tensorboard"] | None],
        tyro.conf.arg(help_behavior_hint="(default: none)"),
    ] = None
    """Also log losses and errors to a tool. tensorboard: event files in RUN/logs (requires the
    extra `tensorboard`). RUN/history.csv is always written."""
    evaluate: bool = True
    """Evaluate on the test split and draw figures after training."""
    resume: bool = False
    """Resume the run in the output folder with the settings it was started with."""
    overwrite: bool = False
    """Replace the run folder if it exists."""

    def __post_init__(self) -> None:
        """Check the settings. Raises PoseNetError with the option and the value received."""
        for name in ("minutes", "epochs", "batch_size", "learning_rate", "short_side", "beta"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                option = name.replace("_", "-")
                raise PoseNetError(f"--{option} must be more than 0, received {value}")
        if self.short_side is not None and self.short_side < MIN_SIDE:
            raise PoseNetError(
                f"--short-side must be at least {MIN_SIDE}, received {self.short_side}"
            )
        if self.hosts and self.backend not in ("auto", "jax"):
            raise PoseNetError(f"--hosts requires --backend jax, received {self.backend}")
        if self.hosts and self.add is not None:
            raise PoseNetError("--hosts and --add exclude each other, received both")
        if self.hosts and self.scheduler is not None:
            raise PoseNetError("--hosts and --scheduler exclude each other, received both")
        if self.hosts and self.epochs is None and not self.resume:
            raise PoseNetError("--hosts requires --epochs, since the clocks of processes differ")
        if self.resume and self.overwrite:
            raise PoseNetError("--resume and --overwrite exclude each other, received both")
        if self.add is not None and (self.resume or self.output is not None):
            option = "--resume" if self.resume else "--output"
            raise PoseNetError(f"--add and {option} exclude each other, received both")
        if not 0 <= self.seed < 2**32:
            raise PoseNetError(f"--seed must be from 0 to {2**32 - 1}, received {self.seed}")
        if not 0 <= self.validation_split < 0.9:
            raise PoseNetError(
                f"--validation-split must be from 0 to 0.9, received {self.validation_split}"
            )
        if self.rotation != "quaternion" and self.head != "pose":
            raise PoseNetError(
                f"--rotation {self.rotation} requires --head pose, received --head {self.head}"
            )
        if self.minutes is not None and self.epochs is not None:
            raise PoseNetError(
                f"--minutes and --epochs exclude each other, "
                f"received {self.minutes} and {self.epochs}"
            )

    @property
    def budget(self) -> float:
        """Training time in minutes, all preparation included; infinite if epochs are counted."""
        return math.inf if self.epochs is not None else self.minutes or SCENE_MINUTES

    def to_json(self) -> str:
        """Return the settings as JSON, as saved in config.json.

        Returns:
            A JSON object with one key per field; paths as strings.
        """
        values = dataclasses.asdict(self)
        values = {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}
        return json.dumps(values, indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Return the settings that `to_json` wrote, in this version or in config.json format 1.

        Args:
            values: the parsed JSON object.

        Returns:
            The settings.

        Raises:
            TypeError, ValueError: `values` is not what `to_json` writes.
            PoseNetError: the settings contradict each other.
        """
        values = {FORMAT_1_NAMES.get(name, name): value for name, value in values.items()}
        if values.get("head") in FORMAT_1_HEADS:
            values["head"] = FORMAT_1_HEADS[values["head"]]
        fields = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - fields:
            raise ValueError(f"unknown setting {sorted(unknown)[0]!r}")
        check_types(cls, values)
        for name in ("scene", "output", "add"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        return cls(**values)
