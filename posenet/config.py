"""The settings of a training run: Python API, command options and RUN/config.json in one."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posenet.errors import PoseNetError

Head = Literal["pose", "scene-coordinates"]
Rotation = Literal["quaternion", "log", "6d"]
COURTYARD_MINUTES, SCENE_MINUTES = 4.5, 15.0
SMALLEST_SIDE = 32  # pixels: one cell of a backbone's last feature map
VIEWS = 11  # of each image, averaged: all the turns that views.py has


@dataclass(frozen=True)
class TrainConfig:
    """Train a network on a scene, evaluate it and draw the camera path."""

    scene: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[SCENE|VIDEO]")] = (
        None
    )
    """Folder of a scene, or a video to make one of. Without, the built-in courtyard, made on first use."""
    output: Path | None = None
    """The run folder to write. Default: runs/ and the scene's name."""
    backbone: str = "auto"
    """efficientnet_lite0, googlenet (batch normalized), inception_v4, a network of keras.applications (MobileNetV2,
    ResNet50, ...), posenet (2015, Caffe graph), posenet_tensorflow, posenet_keras. auto: efficientnet_lite0 where its
    ImageNet weights are installed (extra `pretrained`), else googlenet; googlenet without SCENE."""
    head: Literal["auto"] | Head = "auto"
    """How the network answers. points: it tells what lies where, in the world and before the camera, and the pose is
    the motion that lays one on the other. pose: position and quaternion at once, as PoseNet does. auto: points for
    googlenet and efficientnet_lite0 where the training images tell depth, else pose."""
    rotation: Rotation = "quaternion"
    """What the head `pose` answers for the rotation: a quaternion, its logarithm, or two axes (6d)."""
    weights: str = "auto"
    """What the backbone starts from: auto (ImageNet's where they are here already; googlenet and posenet start from random
    ones), imagenet (fetched if need be), none, or a file of published weights."""
    minutes: float | None = None
    """Time to train for, reading the images included. Default: 15 (4.5 without SCENE)."""
    epochs: int | None = None
    """Train for this many epochs instead of a time."""
    loss: Literal["learned", "geometric", "posenet"] = "learned"
    """learned: position and rotation weighed by learned variances (2017). geometric: how far the scene's points lie
    from where the camera sees them (needs depth). posenet: fixed beta (2015)."""
    beta: float = 500.0
    """Weight of rotation against position in the posenet loss."""
    learning_rate: float | None = None
    """Highest learning rate, of Muon; Adam, which trains convolutions and outputs, takes half of it. It warms up, then
    falls to zero along a cosine. Default: 0.002, 0.001 for inception_v4 and the networks of keras.applications, 0.0001
    for the posenet backbones."""
    batch_size: int | None = None
    """Images a step. Default: 32, fewer of large ones, or 16 for fewer than 500 training images."""
    short_side: int | None = None
    """Short side in pixels that images are scaled to. Default: 192, 160 for less than 30 minutes, 128 for less than
    8; 256, cut to 224, for the posenet backbones."""
    augment: bool = True
    """Turn the camera about its center (pose moved along) and change the colors."""
    synthetic_views: bool = True
    """Also move the camera a little when augmenting, by the depth that neighboring training images tell (with the
    head of points, or the geometric loss)."""
    refine_intrinsics: bool = True
    """Measure focal length and principal point by how images agree with their poses, and use them where the scene's
    own are clearly off, or not known."""
    split: str = "auto"
    """Which images are for testing: auto (what the scene or its test.txt says, else blocks), blocks of time,
    sequence:NAME, a file that lists them, every:8 or random:0.25. The last two make the error look better than it is:
    neighboring frames of a video are nearly the same image."""
    validation_split: float = 0.08
    """Share of the training images held out, as whole sequences or blocks, to choose the best model. 0: none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the GPU computes it natively; on such a CPU only for backbones that it makes faster (of
    keras.applications the VGGs, ResNets, DenseNets and Inceptions)."""
    seed: int = 0
    """Seed of everything random. On a CPU the same seed and --epochs give the same model."""
    strict: bool = False
    """Refuse a scene with any label fault instead of reporting and dropping."""
    evaluate: bool = True
    """Evaluate on the test split and draw when training is done."""
    resume: bool = False
    """Go on with the run in the output folder, with the settings it was started with."""
    overwrite: bool = False
    """Replace the run folder if it exists."""

    def __post_init__(self):
        positive = {"minutes": self.minutes, "epochs": self.epochs, "batch-size": self.batch_size}
        positive |= {
            "learning-rate": self.learning_rate,
            "short-side": self.short_side,
            "beta": self.beta,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise PoseNetError(f"--{name} must be more than 0, received {value}")
        if self.short_side is not None and 0 < self.short_side < SMALLEST_SIDE:
            raise PoseNetError(
                f"--short-side must be at least {SMALLEST_SIDE}, received {self.short_side}"
            )
        if self.resume and self.overwrite:
            raise PoseNetError(
                "--resume goes on with a run, --overwrite replaces it: give one of them, received both"
            )
        if not 0 <= self.seed < 2**32:
            raise PoseNetError(f"--seed must be from 0 to {2**32 - 1}, received {self.seed}")
        if not 0 <= self.validation_split < 0.9:
            raise PoseNetError(
                f"--validation-split must be a share from 0 to 0.9, received {self.validation_split}"
            )
        if self.rotation != "quaternion" and self.head != "pose":
            raise PoseNetError(
                f"--rotation {self.rotation} needs --head pose, received --head {self.head}"
            )
        if self.minutes is not None and self.epochs is not None:
            raise PoseNetError(
                f"give --minutes or --epochs, not both, received {self.minutes} and {self.epochs}"
            )

    @property
    def default_short_side(self) -> int:
        """Smaller images train faster: what a short training gains most from."""
        return 128 if self.budget < 8 else 160 if self.budget < 30 else 192

    @property
    def budget(self) -> float:
        """Minutes that the training has, all preparation included; infinite where epochs are counted."""
        return math.inf if self.epochs is not None else self.minutes or SCENE_MINUTES

    def to_json(self) -> str:
        """As saved in the run folder."""
        values = {
            k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(self).items()
        }
        return json.dumps(values, indent=2)

    @classmethod
    def from_dict(cls, values: dict) -> TrainConfig:
        """From what to_json wrote. Raises TypeError or ValueError for anything else, PoseNetError for settings that do
        not go."""
        fields = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - fields:
            raise ValueError(f"unknown setting {sorted(unknown)[0]!r}")
        paths = {
            name: Path(values[name]) for name in ("scene", "output") if values.get(name) is not None
        }
        return cls(**(values | paths))
