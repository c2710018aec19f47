"""The command `predict`."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posenet.cli.options import PredictConfig, check_figure_file
from posenet.errors import PoseNetError, count

if TYPE_CHECKING:
    from posenet.geometry.poses import Poses
    from posenet.localization.estimates import PoseEstimate, PoseEstimates
    from posenet.run import Run
    from posenet.streams.source import StreamSource

log = logging.getLogger("posenet")


def predict(config: PredictConfig) -> None:
    """Estimate the poses of images and print one line for each, or follow a stream.

    Args:
        config: the options.

    Raises:
        PoseNetError: an option is not usable, or no image can be read.
    """
    from posenet.cli.runtime import start_runtime
    from posenet.run import open_run

    check_figure_file("--plot", config.plot)
    run = open_run(config.run)
    stream = _stream(config.images)
    if config.scheduler and stream is not None:
        raise PoseNetError("--scheduler requires images, not a stream or bag")
    if stream is not None:
        from posenet.cli.stream import predict_stream

        if config.topic or config.output_bag:
            raise PoseNetError("--topic and --output-bag cannot be used with a stream")
        if config.json:
            raise PoseNetError("--json cannot be used with a stream")
        predict_stream(config, run, stream)
        return
    for option in ("output", "overwrite", "show", "realtime"):
        if getattr(config, option):
            raise PoseNetError(
                f"--{option} requires one stream: a video file, the number of a camera or a URL"
            )
    from posenet.interop.bag_reader import is_bag

    if config.output_bag:
        from posenet.interop.bag_writer import require_new_bag

        require_new_bag(config.output_bag, "--output-bag")
    if any(is_bag(Path(image)) for image in config.images):
        if config.scheduler:
            raise PoseNetError("--scheduler requires images, not a stream or bag")
        from posenet.cli.bags import predict_bag

        predict_bag(config, run)
        return
    if config.topic:
        raise PoseNetError(f"--topic requires a bag, received {config.images[0]}")
    if config.scheduler:
        from posenet.cli.cluster import predict_on_cluster

        predict_on_cluster(config, run)
        return
    network = start_runtime(config.runtime, run)
    from posenet.localization.localizer import Localizer
    from posenet.localization.query_images import image_files

    paths = image_files(config.images)
    localizer = Localizer(
        run,
        refine=config.refine,
        smooth=bool(config.smooth),
        tta_views=config.tta_views,
        network=network,
    )
    rows, estimates = localizer.localize_files(paths)
    retrieved = localizer.retrieve(estimates) if config.show_retrieved else None
    names = [paths[row] for row in rows]
    print_estimates(names, estimates, retrieved, as_json=config.json)
    if config.output_bag:
        from posenet.cli.bags import write_estimates
        from posenet.interop.bag_writer import to_nanoseconds

        write_estimates(config.output_bag, to_nanoseconds(rows), [estimates])
    if config.plot:
        plot_estimates(run, estimates.poses[estimates.valid], config.plot)
        log.info("written: %s", config.plot)


def print_estimates(
    names: Sequence[object],
    estimates: PoseEstimates | Sequence[PoseEstimate],
    retrieved: list[str] | None,
    *,
    header: bool = True,
    as_json: bool = False,
) -> None:
    """Print one line for each image with a pose.

    Args:
        names: n names of images.
        estimates: their estimates.
        retrieved: names of the most similar training images; None to leave them out.
        header: print the names of the columns first.
        as_json: print JSON objects, without a header.
    """
    from posenet.evaluation.pose_files import PREDICTION_HEADER

    if header and not as_json:
        columns = _columns(estimates[0], None if retrieved is None else "")
        print(f"{PREDICTION_HEADER}; then {', '.join(columns)}")
    for row, name in enumerate(names):
        estimate = estimates[row]
        if not estimate.valid:
            continue
        name_of_retrieved = None if retrieved is None else retrieved[row]
        if as_json:
            print(_json_line(name, estimate, name_of_retrieved))
            continue
        pose = [*estimate.position, *estimate.quaternion_wxyz]
        values = _columns(estimate, name_of_retrieved)
        print(name, *(f"{value:.6f}" for value in pose), *values.values())


def plot_estimates(run: Run, poses: Poses, path: Path) -> None:
    """Plot estimated poses in their order, with the training positions if they are known.

    Args:
        run: the run.
        poses: the poses.
        path: the figure to write.

    Raises:
        PoseNetError: there are no poses, or the file cannot be written.
    """
    from posenet.viz.figure import default_style, new_figure, save_figure
    from posenet.viz.trajectory import plot_path

    if not len(poses):
        raise PoseNetError("--plot requires at least one image with a pose, received none")
    try:
        training = run.training_scene(need_images=False).poses
    except PoseNetError as error:
        log.warning("training images are not plotted: %s", error)
        training = None
    with default_style():
        figure = new_figure(12, 7.6)
        plot_path(figure.add_subplot(), poses, training, run.unit)
        figure.suptitle(f"{run.scene.name}: {count(len(poses), 'image')}")
        save_figure(figure, path)


def _stream(arguments: tuple[str, ...]) -> StreamSource | None:
    """Return the stream that the arguments mean, None if they are images."""
    from posenet.streams.source import find_source

    sources = [find_source(argument) for argument in arguments]
    found = [source for source in sources if source is not None]
    if found and len(arguments) > 1:
        raise PoseNetError(
            f"{found[0]} is a stream, which must be the only input, received {len(arguments)}"
        )
    return found[0] if found else None


def _json_line(name: object, estimate: PoseEstimate, retrieved: str | None) -> str:
    """Return an estimate as a JSON object in one line."""
    values = {
        "image": str(name),
        "position": estimate.position.tolist(),
        "quaternion_wxyz": estimate.quaternion_wxyz.tolist(),
        "rotation_spread_deg": estimate.rotation_spread_deg,
        "position_std": estimate.position_std,
        "rotation_std_deg": estimate.rotation_std_deg,
        "num_inliers": int(estimate.num_inliers),
        "refined": bool(estimate.refined),
    }
    values = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    return json.dumps(values if retrieved is None else values | {"retrieved_image": retrieved})


def _columns(estimate: PoseEstimate, retrieved: str | None) -> dict[str, str]:
    """Return the columns after the pose by name."""
    columns = {
        "rotation_spread_deg": f"{estimate.rotation_spread_deg:.3f}",
        "num_inliers": str(estimate.num_inliers),
        "position_std": f"{estimate.position_std:.4g}",
    }
    if retrieved is not None:
        columns["retrieved_image"] = retrieved
    return columns
