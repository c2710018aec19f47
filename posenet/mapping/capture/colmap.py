"""Structure from motion by pycolmap: features, matches, incremental mapping. Each step resumes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from posenet.datasets.intrinsics import focal_from_exif
from posenet.environment import import_extra
from posenet.io.image_headers import image_size

# SIFT features per image at most.
MAX_FEATURES = 4096
# Longer side in pixels at which features are detected.
MAX_SIDE = 1600
# Images and pairs that are processed between two updates of the progress.
IMAGES_PER_STEP = 4
PAIRS_PER_STEP = 60
# Images in a model at least.
MIN_MODEL_SIZE = 4
# Focal length that is assumed, in longer image sides, as COLMAP assumes it.
ASSUMED_FOCAL = 1.2
# Thresholds of the first pair for images with short baselines: triangulation angle in degrees and
# number of inliers (COLMAP's defaults are 16 and 100).
EASY_TRIANGULATION_DEG = 4.0
EASY_INLIERS = 50


class CameraGroup(NamedTuple):
    """What images with the same camera have in common.

    Attributes:
        folder: folder of the images.
        width: width in pixels.
        height: height in pixels.
        focal: focal length in pixels according to EXIF, None if unknown.
    """

    folder: str
    width: int
    height: int
    focal: float | None


class DatabaseContent(NamedTuple):
    """What a COLMAP database contains.

    Attributes:
        with_features: names of images with features.
        cameras: number of the camera of each image.
    """

    with_features: set[str]
    cameras: dict[str, int]


def require_pycolmap() -> Any:
    """Import pycolmap, an optional dependency.

    Returns:
        The module.

    Raises:
        PoseNetError: it is not installed.
    """
    pycolmap = import_extra("pycolmap", "capture", "posenet scene reconstruct")
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap


def extract_features(database: Path, images: Path, names: list[str]) -> None:
    """Add SIFT features of images to a database; images that have some are skipped.

    Images of a folder with the same size and focal length share a camera.

    Args:
        database: the COLMAP database, created if it does not exist.
        images: the folder of the images.
        names: their names relative to it.
    """
    pycolmap = require_pycolmap()
    content = _content(pycolmap, database)
    done = content.with_features & set(names)
    groups: dict[CameraGroup, list[str]] = {}
    for name in names:
        groups.setdefault(_camera_group(images, name), []).append(name)
    with tqdm(desc="features", total=len(names), unit="image", initial=len(done)) as bar:
        for group, members in groups.items():
            missing = [name for name in members if name not in content.with_features]
            known = [content.cameras[name] for name in members if name in content.cameras]
            camera = known[0] if known else None
            camera = _extract_group(pycolmap, database, images, group, missing, camera, bar)
            if camera is not None and not group.focal:
                _mark_as_assumed(pycolmap, database, camera)


def _extract_group(
    pycolmap: Any,
    database: Path,
    images: Path,
    group: CameraGroup,
    missing: list[str],
    camera: int | None,
    bar: tqdm,
) -> int | None:
    """Add features of images that share a camera, and return it; None before the first image."""
    options = pycolmap.FeatureExtractionOptions(max_image_size=MAX_SIDE)
    options.sift.max_num_features = MAX_FEATURES
    reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL")
    # Always set, because COLMAP's own EXIF reading ignores that photos were downscaled.
    focal = group.focal or ASSUMED_FOCAL * max(group.width, group.height)
    reader.camera_params = f"{focal},{group.width / 2},{group.height / 2},0"
    for start in range(0, len(missing), IMAGES_PER_STEP):
        if camera is not None:
            reader.existing_camera_id = camera
            reader.camera_params = ""
        chunk = missing[start : start + IMAGES_PER_STEP]
        pycolmap.extract_features(
            database,
            images,
            chunk,
            pycolmap.CameraMode.SINGLE,
            reader,
            options,
            pycolmap.Device.cpu,
        )
        if camera is None:
            cameras = _content(pycolmap, database).cameras  # without images COLMAP cannot read
            camera = next((cameras[name] for name in chunk if name in cameras), None)
        bar.update(len(chunk))
    return camera


def _mark_as_assumed(pycolmap: Any, database: Path, camera_id: int) -> None:
    """Inform the mapper that the focal length of a camera is only assumed."""
    with pycolmap.Database.open(database) as opened:
        camera = opened.read_camera(camera_id)
        if camera.has_prior_focal_length:
            camera.has_prior_focal_length = False
            opened.update_camera(camera)


def _camera_group(images: Path, name: str) -> CameraGroup:
    """Return what the image has in common with others of the same camera."""
    path = images / name
    width, height = image_size(path)
    folder = name.rpartition("/")[0]
    return CameraGroup(folder, width, height, focal_from_exif(path, width, height))


def _content(pycolmap: Any, database: Path) -> DatabaseContent:
    """Return what a database contains."""
    with pycolmap.Database.open(database) as opened:
        images = opened.read_all_images()
        done = {image.name for image in images if opened.exists_descriptors(image.image_id)}
        return DatabaseContent(done, {image.name: image.camera_id for image in images})


def match_pairs(database: Path, pairs: list[tuple[str, str]]) -> None:
    """Match pairs of images; those with matches in the database are skipped.

    Args:
        database: the COLMAP database with features.
        pairs: names of images.
    """
    pycolmap = require_pycolmap()
    list_file = database.with_name("pairs.txt")
    with tqdm(desc="matching", total=len(pairs), unit="pair") as bar:
        for start in range(0, len(pairs), PAIRS_PER_STEP):
            chunk = pairs[start : start + PAIRS_PER_STEP]
            lines = [f"{first} {second}\n" for first, second in chunk]
            list_file.write_text("".join(lines), encoding="utf-8")
            pairing = pycolmap.ImportedPairingOptions(match_list_path=str(list_file))
            pycolmap.match_image_pairs(
                database, pairing_options=pairing, device=pycolmap.Device.cpu
            )
            bar.update(len(chunk))


def map_images(database: Path, images: Path, work: Path, num_images: int) -> Any:
    """Reconstruct poses and points, a second time with easier thresholds if half are not placed.

    Args:
        database: the COLMAP database with matches.
        images: the folder of the images.
        work: folder for intermediate models.
        num_images: number of images in the database.

    Returns:
        The pycolmap reconstruction with the most images, or None.
    """
    best = _map_once(database, images, work / "models", num_images, is_easier=False)
    if best is not None and best.num_reg_images() >= num_images / 2:
        return best
    easier = _map_once(database, images, work / "models_easier", num_images, is_easier=True)
    if best is None or (easier is not None and easier.num_reg_images() >= best.num_reg_images()):
        return easier
    return best


def _map_once(
    database: Path, images: Path, target: Path, num_images: int, *, is_easier: bool
) -> Any:
    """Return the largest reconstruction, or None."""
    pycolmap = require_pycolmap()
    options = pycolmap.IncrementalPipelineOptions(min_model_size=MIN_MODEL_SIZE, random_seed=0)
    if is_easier:
        options.mapper.init_min_tri_angle = EASY_TRIANGULATION_DEG
        options.mapper.init_min_num_inliers = EASY_INLIERS
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tqdm(desc="mapping", total=num_images, unit="image") as bar:
        models = pycolmap.incremental_mapping(
            database,
            images,
            target,
            options,
            initial_image_pair_callback=lambda: bar.update(2),
            next_image_callback=lambda: bar.update(1),
        )
    return max(models.values(), key=lambda model: model.num_reg_images(), default=None)
