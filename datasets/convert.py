"""Writing a scene in another layout: `posenet scene convert`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from posenet.datasets.formats import cambridge, colmap, kitti, seven_scenes, tum
from posenet.datasets.formats import csv_table as plain_csv
from posenet.datasets.formats import nerfstudio as transforms
from posenet.datasets.formats.image_files import copy_upright, sequence_of
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.io.files import atomic_directory

log = logging.getLogger("posenet")

WRITERS: dict[str, Callable[[Scene, Path, list[str]], list[str]]] = {
    "cambridge": cambridge.write,
    "7scenes": seven_scenes.write,
    "colmap": colmap.write,
    "transforms": transforms.write,
    "tum": tum.write,
    "kitti": kitti.write,
    "csv": plain_csv.write,
}
WITH_UNIT = ("colmap", "transforms", "csv")
SEQUENCES_ARE_FOLDERS = ("colmap", "transforms")


def convert(scene: Scene, output: Path, to: str, copy: bool = False) -> None:
    """Write the scene to a folder that does not exist yet, in one of WRITERS' layouts.

    Poses read back to within 1e-6; the world frame stays. What a layout cannot hold is logged. Images are linked
    (one more name for the same file) where the disk allows it, copied otherwise or with copy=True, and upright where
    their EXIF turns them.
    A writer is write(scene, folder, lost): it writes the poses below the folder, appends to `lost` what only this
    layout cannot hold, and returns the names, below the folder, under which it expects the images.
    Raises PoseNetError when the folder exists or cannot be written, and then leaves nothing behind.
    """
    lost: list[str] = []
    cameras = tuple(
        camera if camera and camera.has_known_focal_length else None for camera in scene.cameras
    )
    scene = replace(scene, cameras=cameras)
    with atomic_directory(output) as unfinished:
        names = WRITERS[to](scene, unfinished, lost)
        _place_images(scene, unfinished, names, copy)
    for what in lost + _not_kept(scene, to):
        log.warning("%s does not keep %s", to, what)


def _not_kept(scene: Scene, to: str) -> list[str]:
    """What several layouts cannot hold of the scene: points, its unit, sequences of other names than the folders'."""
    folders = [
        sequence_of(name.removeprefix("images/") if to == "colmap" else name)
        for name in scene.names
    ]
    keeps_points = to == "colmap" or (to == "cambridge" and None not in scene.cameras)
    lost = []
    if scene.points is not None and not keeps_points:
        lost.append("3-D points")
    if scene.unit != "m" and to not in WITH_UNIT:
        lost.append(f"the unit, {scene.unit}: readers of this layout take it for meters")
    if to in SEQUENCES_ARE_FOLDERS and folders != list(scene.sequences):
        lost.append("sequences that are not the images' folders")
    return lost


def _place_images(scene: Scene, folder: Path, names: list[str], copy: bool) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PoseNetError(f"two images of the scene would get the same name, {twice}")
    for source, name in zip(scene.paths, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            copy_upright(source, target, not copy)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of a damaged image
            raise PoseNetError(
                f"{source} cannot be copied to {target}: {getattr(error, 'strerror', None) or error}"
            ) from None
