"""The command `predict` for a video, camera or network stream."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posenet.cli.options import PredictConfig
from posenet.cli.startup import OncePerMessage
from posenet.errors import PoseNetError, count

if TYPE_CHECKING:
    from posenet.run import Run
    from posenet.streams.follower import FollowedFrame, Follower
    from posenet.streams.path_video import PathVideo
    from posenet.streams.reader import FrameReader
    from posenet.streams.source import StreamSource
    from posenet.streams.window import Window

log = logging.getLogger("posenet")

HEADER = "# frame seconds x y z qw qx qy qz, camera to world; then "
COLUMNS = ("rotation_spread_deg", "num_inliers", "position_std")


@dataclass
class _Progress:
    """Counts the frames of a stream."""

    followed: int = 0
    lost: int = 0
    is_lost: bool = False
    started: float = 0.0

    def add(self, frame: FollowedFrame) -> None:
        """Count a frame, and log when the camera is lost or found again."""
        if not self.total:
            self.started = time.monotonic()
        self.followed += not frame.is_lost
        self.lost += frame.is_lost
        if frame.is_lost != self.is_lost:
            state = "lost" if frame.is_lost else "found again"
            log.info("frame %d, %.1f s: %s", frame.number, frame.seconds, state)
        self.is_lost = frame.is_lost

    @property
    def total(self) -> int:
        """Number of frames."""
        return self.followed + self.lost

    def summary(self, dropped: int) -> str:
        """Return the summary of a stream. Its rate is that after the first frame.

        Args:
            dropped: number of frames that were dropped.

        Returns:
            One line.
        """
        text = f"{count(self.total, 'frame')}: {self.followed} followed, {self.lost} lost"
        if dropped:
            text += f", {dropped} more dropped"
        if self.total > 1:
            seconds = max(time.monotonic() - self.started, 1e-9)
            text += f", {(self.total - 1) / seconds:.1f} images/s"
        return text


def predict_stream(config: PredictConfig, run: Run, source: StreamSource) -> None:
    """Follow the camera of a stream and print one line for each frame with a pose.

    Args:
        config: the options.
        run: the run.
        source: the stream.

    Raises:
        PoseNetError: an option is for images only, or the stream cannot be opened or followed.
    """
    for option in ("plot", "show_retrieved"):
        if getattr(config, option):
            name = option.replace("_", "-")
            raise PoseNetError(f"--{name} requires images, {source} is a stream")
    from posenet.streams.reader import FrameReader
    from posenet.streams.video_file import check_video_path
    from posenet.streams.window import require_window

    # What can fail does so before TensorFlow starts.
    if config.output:
        check_video_path(config.output, overwrite=config.overwrite)
        if config.output.exists() and config.output.samefile(source.name):
            raise PoseNetError(f"--output must be another file than the input, got {source}")
    if config.show:
        require_window()
    reader = FrameReader(source, realtime=config.realtime)
    from posenet.cli.runtime import start_runtime

    network = start_runtime(config.runtime, run)
    from posenet.localization.localizer import Localizer
    from posenet.streams.follower import Follower, tta_views

    localizer = Localizer(
        run, refine=config.refine, tta_views=tta_views(config.tta_views), network=network
    )
    once = OncePerMessage()
    follower = Follower(localizer, smooth=config.smooth is not False)
    progress = _Progress()
    ended = "interrupted after "
    with ExitStack() as stack:
        log.addFilter(once)
        stack.callback(log.removeFilter, once)
        video, window = _open_video(config, run, reader, follower, stack)
        stack.enter_context(reader)
        try:
            _follow(follower, reader, progress, video, window)
            ended = ""
        except KeyboardInterrupt:  # how a live stream ends
            pass
        log.info("%s%s", ended, progress.summary(reader.num_dropped))
    if config.output and progress.total:
        log.info("written: %s", config.output)


def _follow(
    follower: Follower,
    reader: FrameReader,
    progress: _Progress,
    video: PathVideo | None,
    window: Window | None,
) -> None:
    """Print and draw the frames of a stream until it ends."""
    print(HEADER + ", ".join(COLUMNS), flush=True)
    for frame in follower.follow(reader):
        progress.add(frame)
        if not frame.is_lost:
            print(_line(frame), flush=True)
        if video is not None:
            video.add(frame)
            if window is not None and not window.show(video.latest):
                return


def _line(frame: FollowedFrame) -> str:
    """Return the line of a frame, with the columns of `predict` for an image."""
    estimate = frame.estimate
    pose = (f"{value:.6f}" for value in (*estimate.position, *estimate.quaternion_wxyz))
    return (
        f"{frame.number} {frame.seconds:.3f} {' '.join(pose)} {estimate.rotation_spread_deg:.3f} "
        f"{estimate.num_inliers} {estimate.position_std:.4g}"
    )


def _open_video(
    config: PredictConfig, run: Run, reader: FrameReader, follower: Follower, stack: ExitStack
) -> tuple[PathVideo | None, Window | None]:
    """Open what the stream is drawn in: a file, a window, both or neither."""
    if not (config.output or config.show):
        return None, None
    from posenet.mapping.landmarks import read_map_points
    from posenet.streams.drawing import MAP_BOX, SIZE, CameraPathDrawing
    from posenet.streams.map_view import draw_map
    from posenet.streams.path_video import PathVideo
    from posenet.streams.video_file import MAX_FPS, VideoFile, output_rate
    from posenet.streams.window import Window

    refines = follower.tracker is not None
    view = draw_map(
        MAP_BOX[2:],
        follower.localizer.gallery.scene.poses,
        run.unit,
        points=read_map_points(run.folder),
        has_std=refines,
    )
    name = reader.source.title
    drawing = CameraPathDrawing(view, f"{run.scene.name}: {name}", run.unit)
    file = None
    if config.output:
        rate = MAX_FPS if reader.drops else output_rate(reader.fps)
        file = VideoFile(config.output, rate, SIZE)
        log.info("%s: encoding with %s", config.output, file.codec)
    video = stack.enter_context(PathVideo(drawing, file, every=config.show))
    window = None
    if config.show:
        window = Window(f"posenet: {name}")
        stack.callback(window.close)
    return video, window
