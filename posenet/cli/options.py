"""The commands' options: each dataclass is a command, its docstring the help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posenet.config import TTA_VIEWS, TrainConfig

Positional = tyro.conf.Positional


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a run on its test split, beside the baselines, and draw the camera path."""

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote, or a file of published weights. With --poses: the scene's folder."""
    scene: Annotated[Path | None, Positional, tyro.conf.arg(metavar="[SCENE]")] = None
    """Folder of the scene. Default: the one the run was trained on."""
    poses: Path | None = None
    """Score this pose file instead of a network: TUM lines (stamps are the test images' numbers, of TUM and EuRoC
    scenes times), or lines `name X Y Z W P Q R`."""
    output: Path | None = None
    """Folder for the results; drawings of an earlier evaluation there are replaced or, where they do not fit any more,
    removed. Default: RUN/evaluation; none with --poses and published weights."""
    json: bool = False
    """Print summary.json instead of the table."""
    plot: bool = True
    """Draw the camera path and the error curves."""
    strict: bool = False
    """Refuse a scene with any label fault instead of reporting and dropping."""
    tta_views: int = TTA_VIEWS
    """Views of each image, turned a little, that the answer is the mean of: 1 to 11. One is fastest, more are surer,
    and only more than one tell how sure they are."""
    smooth: bool = False
    """Draw the path of each test sequence smooth, as for a video; single answers that jump are doubted."""
    refine: bool = False
    """Make poses exact by matching each image with the training images (needs intrinsics). The map that this takes
    is made once."""
    graph: Literal["caffe", "tensorflow", "keras", "pytorch"] | None = None
    """Published weights: the graph that they were made for. Default: the one that their format comes from."""
    legacy: bool = False
    """Published weights: cut and mean of the TensorFlow and Keras ports, faults included; their weights expect them."""
    mean: Path | None = None
    """Published weights: the mean image (.binaryproto, or .npy: BGR, for the pytorch graph RGB). Default: ImageNet's
    mean color; with --legacy the mean of the evaluated images."""
    epsilon: float = 1e-3
    """Published weights: the keras graph's normalization divides by the root of variance + this; Keras before 1.2 had
    1e-5."""
    split: str = "auto"
    """Published weights and pose files: as for train. A run has its own."""


@dataclass(frozen=True)
class PredictConfig:
    """Tell where the camera stood for new images.

    Prints lines `name x y z qw qx qy qz doubt_deg`: the camera center, the rotation from camera to world axes, and how
    far the views of the image lie apart ("nan" for one view). With --refine then `inliers deviation`, with --show-retrieved
    a name. Images without an answer have no line.
    """

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote."""
    images: Annotated[tuple[Path, ...], Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Images, or folders of images."""
    tta_views: int = TTA_VIEWS
    """As for evaluate."""
    smooth: bool = False
    """The images of each folder are a video's, in this order: draw their path smooth."""
    refine: bool = False
    """As for evaluate."""
    show_retrieved: bool = False
    """Also name the training image that is most like each."""
    plot: Path | None = None
    """Draw the path, in the order of the images, in this PNG file."""


@dataclass(frozen=True)
class CourtyardConfig:
    """Make the built-in synthetic scene: a courtyard in the Cambridge Landmarks layout."""

    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """Folder to write."""
    train: int = 300
    """Training images, three walks."""
    test: int = 100
    """Test images, a walk of their own."""
    seed: int = 0
    """Another seed gives another courtyard."""


@dataclass(frozen=True)
class InfoConfig:
    """Say what a scene's folder holds: images, splits, extent, up, intrinsics, label faults, whether the rotations
    are read rightly; and draw a map."""

    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Folder of the scene."""
    split: str = "auto"
    """As for train."""
    map: Path | None = None
    """The PNG file of the map. Default: the scene's name and _map.png, in the current folder."""
    plot: bool = True
    """Draw the map."""
    json: bool = False
    """Print the facts as JSON."""
    strict: bool = False
    """Fail on any label fault."""


@dataclass(frozen=True)
class ConvertConfig:
    """Write a scene in another layout. Poses stay the same to within 1e-6; what the layout cannot hold is said."""

    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Folder of the scene."""
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """Folder to write."""
    to: Literal["cambridge", "7scenes", "colmap", "transforms", "tum", "kitti", "csv"]
    """The layout to write."""
    copy: bool = False
    """Copy the images. Otherwise they are linked where the disk allows it (a second name for the same file). Those
    that their EXIF turns are written upright."""
    split: str = "auto"
    """As for train."""
    strict: bool = False
    """Fail on any label fault."""


@dataclass(frozen=True)
class CaptureConfig:
    """Make a posed scene of photographs or videos, by structure from motion (needs the extra `capture`).

    posenet scene capture PHOTOS|VIDEO... OUT. Several inputs become several sequences. A stopped capture goes on.
    """

    paths: Annotated[tuple[Path, ...], Positional, tyro.conf.arg(metavar="PHOTOS|VIDEO... OUT")]
    """Folders of photographs and videos; the last is the folder to write."""
    scale: Annotated[tuple[str, str, float], tyro.conf.arg(metavar="A B METERS")] = ("", "", 0.0)
    """Two images' names and the distance between them in meters. Default: the unit is free."""
    align: Path | None = None
    """A file of known positions in meters, lines `name X Y Z`."""
    images: int = 250
    """Images to take from each video, at most."""


@dataclass(frozen=True)
class ClassifyConfig:
    """Name what is in a image, by a pretrained backbone's own ImageNet classifier: is the backbone loaded rightly?"""

    image: Annotated[Path, Positional, tyro.conf.arg(metavar="IMAGE")]
    """A image."""
    backbone: str = "efficientnet_lite0"
    """efficientnet_lite0, googlenet (BVLC's), inception_v4, or a network of keras.applications, such as MobileNetV2."""
    weights: Path | None = None
    """Its weights with the classifier. Default: ImageNet's, installed (extra `pretrained`) or fetched once."""


@dataclass(frozen=True)
class InspectConfig:
    """List the layers and shapes in a file of published weights."""

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """.caffemodel, .npy, .pickle, .h5, .pth, a TensorFlow 1 checkpoint, or an .npz that `convert` wrote."""
    order: Literal["auto", "tensorflow", "theano"] = "auto"
    """Kernel order of an .h5 file."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class ConvertWeightsConfig:
    """Write published weights as .npz (any network, Keras order) or .weights.h5 (a known network's Keras model)."""

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """.caffemodel, .npy, .pickle, .h5, .pth, or a TensorFlow 1 checkpoint."""
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """The file to write."""
    graph: str | None = None
    """For .weights.h5: PoseNet's graph (caffe, tensorflow, keras, pytorch; default: that of the format), or
    a backbone's name (googlenet, inception_v4, MobileNetV2 ...) for its ImageNet classifier."""
    order: Literal["auto", "tensorflow", "theano"] = "auto"
    """Kernel order of an .h5 file."""
    overwrite: bool = False
    """Replace the file if it exists."""


@dataclass(frozen=True)
class WeightsCommand:
    """Look at or convert files of published weights."""

    command: (
        Annotated[InspectConfig, tyro.conf.subcommand("inspect")]
        | Annotated[ConvertWeightsConfig, tyro.conf.subcommand("convert")]
    )


@dataclass(frozen=True)
class SceneCommand:
    """Look at or make scenes."""

    command: (
        Annotated[InfoConfig, tyro.conf.subcommand("info")]
        | Annotated[ConvertConfig, tyro.conf.subcommand("convert")]
        | Annotated[CaptureConfig, tyro.conf.subcommand("capture")]
        | Annotated[CourtyardConfig, tyro.conf.subcommand("courtyard")]
    )


AnyCommand = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[PredictConfig, tyro.conf.subcommand("predict")]
    | Annotated[SceneCommand, tyro.conf.subcommand("scene")]
    | Annotated[WeightsCommand, tyro.conf.subcommand("weights")]
    | Annotated[ClassifyConfig, tyro.conf.subcommand("classify")]
)
