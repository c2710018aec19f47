"""Structure from motion by pycolmap: features, matches, mapping. Each step goes on where it was stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

from tqdm import tqdm

from posenet.datasets.intrinsics import focal_from_exif
from posenet.errors import PoseNetError
from posenet.io.images import image_size

FEATURES, LONG_SIDE = 4096, 1600
CHUNK, PAIRS_CHUNK = 4, 60
SMALLEST_MODEL = 4
LIKELY_FOCAL = 1.2  # of the long side, as COLMAP guesses


def require_pycolmap():
    """The pycolmap module. Raises PoseNetError with the line that installs it."""
    try:
        import pycolmap
    except ImportError:
        raise PoseNetError(
            'capture needs pycolmap: pip install "camera-posenet[capture]"'
        ) from None
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap


def extract_features(database: Path, images: Path, names: list[str]) -> None:
    """SIFT features of every image into the database. Images of one size and focal length share a camera."""
    pycolmap = require_pycolmap()
    done, cameras = _already_there(pycolmap, database)
    groups: dict[tuple, list[str]] = {}
    for name in names:
        groups.setdefault(_camera_key(images, name), []).append(name)
    options = pycolmap.FeatureExtractionOptions(max_image_size=LONG_SIDE)
    options.sift.max_num_features = FEATURES
    with tqdm(
        desc="features", total=len(names), unit="image", initial=len(done & set(names))
    ) as bar:
        for (_, width, height, focal), members in groups.items():
            reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL")
            # always given: COLMAP's own look into EXIF takes shrunk photographs for whole ones
            guess = focal or LIKELY_FOCAL * max(width, height)
            reader.camera_params = f"{guess},{width / 2},{height / 2},0"
            known = [cameras[name] for name in members if name in cameras]
            missing = [name for name in members if name not in done]
            for start in range(0, len(missing), CHUNK):
                if known:
                    reader.existing_camera_id, reader.camera_params = known[0], ""
                chunk = missing[start : start + CHUNK]
                pycolmap.extract_features(
                    database,
                    images,
                    chunk,
                    pycolmap.CameraMode.SINGLE,
                    reader,
                    options,
                    pycolmap.Device.cpu,
                )
                if not known:
                    there = _already_there(pycolmap, database)[1]  # not what COLMAP cannot open
                    known = [there[name] for name in chunk if name in there]
                bar.update(len(chunk))
            if known and not focal:
                _only_guessed(pycolmap, database, known[0])


def _only_guessed(pycolmap, database: Path, camera_id: int) -> None:
    """Let mapping know that a camera's focal length is a guess."""
    with pycolmap.Database.open(database) as opened:
        camera = opened.read_camera(camera_id)
        if camera.has_prior_focal_length:
            camera.has_prior_focal_length = False
            opened.update_camera(camera)


def _camera_key(images: Path, name: str) -> tuple:
    """What images of one camera share: folder, width, height, EXIF focal length in pixels."""
    width, height = image_size(images / name)
    return name.rpartition("/")[0], width, height, focal_from_exif(images / name, width, height)


def _already_there(pycolmap, database: Path) -> tuple[set[str], dict[str, int]]:
    """The names of images with features, and {name: camera} of all."""
    with pycolmap.Database.open(database) as opened:
        images = opened.read_all_images()
        done = {image.name for image in images if opened.exists_descriptors(image.image_id)}
        return done, {image.name: image.camera_id for image in images}


def match(database: Path, pairs: list[tuple[str, str]]) -> None:
    """Match the pairs of images; those that the database has matches of are skipped."""
    pycolmap = require_pycolmap()
    chunks = [pairs[start : start + PAIRS_CHUNK] for start in range(0, len(pairs), PAIRS_CHUNK)]
    listed = database.with_name("pairs.txt")
    with tqdm(desc="matching", total=len(pairs), unit="pair") as bar:
        for chunk in chunks:
            listed.write_text(
                "".join(f"{first} {second}\n" for first, second in chunk), encoding="utf-8"
            )
            pairing = pycolmap.ImportedPairingOptions(match_list_path=str(listed))
            pycolmap.match_image_pairs(
                database, pairing_options=pairing, device=pycolmap.Device.cpu
            )
            bar.update(len(chunk))


def map_images(database: Path, images: Path, work: Path, count: int):
    """The largest reconstruction; None when there is none. count: images in the database, for the progress."""
    pycolmap = require_pycolmap()
    best = None
    for easier in (False, True):
        options = pycolmap.IncrementalPipelineOptions(min_model_size=SMALLEST_MODEL, random_seed=0)
        if easier:  # for images taken close together
            options.mapper.init_min_tri_angle, options.mapper.init_min_num_inliers = 4.0, 50
        target = work / ("models_easier" if easier else "models")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        with tqdm(desc="mapping", total=count, unit="image") as bar:
            found = pycolmap.incremental_mapping(
                database, images, target, options,
                initial_image_pair_callback=lambda: bar.update(2), next_image_callback=lambda: bar.update(1),
            )  # fmt: skip
        models = [*found.values(), *([best] if best else [])]
        best = max(models, key=lambda model: model.num_reg_images(), default=None)
        if best is not None and best.num_reg_images() >= count / 2:
            break
    return best
