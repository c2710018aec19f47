"""The scene commands; like cli.py they print results and import heavy libraries inside."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from posenet.cli.options import CaptureConfig, ConvertConfig, CourtyardConfig, InfoConfig
from posenet.errors import PoseNetError

log = logging.getLogger("posenet")


def captured(video: Path, there: bool = False) -> Path:
    """The scene that capture makes of a video, made unless it is there. Raises PoseNetError where it must be there."""
    from posenet.datasets.formats.parsing import replace_spaces
    from posenet.mapping.capture.images import is_video
    from posenet.mapping.capture.pipeline import belongs_to, is_finished
    from posenet.mapping.capture.pipeline import capture as make_scene

    if not video.exists():
        raise PoseNetError(f"{video}: no such video")
    if not is_video(video):
        raise PoseNetError(f"{video} must be a scene's folder or a video, it is another file")
    name = replace_spaces(video.stem)
    folders = (
        Path("scenes") / (name if number == 1 else f"{name}_{number}") for number in range(1, 10**6)
    )
    folder = next(each for each in folders if not each.exists() or belongs_to(each, video))
    if not is_finished(folder, video):
        if there:
            raise PoseNetError(
                f"{video} --resume: {folder} must be its scene, which is not made: give --output RUN --resume"
            )
        log.info("making a scene of %s in %s", video, folder)
        make_scene((video,), folder)
    return folder


def courtyard(config: CourtyardConfig) -> None:
    """The scene courtyard command."""
    from posenet.datasets.courtyard.generate import make_courtyard

    make_courtyard(config.output, train=config.train, test=config.test, seed=config.seed)
    print(f"made: {config.output} ({config.train} training and {config.test} test images)")


def info(config: InfoConfig) -> None:
    """The scene info command."""
    from posenet.datasets.formats.image_files import is_there
    from posenet.datasets.registry import open_scene_with_issues, read_scene, resolve_split
    from posenet.mapping.calibration import estimate_corrections
    from posenet.mapping.convention_check import check_convention
    from posenet.mapping.scene_report import facts_text, scene_facts

    if config.plot and config.map and config.map.suffix.lower() != ".png":
        raise PoseNetError(f"--map must be a .png file, received {config.map}")
    raw = read_scene(config.scene)
    images = any(is_there(raw.root / name) for name in raw.names)
    if not images:
        log.warning(
            "%s: none of the listed images is there, the labels alone are looked at", raw.name
        )
    level = log.level
    log.setLevel(logging.ERROR)  # the report says it all
    try:
        scene, faults = open_scene_with_issues(config.scene, config.strict, images, config.split)
    finally:
        log.setLevel(level)
    convention = check_convention(scene, images)
    training = scene.subset(scene.splits == "train")
    corrections = estimate_corrections(training) if images and convention.verdict != "wrong" else {}
    facts = scene_facts(
        scene,
        faults,
        raw.format,
        resolve_split(config.scene, config.split),
        convention,
        corrections,
    )
    print(json.dumps(facts.to_dict(), indent=2) if config.json else facts_text(facts), flush=True)
    if config.plot:
        from posenet.viz.scene_map import write_scene_map

        target = config.map or Path(f"{scene.name}_map.png")
        write_scene_map(target, scene)
        log.info("written: %s", target)


def convert(config: ConvertConfig) -> None:
    """The scene convert command."""
    from posenet.datasets import convert as converting
    from posenet.datasets.registry import open_scene

    scene = open_scene(config.scene, config.strict, split=config.split)
    converting.convert(scene, config.output, config.to, config.copy)
    print(f"written: {config.output} ({len(scene)} images)")


def capture(config: CaptureConfig) -> None:
    """The scene capture command."""
    from posenet.mapping.capture import pipeline as capturing

    if len(config.paths) < 2:
        received = ", ".join(map(str, config.paths)) or "nothing"
        raise PoseNetError(
            f"photographs or a video and a folder to write are needed, received {received}"
        )
    *inputs, output = config.paths
    result = capturing.capture(
        tuple(inputs),
        output,
        config.scale if any(config.scale) else None,
        config.align,
        config.images,
    )
    print(
        f"captured: {output}, {result.placed} of {result.images} images placed, {result.points} 3-D points, ",
        end="",
    )
    print(f"mean reprojection error {result.reprojection_px:.2f} px, unit {result.unit}")
    if result.unplaced:
        print("not placed: " + ", ".join(result.unplaced))
