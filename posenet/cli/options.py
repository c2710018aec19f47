"""The options of the commands: each dataclass is a command, its docstring is the help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from posenet.config import FIGURE_FORMATS, TTA_VIEWS, FigureFormat
from posenet.errors import PoseNetError

Positional = tyro.conf.Positional
Variant = Literal["caffe", "tensorflow", "keras", "pytorch"]
KernelOrder = Literal["auto", "tensorflow", "theano"]
# A pair of flags of which neither need be given: --refine or --no-refine.
Refine = Annotated[
    tyro.conf.DisallowNone[bool | None],
    tyro.conf.arg(help_behavior_hint="(default: if possible)"),
]
# The same of --smooth: images are not smoothed by default, streams are.
Smooth = Annotated[
    tyro.conf.DisallowNone[bool | None],
    tyro.conf.arg(help_behavior_hint="(default: only streams)"),
]


def check_figure_file(option: str, path: Path | None) -> None:
    """Check the suffix of a figure before the work starts.

    Args:
        option: the option that names the file.
        path: the file, None for no figure.

    Raises:
        PoseNetError: it has another suffix than those of figures.
    """
    if path is not None and path.suffix.lower().removeprefix(".") not in FIGURE_FORMATS:
        raise PoseNetError(f"{option} must be a .png, .pdf or .svg file, received {path}")


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a run on its test split, beside baselines, and plot the camera path."""

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote, or a packed run: a .zip file or hf://USER/NAME[@REVISION]."""
    scene: Annotated[Path | None, Positional, tyro.conf.arg(metavar="[SCENE]")] = None
    """Scene folder or address, if the scene has moved. Default: where it was in training."""
    output: Path | None = None
    """Folder for summary.json, errors.csv, trajectories and figures. Default: RUN/evaluation;
    for a packed run, the name of the scene and _evaluation, in the current folder."""
    tta_views: int = TTA_VIEWS
    """Number of test-time augmentation views per image, 1-11. More views are slower and more
    accurate; the rotation spread needs at least 2."""
    smooth: bool = False
    """Smooth each test sequence as a video; isolated outliers are down-weighted."""
    refine: Refine = None
    """Refine each pose by local feature matching and PnP, which requires known or measured
    intrinsics of the training images and builds a landmark map on first use. --refine fails if it
    is not possible, --no-refine evaluates the network alone."""
    json: bool = False
    """Print the content of summary.json instead of the report."""
    bag: bool = False
    """Also write a ROS 2 bag with the topics /estimate and /groundtruth, in the folder `bag` of the
    output (requires the extra `bags`)."""
    plot: bool = True
    """Draw the figures."""
    figures: tuple[FigureFormat, ...] = ("png",)
    """Formats of the figures, one or more. Text of PDF and SVG files can be edited."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""


@dataclass(frozen=True)
class EvaluatePosesConfig:
    """Evaluate a pose file against a scene, without a network.

    Lines are TUM (timestamp x y z qx qy qz qw; the timestamp is the number of the test image, or a
    time for TUM and EuRoC scenes), KITTI, name X Y Z W P Q R, name qw qx qy qz tx ty tz (world to
    camera), or have the columns that a header names.
    """

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """Pose file."""
    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Scene folder with the true poses. Images are not needed."""
    output: Path | None = None
    """Folder for summary.json, errors.csv, trajectories and figures. Default: write no files."""
    split: str = "auto"
    """Test split: auto (the scene's own or its test.txt, otherwise blocks), blocks, sequence:NAME,
    every:8, random:0.25, or a text file that lists the test images."""
    json: bool = False
    """Print the content of summary.json instead of the report."""
    plot: bool = True
    """Draw the figures, if --output is given."""
    figures: tuple[FigureFormat, ...] = ("png",)
    """Formats of the figures, one or more. Text of PDF and SVG files can be edited."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""


@dataclass(frozen=True)
class PredictConfig:
    """Estimate the camera poses of new images, or follow the camera of a video or stream.

    Prints one line per image: name x y z qw qx qy qz rotation_spread_deg num_inliers position_std.
    These are the camera center, the rotation from camera to world axes, the spread of the views'
    rotations (nan with one view), the number of keypoints that agree with the refined pose, and the
    standard deviation of the position. An image that is not refined has the network's pose and 0
    inliers; position_std is nan if no image is refined. --show-retrieved adds retrieved_image.
    Images that cannot be localized have no line.

    A stream is a video file, the number of a camera, or an rtsp:// or http:// URL. Its lines start
    with the number of the frame and its time in seconds, and are printed as the poses come. Frames
    without a trustworthy pose have no line. A live stream is read until Ctrl-C.
    """

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote, or a packed run: a .zip file or hf://USER/NAME[@REVISION]."""
    images: Annotated[tuple[str, ...], Positional, tyro.conf.arg(metavar="IMAGE...|STREAM|BAG")]
    """Images, or folders of images; or one stream, or one ROS 2 bag (requires the extra `bags`)."""
    topic: str | None = None
    """Topic of the images in a bag. Default: the only one. Intrinsics are read from camera_info
    beside it."""
    output_bag: Path | None = None
    """Folder of a ROS 2 bag to write the poses to as /estimate, PoseWithCovarianceStamped (requires
    the extra `bags`). Times are those of the bag, or the numbers of the images. Default: no bag."""
    tta_views: int | None = None
    """Number of test-time augmentation views per image, 1-11. More views are slower and more
    accurate; the rotation spread needs at least 2. Default: 11, or 3 if poses are refined, or 1 for
    streams."""
    smooth: Smooth = None
    """Smooth the images of each folder as a video, in the order of the numbers in their names. The
    poses of a stream are smoothed with those before them if they are refined."""
    refine: Refine = None
    """Refine each pose by local feature matching and PnP, which requires known or measured
    intrinsics of the training images and builds a landmark map on first use. --refine fails if it
    is not possible, --no-refine prints the poses of the network."""
    show_retrieved: bool = False
    """Also print the name of the most similar training image."""
    json: bool = False
    """Print a JSON object per image instead of columns; what has no value is null."""
    runtime: Literal["auto", "onnx", "tensorflow", "jax", "torch"] = "auto"
    """What runs the network. auto: Keras, on the backend of KERAS_BACKEND, or on the first of
    TensorFlow, PyTorch and JAX that is installed. onnx starts in a third of the time: it uses
    RUN/model.onnx, which is exported once, and does not import Keras after that. It requires the
    extra `onnx`, and `export` for the first time."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://10.0.0.1:8786, on whose workers the map is built
    and the images are localized (requires the extra `cluster`). Workers must see run, scene and
    images under the same paths. Default: this machine alone."""
    plot: Path | None = None
    """PNG, PDF or SVG file to plot the estimated poses in, in the order of the images. Default: no
    plot."""
    output: Path | None = None
    """For streams: MP4 file to draw the frames beside a map with the camera path in."""
    overwrite: bool = False
    """Replace the video of --output if it exists."""
    show: bool = False
    """For streams: show the frames beside the map in a window; q closes it."""
    realtime: bool = False
    """For video files: read them at their own speed and drop frames, as of a live stream. Default:
    use every frame."""


@dataclass(frozen=True)
class CourtyardConfig:
    """Generate the built-in synthetic scene, a courtyard in the Cambridge Landmarks format."""

    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """Folder to write."""
    train: int = 300
    """Number of training images, in three sequences."""
    test: int = 100
    """Number of test images, in a sequence of their own."""
    seed: int = 0
    """Random seed; another seed gives another courtyard."""


@dataclass(frozen=True)
class InfoConfig:
    """Summarize a scene, check its labels and its rotation convention, and plot a map.

    Prints images, splits, extent, intrinsics and label issues.
    """

    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Scene folder, or an address such as s3://bucket/scene (requires the extra `remote`)."""
    split: str = "auto"
    """Test split: auto (the scene's own or its test.txt, otherwise blocks), blocks, sequence:NAME,
    every:8, random:0.25, or a text file that lists the test images."""
    plot_file: Path | None = None
    """PNG, PDF or SVG file of the map. Default: the name of the scene and _map.png, in the current
    folder."""
    plot: bool = True
    """Plot the map."""
    json: bool = False
    """Print the report as JSON."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""


@dataclass(frozen=True)
class ConvertConfig:
    """Write a scene in another format.

    Poses stay the same to within 1e-6. What the format cannot store is listed.
    """

    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Scene folder, or an address such as s3://bucket/scene (requires the extra `remote`)."""
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """Folder to write."""
    to: Literal["cambridge", "7scenes", "colmap", "transforms", "tum", "kitti", "csv"]
    """Format to write."""
    copy: bool = False
    """Copy the images. Default: hard-link them if the file system allows it. Images with an EXIF
    rotation are always written upright."""
    split: str = "auto"
    """Test split: auto (the scene's own or its test.txt, otherwise blocks), blocks, sequence:NAME,
    every:8, random:0.25, or a text file that lists the test images."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""


@dataclass(frozen=True)
class ReconstructConfig:
    """Reconstruct a scene from photos or videos by structure from motion.

    Usage: posenet scene reconstruct PHOTOS|VIDEO... OUT. Each input becomes a sequence. An
    interrupted reconstruction resumes. Requires the extra `capture`.
    """

    paths: Annotated[tuple[Path, ...], Positional, tyro.conf.arg(metavar="PHOTOS|VIDEO... OUT")]
    """Folders of photos, or videos; the last path is the folder to write."""
    scale_bar: Annotated[tuple[str, str, float], tyro.conf.arg(metavar="A B METERS")] = (
        "",
        "",
        0.0,
    )
    """Names of two images and the distance between their cameras in meters. Default: the unit is
    free."""
    reference_positions: Path | None = None
    """File of known camera positions in meters, lines `name X Y Z` for at least three images. After
    a header `# name lat lon alt` they are degrees and meters. `exif` uses the GPS data of the
    photos. Default: the unit is free."""
    max_frames: int = 250
    """Largest number of frames from each video."""


@dataclass(frozen=True)
class ClassifyConfig:
    """Classify a photo with a backbone's own ImageNet classifier, to check its weights."""

    image: Annotated[Path, Positional, tyro.conf.arg(metavar="IMAGE")]
    """Image file."""
    backbone: str = "efficientnet_lite0"
    """Backbone: efficientnet_lite0, googlenet (BVLC's), inception_v4, or a network of
    keras.applications, such as MobileNetV2."""
    weights: Path | None = None
    """File with its weights and classifier. Default: ImageNet weights, installed with
    posenet or downloaded once."""


@dataclass(frozen=True)
class InspectConfig:
    """List the layers of a file of published weights with their shapes."""

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """Weight file: .caffemodel, .npy, .pickle, .h5, .pth, a TensorFlow 1 checkpoint, or an .npz
    that `weights convert` wrote."""
    kernel_order: KernelOrder = "auto"
    """Order of the kernels in an .h5 file."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class ConvertWeightsConfig:
    """Convert published weights to .npz (any network) or .weights.h5 (a known Keras model)."""

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """Weight file: .caffemodel, .npy, .pickle, .h5, .pth, or a TensorFlow 1 checkpoint."""
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="OUT")]
    """File to write, .npz or .weights.h5."""
    variant: str | None = None
    """For .weights.h5: PoseNet's architecture variant (caffe, tensorflow, keras, pytorch; default:
    that of the file format), or a backbone (googlenet, inception_v4, MobileNetV2, ...) for its
    ImageNet classifier."""
    kernel_order: KernelOrder = "auto"
    """Order of the kernels in an .h5 file."""
    overwrite: bool = False
    """Replace the output file if it exists."""


@dataclass(frozen=True)
class EvaluateWeightsConfig:
    """Evaluate published PoseNet weights on the scene they were trained on."""

    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """Weight file: .caffemodel, .npy, .pickle, .h5, .pth, a TensorFlow 1 checkpoint, or an .npz
    that `weights convert` wrote."""
    scene: Annotated[Path, Positional, tyro.conf.arg(metavar="SCENE")]
    """Scene folder: the scene the weights were trained on, with the same pose labels."""
    output: Path | None = None
    """Folder for summary.json, errors.csv, trajectories and figures. Default: write no files."""
    variant: Variant | None = None
    """Architecture variant of PoseNet that the weights were trained with. Default: that of the file
    format."""
    legacy: bool = False
    """Reproduce crop and mean of the TensorFlow and Keras ports, faults included; their weights
    expect them."""
    mean_image: Path | None = None
    """File of the mean image (.binaryproto, or .npy in BGR; RGB for the pytorch variant). Default:
    ImageNet's mean color; with --legacy the mean of the evaluated images."""
    batchnorm_epsilon: float = 1e-3
    """Epsilon of batch normalization in the keras variant; Keras before 1.2 used 1e-5."""
    split: str = "auto"
    """Test split: auto (the scene's own or its test.txt, otherwise blocks), blocks, sequence:NAME,
    every:8, random:0.25, or a text file that lists the test images."""
    json: bool = False
    """Print the content of summary.json instead of the report."""
    plot: bool = True
    """Draw the figures, if --output is given."""
    figures: tuple[FigureFormat, ...] = ("png",)
    """Formats of the figures, one or more. Text of PDF and SVG files can be edited."""
    strict: bool = False
    """Refuse a scene with any label issue instead of reporting it and dropping the image."""
