"""The command `animate`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from posenet.cli.options import Positional
from posenet.errors import PoseNetError, count, name_first

if TYPE_CHECKING:
    from posenet.datasets.scene import Scene
    from posenet.localization.estimates import PoseEstimate
    from posenet.run import Run
    from posenet.streams.follower import FollowedFrame

log = logging.getLogger("posenet")

DEFAULT_OUTPUT = "camera_path.mp4"
MAX_FPS = 60.0
# Field of view of images whose intrinsics are unknown, degrees.
TYPICAL_HFOV_DEG = 60.0


@dataclass(frozen=True)
class AnimateConfig:
    """Draw the test sequence of a run as a video: each image beside a map with the camera path.

    Estimated and true poses are drawn, with the errors of each image. The poses are those of the
    evaluation in RUN/evaluation if it is of these images, otherwise the images are localized.
    """

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote."""
    output: Path | None = None
    """MP4 file to write. Default: RUN/evaluation/camera_path.mp4."""
    sequence: str | None = None
    """Name of the test sequence. Default: all of them, one after the other."""
    overwrite: bool = False
    """Replace the file of --output if it exists."""
    fps: float = 10.0
    """Images per second, more than 0 and at most 60."""


def animate(config: AnimateConfig) -> None:
    """Draw the test sequence of a run as a video.

    Args:
        config: the options.

    Raises:
        PoseNetError: the run has no such test sequence, an option is out of range, or the video
            cannot be written.
    """
    from posenet.cli.startup import start_keras
    from posenet.evaluation.report import make_report_folder
    from posenet.run import open_run
    from posenet.run_files import is_packed
    from posenet.streams.video_file import check_video_path

    if not 0 < config.fps <= MAX_FPS:
        raise PoseNetError(f"--fps must be above 0 and at most {MAX_FPS:g}, got {config.fps:g}")
    run = open_run(config.run)
    if is_packed(config.run):
        raise PoseNetError(f"animate draws the images of the scene, {config.run} contains none")
    folder = run.folder / "evaluation"
    output = config.output or make_report_folder(folder) / DEFAULT_OUTPUT
    check_video_path(output, overwrite=config.overwrite or config.output is None)
    scene = run.open_scene()
    test = _choose(run.exclude_training_images(scene.split("test")), config.sequence)
    start_keras()
    from posenet.evaluation.saved import read_estimates

    estimates = read_estimates(folder, test)
    if estimates is None:
        test, estimates = _localize(run, test)
    else:
        log.info("%s: its poses are drawn", folder / "errors.csv")
    training = run.known_training_images(scene)
    _write(run, test, training or test, estimates, output, config.fps)
    log.info("written: %s", output)


def _choose(test: Scene, sequence: str | None) -> Scene:
    """Return the images of a test sequence, or of all of them, sequence after sequence."""
    from posenet.datasets.scene import order_by_sequence

    names = sorted(set(test.sequences.tolist()))
    if sequence is not None and sequence not in names:
        raise PoseNetError(
            f"--sequence must be a test sequence of {test.root} ({name_first(names)}), "
            f"received {sequence}"
        )
    rows = order_by_sequence(test.sequences)
    return test.subset(rows if sequence is None else rows[test.sequences[rows] == sequence])


def _localize(run: Run, test: Scene) -> tuple[Scene, list[PoseEstimate]]:
    """Localize those test images that can be read."""
    log.info("localizing %s: there is no evaluation of them", count(len(test), "image"))
    from posenet.io.image_cache import load_images
    from posenet.localization.localizer import Localizer

    images = load_images(test.paths, run.crop.resized, "test images")
    test = test.subset(images.scene_rows)
    found = Localizer(run).estimate(images, test.paths, test.cameras, test.sequences)
    return test, [found[row] for row in range(len(found))]


def _write(
    run: Run,
    test: Scene,
    training: Scene,
    estimates: Sequence[PoseEstimate],
    output: Path,
    fps: float,
) -> None:
    """Draw the images and write the video."""
    import numpy as np

    from posenet.localization.pnp import CameraPose
    from posenet.mapping.landmarks import read_map_points
    from posenet.streams.drawing import MAP_BOX, SIZE, CameraPathDrawing
    from posenet.streams.map_view import draw_map
    from posenet.streams.path_video import PathVideo
    from posenet.streams.video_file import VideoFile

    view = draw_map(
        MAP_BOX[2:],
        training.poses,
        run.unit,
        points=read_map_points(run.folder),
        ground_truth=test.poses,
        sequences=test.sequences,
        has_std=any(np.isfinite(each.position_std) for each in estimates),
    )
    names = ", ".join(dict.fromkeys(test.sequences.tolist()))
    drawing = CameraPathDrawing(view, f"{run.scene.name}: test sequence {names}", run.unit)
    file = VideoFile(output, fps, SIZE)
    log.info("%s: encoding with %s", output, file.codec)
    with PathVideo(drawing, file) as video:
        for row, frame in enumerate(_frames(run, test, estimates, fps)):
            truth = CameraPose(test.poses.positions[row], test.poses.rotations[row])
            breaks = row > 0 and test.sequences[row] != test.sequences[row - 1]
            video.add(frame, truth, breaks=breaks)


def _frames(
    run: Run, test: Scene, estimates: Sequence[PoseEstimate], fps: float
) -> Iterator[FollowedFrame]:
    """Yield the images with their estimates; gray ones for images that cannot be read."""
    import numpy as np

    from posenet.io.images import read_image
    from posenet.streams.drawing import IMAGE_BOX
    from posenet.streams.follower import FollowedFrame

    shape = IMAGE_BOX[3], IMAGE_BOX[2]
    for row, estimate in enumerate(estimates):
        try:
            image = read_image(test.paths[row], shape)
        except PoseNetError as error:
            log.warning("%s", error)
            image = np.full((*shape, 3), 128, np.uint8)
        camera = test.cameras[row] or run.camera
        hfov_deg = camera.hfov_deg if camera else TYPICAL_HFOV_DEG
        yield FollowedFrame(row, row / fps, image, estimate, hfov_deg)
