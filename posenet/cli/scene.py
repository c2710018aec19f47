"""The commands `scene info`, `convert`, `reconstruct` and `courtyard`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from posenet.cli.options import (
    ConvertConfig,
    CourtyardConfig,
    InfoConfig,
    ReconstructConfig,
    check_figure_file,
)
from posenet.errors import PoseNetError, count

if TYPE_CHECKING:
    from posenet.datasets.validation import RawScene

log = logging.getLogger("posenet")


def info(config: InfoConfig) -> None:
    """Print the report of a scene and plot its map.

    Args:
        config: the options.

    Raises:
        PoseNetError: the scene cannot be read, or the map cannot be written.
    """
    from posenet.datasets.moments import number_moments
    from posenet.datasets.registry import (
        apply_split,
        open_scene_with_issues,
        read_scene,
        resolve_split,
    )
    from posenet.mapping.label_check import check_labels
    from posenet.mapping.scene_report import create_report, format_report

    if config.plot:
        check_figure_file("--plot-file", config.plot_file)
    raw = read_scene(config.scene)
    has_images = find_images(raw)
    level = log.level
    log.setLevel(logging.ERROR)  # the report contains the warnings
    try:
        notes = apply_split(number_moments(raw), config.split).notes
        scene, issues = open_scene_with_issues(
            config.scene,
            strict=config.strict,
            need_images=has_images,
            split=config.split,
            raw=raw,
        )
    finally:
        log.setLevel(level)
    training = scene.subset(scene.splits == "train")
    convention, corrections = check_labels(scene, training, use_images=has_images)
    report = create_report(
        scene,
        issues,
        notes=notes,
        format_name=raw.format,
        split=resolve_split(config.scene, config.split, raw),
        convention=convention,
        corrections=corrections,
    )
    text = json.dumps(report.to_dict(), indent=2) if config.json else format_report(report)
    print(text, flush=True)
    if config.plot:
        from posenet.viz.scene_map import write_scene_map

        target = config.plot_file or Path(f"{scene.name}_map.png")
        write_scene_map(target, scene)
        log.info("written: %s", target)


def find_images(raw: RawScene) -> bool:
    """Return whether any listed image exists, and warn if none does.

    Args:
        raw: the labels of a scene.

    Returns:
        False if only the labels can be used.
    """
    from posenet.datasets.formats.image_files import file_exists

    if any(file_exists(raw.root / name) for name in raw.names):
        return True
    log.warning("%s: none of the listed images exists, only the labels are checked", raw.name)
    return False


def convert(config: ConvertConfig) -> None:
    """Write a scene in another format.

    Args:
        config: the options.
    """
    from posenet.datasets import convert as conversion
    from posenet.datasets.registry import open_scene

    scene = open_scene(config.scene, strict=config.strict, split=config.split)
    conversion.convert(scene, config.output, config.to, copy=config.copy)
    print(f"written: {config.output} ({count(len(scene), 'image')})")


def reconstruct(config: ReconstructConfig) -> None:
    """Reconstruct a scene from photos or videos.

    Args:
        config: the options.

    Raises:
        PoseNetError: an input or option is unusable, or the images do not overlap enough.
    """
    from posenet.mapping.capture import pipeline

    if len(config.paths) < 2:
        received = ", ".join(map(str, config.paths)) or "nothing"
        raise PoseNetError(
            f"photos or a video, and a folder to write, are required, received {received}"
        )
    *inputs, output = config.paths
    result = pipeline.reconstruct(
        tuple(inputs),
        output,
        scale_bar=config.scale_bar if any(config.scale_bar) else None,
        reference_positions=config.reference_positions,
        max_frames=config.max_frames,
    )
    print(
        f"reconstructed: {output}, {result.placed} of {count(result.images, 'image')} placed, "
        f"{count(result.points, '3-D point')}, mean reprojection error "
        f"{result.reprojection_px:.2f} px, unit {result.unit}"
    )
    if result.unplaced:
        print("not placed: " + ", ".join(result.unplaced))


def courtyard(config: CourtyardConfig) -> None:
    """Generate the built-in scene.

    Args:
        config: the options.
    """
    from posenet.datasets.courtyard.generate import make_courtyard

    make_courtyard(config.output, train=config.train, test=config.test, seed=config.seed)
    training = count(config.train, "training image")
    print(f"written: {config.output} ({training}, {count(config.test, 'test image')})")


def reconstruct_video(video: Path, *, must_exist: bool = False) -> Path:
    """Return the scene of a video, which is reconstructed unless it exists.

    Args:
        video: the video file.
        must_exist: raise an error instead of reconstructing.

    Returns:
        The scene folder, scenes/NAME; with a number if the name belongs to another video.

    Raises:
        PoseNetError: the file does not exist or is not a video, or the scene must exist.
    """
    from posenet.datasets.formats.image_names import replace_spaces
    from posenet.io.image_headers import VIDEO_SUFFIXES
    from posenet.mapping.capture.images import is_video
    from posenet.mapping.capture.pipeline import reconstruct
    from posenet.mapping.capture.state import belongs_to, is_finished

    if not video.exists():
        raise PoseNetError(f"video not found: {video}")
    if not is_video(video):
        raise PoseNetError(
            f"{video} is neither a scene folder nor a video ({', '.join(VIDEO_SUFFIXES)})"
        )
    name = replace_spaces(video.stem)
    number = 1
    folder = Path("scenes") / name
    while folder.exists() and not belongs_to(folder, video):
        number += 1
        folder = Path("scenes") / f"{name}_{number}"
    if is_finished(folder, video):
        return folder
    if must_exist:
        raise PoseNetError(
            f"{video} --resume: its scene {folder} must exist, it does not: use --output RUN "
            "--resume"
        )
    log.info("reconstructing %s in %s", video, folder)
    reconstruct((video,), folder)
    return folder
