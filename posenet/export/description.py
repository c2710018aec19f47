"""The JSON file beside an exported network: what goes in, what comes out, and how to use it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from posenet import __version__
from posenet.export.check import CheckResult
from posenet.geometry.cropping import Crop
from posenet.io.images import MAX_GAIN, MIN_BRIGHTNESS
from posenet.run import Run

AXES = (
    "position is the camera center in the world frame; quaternion (Hamilton, w x y z, w >= 0) "
    "rotates camera axes (x right, y down, z forward) to world axes"
)
ORIGIN = "add it to position in double precision to get the scene's world frame"
AREAS = "of a place of several areas: also add the offset of the area that the image was taken in"


def describe(
    run: Run, format_name: str, check: CheckResult, shapes: dict[str, tuple[int | None, ...]]
) -> dict[str, Any]:
    """Return what a program needs to use an exported network.

    Args:
        run: the run.
        format_name: name of the format.
        check: how the network differs from Keras.
        shapes: shapes of the outputs by name, None for the number of images.

    Returns:
        The content of the JSON file.
    """
    units = {"position": run.unit, "residual_rms": run.unit}
    outputs: dict[str, dict[str, Any]] = {
        name: {"shape": list(shape), "unit": units.get(name)} for name, shape in shapes.items()
    }
    outputs["pooled"]["normalized"] = True
    return {
        "format": format_name,
        "posenet_version": __version__,
        "scene": run.scene.name,
        "backbone": run.config.backbone,
        "head": run.head,
        "input": {
            "name": "image",
            "shape": [None, *run.crop.size, 3],  # any number of images
            "layout": "NHWC",
            "dtype": "float32",
            "color": "RGB",
            "range": [0, 255],
        },
        "preprocessing": _preprocessing(run.crop),
        "outputs": outputs,
        "axes": AXES,
        "unit": run.unit,
        "origin": list(run.origin),
        "area_offsets": [list(offset) for offset in run.area_offsets],
        "area_note": AREAS,
        "origin_included": False,
        "origin_note": ORIGIN,
        "position_scale": run.position_scale,
        "camera": asdict(run.camera) if run.camera else None,
        "single_camera": run.single_camera,
        "check": asdict(check),
    }


def _preprocessing(crop: Crop) -> dict[str, Any]:
    """Return how an image file becomes the input, in the order of the steps."""
    return {
        "decode": "RGB uint8, EXIF orientation applied; a JPEG at 1/8, 1/4 or 1/2 of its size "
        "(DCT scaling), the smallest that still covers resized_hw",
        "resized_hw": list(crop.resized),
        "resize": "scale = max(H / h, W / w); resize to max(H, round(h * scale)) x "
        "max(W, round(w * scale)), unless that is the size already; cut the central H x W, "
        "first row and column rounded down",
        "interpolation": {"to_smaller": "cv2.INTER_AREA", "to_larger": "cv2.INTER_CUBIC"},
        "exposure": {
            "percentile": 99,
            "pixel_step": 3,
            "target": MIN_BRIGHTNESS,
            "max_gain": MAX_GAIN,
            "rule": "b = percentile of the values of every pixel_step-th row and column; if "
            "b < target, multiply by min(max_gain, target / max(b, 1)), round and clip to 255",
        },
        "crop_hw": list(crop.size),
        "crop": "cut the central crop_hw, first row and column rounded down",
    }
