"""Scene adapters, one file a format: open_scene(path) finds the one that recognises a folder.

An adapter is a module with NAME, LOOKS_FOR, recognises(folder) and read(folder) -> RawScene; to add a format,
add a file and its name to ADAPTERS.
"""

from __future__ import annotations

from pathlib import Path

from posenet.datasets import cambridge, kendall_7scenes, seven_scenes
from posenet.errors import PoseNetError
from posenet.hygiene import Fault, checked_scene
from posenet.scene import Scene

ADAPTERS = (cambridge, kendall_7scenes, seven_scenes)


def open_scene(path: Path | str, strict: bool = False, need_pictures: bool = True) -> Scene:
    """The scene in a folder, in the canonical convention, checked; faults are reported as warnings.

    strict: refuse any label fault. need_pictures: look whether the picture files are there and whole.
    Raises PoseNetError for a folder that does not exist or is not recognised, and for malformed files.
    """
    return open_scene_with_faults(path, strict, need_pictures)[0]


def open_scene_with_faults(
    path: Path | str, strict: bool = False, need_pictures: bool = True
) -> tuple[Scene, list[Fault]]:
    """As open_scene, with the label faults that were found."""
    folder = Path(path)
    if not folder.exists():
        raise PoseNetError(f"{folder}: a scene's folder is needed, there is no such folder")
    if not folder.is_dir():
        raise PoseNetError(f"{folder} must be a scene's folder, it is a file")
    for adapter in ADAPTERS:
        if adapter.recognises(folder):
            return checked_scene(adapter.read(folder), strict, need_pictures)
    looked_for = "; ".join(f"{adapter.LOOKS_FOR} ({adapter.NAME})" for adapter in ADAPTERS)
    raise PoseNetError(f"{folder} is no scene that posenet knows; looked for {looked_for}")
