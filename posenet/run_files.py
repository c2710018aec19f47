"""The files of a run that travels, and the addresses of runs: folder, zip archive, hf://."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.archives import check_nested, unpack
from posenet.io.hub import download_repository, is_hub_address, parse_hub_address
from posenet.io.user_folders import cache_folder

ARCHIVE_SUFFIX = ".zip"
REQUIRED = ("config.json", "model.keras")
CARD = "README.md"
EVALUATION_FILES = (
    "summary.json",
    "errors.csv",
    "estimate.tum",
    "groundtruth.tum",
    "trajectory.png",
    "trajectory_3d.png",
    "errors.png",
    "sparsification.png",
    "worst_images.png",
    "matches.png",
    "view.html",
)
# Maps of another version have points.npy instead of the distances and what decodes them.
MAP_FILES = (
    "map.json",
    "starts.npy",
    "points.npy",
    "origin.npy",
    "rays.npy",
    "distances.npy",
    "ray_scales.npy",
    "log_distances.npy",
    "positions.npy",
    "quaternions.npy",
    "descriptors.npy",
    "pixels.npy",
    "vlad.npz",
    "uncertainty.json",
)
# Everything that a packed run may contain. Nothing of it is code.
PACKED_FILES = frozenset(
    {
        *REQUIRED,
        CARD,
        "history.csv",
        "test.txt",
        "training_scene.npz",
        "gallery.npz",
        "blending.json",
        *(f"landmarks/{name}" for name in MAP_FILES),
        *(f"evaluation/{name}" for name in EVALUATION_FILES),
    }
)
# Those that contain images of the scene.
FILES_WITH_IMAGES = frozenset(
    f"evaluation/{name}" for name in ("worst_images.png", "matches.png", "view.html")
)
UNPACKED = "runs"


def is_packed(address: str | Path) -> bool:
    """Return whether the address of a run is that of a packed run.

    Args:
        address: a run folder, a .zip file, or hf://user/name[@revision].

    Returns:
        False for folders and for files that do not exist.
    """
    path = Path(address)
    if os.path.isdir(path):
        return False
    return is_hub_address(address) or (path.suffix.lower() == ARCHIVE_SUFFIX and path.is_file())


def locate_run(address: str | Path) -> Path:
    """Return the folder of a run.

    Archives are unpacked and repositories downloaded once, to the user's cache.

    Args:
        address: a run folder, a .zip file that `posenet pack` wrote, or hf://user/name[@revision].

    Returns:
        The folder. It may not exist if `address` is a path.

    Raises:
        PoseNetError: the archive is refused, or the repository cannot be downloaded.
    """
    path = Path(address)
    if not is_packed(address):
        return path
    if is_hub_address(address):
        hub_address = parse_hub_address(address)
        return _checked(download_repository(hub_address, PACKED_FILES), str(hub_address))
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_folder() / UNPACKED / digest
    unpack(path, folder, PACKED_FILES)
    try:
        return _checked(folder, str(path))
    except PoseNetError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _checked(folder: Path, address: str) -> Path:
    """Return the folder of a packed run after a check of its files."""
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise PoseNetError(f"{address} is not a packed run: it must contain {missing[0]}")
    check_nested(folder / name for name in PACKED_FILES if name.endswith((".npz", ".keras")))
    return folder
