"""Write a scene in another format: `posenet scene convert`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from posenet.datasets.formats import (
    cambridge,
    colmap,
    csv_table,
    kitti,
    nerfstudio,
    seven_scenes,
    tum,
)
from posenet.datasets.formats.image_files import sequence_from_name
from posenet.datasets.formats.photos import copy_upright
from posenet.datasets.rig_names import rig_from_names
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.io.files import atomic_directory

log = logging.getLogger("posenet")

# A writer writes the poses below a folder, appends to a list what only its format cannot store, and
# returns the names, below the folder, under which it expects the images.
Writer = Callable[[Scene, Path, list[str]], list[str]]

WRITERS: dict[str, Writer] = {
    "cambridge": cambridge.write,
    "7scenes": seven_scenes.write,
    "colmap": colmap.write,
    "transforms": nerfstudio.write,
    "tum": tum.write,
    "kitti": kitti.write,
    "csv": csv_table.write,
}
# Formats that store the unit, and those in which folders are the sequences.
FORMATS_WITH_UNIT = ("colmap", "transforms", "csv")
FORMATS_WITH_FOLDER_SEQUENCES = ("colmap", "transforms")


def convert(scene: Scene, output: Path, to: str, *, copy: bool = False) -> None:
    """Write a scene in another format. Poses read back to within 1e-6; the world frame stays.

    What the format cannot store is logged. Images are hard-linked if the file system allows it.
    Images with an EXIF rotation are written upright.

    Args:
        scene: the scene.
        output: folder to write.
        to: the format, one of `WRITERS`.
        copy: copy the images instead of linking them.

    Raises:
        PoseNetError: the folder exists or cannot be written; nothing is left behind.
    """
    lost: list[str] = []
    cameras = tuple(
        camera if camera and camera.has_known_focal_length else None for camera in scene.cameras
    )
    scene = replace(scene, cameras=cameras)
    with atomic_directory(output) as unfinished:
        names = WRITERS[to](scene, unfinished, lost)
        _place_images(scene, unfinished, names, copy)
    if scene.moments is not None and not _names_show_moments(scene, names):
        lost.append("which images were taken at the same moment: use its split, not another one")
    for item in lost + _lost_by_many(scene, to):
        log.warning("%s does not store %s", to, item)


def _lost_by_many(scene: Scene, to: str) -> list[str]:
    """Return what several formats cannot store: points, unit, names of sequences."""
    names = scene.names
    if to == "colmap":
        names = tuple(name.removeprefix("images/") for name in names)
    folders = [sequence_from_name(name) for name in names]
    stores_points = to == "colmap" or (to == "cambridge" and None not in scene.cameras)
    lost = []
    if scene.points is not None and not stores_points:
        lost.append("3-D points")
    if scene.unit != "m" and to not in FORMATS_WITH_UNIT:
        lost.append(f"the unit, {scene.unit}: readers of this format assume meters")
    if to in FORMATS_WITH_FOLDER_SEQUENCES and folders != list(scene.sequences):
        lost.append("sequences that are not the folders of the images")
    return lost


def _names_show_moments(scene: Scene, names: Sequence[str]) -> bool:
    """Return whether the moments of a scene can be found again by the names of its images."""
    poses = scene.poses
    images = rig_from_names(names, poses.positions, poses.quaternions_wxyz)
    moments = [image.moment for image in images or ()]
    pairs = set(zip(moments, scene.dense_moments.tolist(), strict=False))
    return len(pairs) == len(set(moments)) == len(set(scene.dense_moments.tolist()))


def _outside(scene: Scene) -> set[Path]:
    """Return the images that links lead to outside of the scene: a hard link would share them."""
    if scene.files:  # joined scenes have several folders
        return set()
    root = scene.root.resolve()
    return {path for path in scene.paths if not path.resolve().is_relative_to(root)}


def _place_images(scene: Scene, folder: Path, names: Sequence[str], copy: bool) -> None:
    if len(set(names)) != len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise PoseNetError(f"two images of the scene would get the same name, {duplicate}")
    outside = _outside(scene)
    if outside:
        log.warning(
            "%s: %s outside of the scene and copied, such as %s",
            scene.root,
            "1 image is" if len(outside) == 1 else f"{len(outside)} images are",
            min(outside),
        )
    for source, name in zip(scene.paths, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            copy_upright(source, target, link=not copy and source not in outside)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow, for a damaged image
            reason = getattr(error, "strerror", None) or error
            raise PoseNetError(f"{source} cannot be copied to {target}: {reason}") from None
