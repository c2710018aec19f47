"""Intrinsics where no file tells them: the focal length of a image's EXIF, else a typical field of view."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

from PIL import Image

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.io.images import NO_IMAGE, exif_of, image_size, png_chunks

log = logging.getLogger("posenet")

TYPICAL_VIEW_DEG = (
    60.0  # along the long side: a focal length of 31 mm on 35 mm film, between phones' 24 and 50 mm
)
FILM_DIAGONAL = math.hypot(36.0, 24.0)  # mm, of 35 mm film
_EXIF_IFD, _FOCAL, _FOCAL_35 = 0x8769, 0x920A, 0xA405
_PLANE_X, _PLANE_UNIT = (
    0xA20E,
    0xA210,
)  # pixels of the full image per unit of the sensor, and the unit
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


def guess_camera(path: Path) -> Camera:
    """A pinhole camera with the principal point in the middle; `source` says "EXIF" or "assumed".

    Raises PoseNetError when the file is no image.
    """
    width, height = image_size(path)
    focal = focal_from_exif(path, width, height)
    source = "EXIF" if focal else "assumed"
    focal = focal or max(width, height) / 2 / math.tan(math.radians(TYPICAL_VIEW_DEG) / 2)
    return Camera(width, height, focal, focal, width / 2, height / 2, source=source)


def with_guesses(scene: Scene) -> Scene:
    """The scene with a guessed camera for every image of unknown intrinsics; the log says how many and how."""
    cameras = [
        camera or guess_camera(path)
        for camera, path in zip(scene.cameras, scene.paths, strict=True)
    ]
    made = [new.source for old, new in zip(scene.cameras, cameras, strict=True) if old is None]
    if exif := made.count("EXIF"):
        log.info("%s: focal lengths of %d images are taken from their EXIF", scene.name, exif)
    if assumed := made.count("assumed"):
        log.warning(
            "%s: the intrinsics of %d images are not known; a view of %.0f degrees along the long side is assumed",
            scene.name, assumed, TYPICAL_VIEW_DEG,
        )  # fmt: skip
    return replace(scene, cameras=tuple(cameras))


def focal_from_exif(path: Path, width: int, height: int) -> float | None:
    """Focal length in pixels from a image's EXIF (CIPA DC-008: FocalLengthIn35mmFilm, FocalLength); None without.

    The 35 mm equivalent relates the diagonals. Otherwise the focal length in mm and the sensor's resolution count,
    if the image still has the size that the camera gave it.
    """
    try:
        with open(path, "rb") as file, Image.open(path) as image:
            late = image.format == "PNG" and b"eXIf" in png_chunks(
                file
            )  # maybe behind the pixels, which it decodes
            tags = (image.getexif() if late else exif_of(image)).get_ifd(_EXIF_IFD)
        film = float(tags.get(_FOCAL_35) or 0)
        if film > 1:
            return film / FILM_DIAGONAL * math.hypot(width, height)
        per_mm = float(tags.get(_PLANE_X) or 0) / _UNIT_MM.get(
            int(tags.get(_PLANE_UNIT) or 2), 25.4
        )
        focal = float(tags.get(_FOCAL) or 0) * per_mm
        full = {int(tags.get(0xA002) or 0), int(tags.get(0xA003) or 0)}
    except (*NO_IMAGE, TypeError, ArithmeticError):
        return None
    plausible = 0.2 * max(width, height) < focal < 20 * max(width, height)
    return focal if plausible and full == {width, height} else None
