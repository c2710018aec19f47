"""The keys of a `transforms.json`: intrinsics by other names, and keys that are not read.

Sources: nerfstudio's nerfstudio_dataparser.py, instant-ngp's nerf_loader.cu and
docs/nerf_dataset_tips.md, and the tools of ScanNet++, Spectacular AI, NeRFCapture and sdfstudio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posenet.datasets.formats.parsing import is_number, shorten
from posenet.errors import PoseNetError

# Other names of intrinsics, in pixels.
ALIASES = {
    "fx": "fl_x",
    "fy": "fl_y",
    "width": "w",
    "height": "h",
    "image_width": "w",
    "image_height": "h",
}
# Names of the matrix of intrinsics, of at least 3 x 3 numbers, and where its values are.
MATRIX_NAMES = ("K", "intrinsic_matrix", "camera_matrix", "intrinsics")
MATRIX_ENTRIES = {"fl_x": (0, 0), "fl_y": (1, 1), "cx": (0, 2), "cy": (1, 2)}
# The one that may also contain the four values in the order of MATRIX_ENTRIES, or something else.
FREE_NAME = "intrinsics"
# Relative difference of the same value under two names that rounding can cause.
TOLERANCE = 0.01
# Keys that set focal lengths. Those of a frame replace those at the top.
FOCAL_LENGTHS = ("fl_x", "fl_y")
ANGLES = ("camera_angle_x", "camera_angle_y", "focal")

# Keys that are read, by their usual names.
READ_KEYS = frozenset(
    {
        *("frames", "test_frames", "train_filenames", "val_filenames", "test_filenames"),
        *("file_path", "transform_matrix", "is_bad", "split", "unit", "from_na", "from_mitsuba"),
        *("w", "h", *FOCAL_LENGTHS, *ANGLES, "cx", "cy", "camera_model", "is_fisheye", "timestamp"),
        *("k1", "k2", "k3", "p1", "p2", *ALIASES, *MATRIX_NAMES),
    }
)
# Keys that change neither poses nor intrinsics nor which images are used.
HARMLESS_KEYS = frozenset(
    {
        # Relations to other world frames and scene boxes; poses are in the frame of the file.
        *("applied_transform", "applied_scale", "orientation_override", "worldtogt", "aabb_scale"),
        *("auto_scale_poses_override", "scale", "offset", "aabb", "render_aabb", "scene_box"),
        *("render_aabb_to_local", "up", "near", "far", "crop", "ply_file_path"),
        # Depth, normals and other images beside the image.
        *("depth_file_path", "depth_path", "depth_scale", "integer_depth_scale", "has_mono_prior"),
        *("depth_unit_scale_factor", "enable_depth_loading", "normal_file_path", "normal_path"),
        *("mono_depth_path", "mono_normal_path", "pairs", "semantic_path", "has_mask"),
        # How the image was taken and how a renderer uses it.
        *("sharpness", "blur_score", "motion_blur_score", "time", "exposure"),
        *("exposure_time", "iso", "rotation", "camera_linear_velocity", "light_dir", "is_hdr"),
        *("camera_angular_velocity", "white_transparent", "black_transparent", "fix_premult"),
        *("n_extra_learnable_dims", "wants_importance_sampling", "has_foreground_mask"),
        # Identifiers.
        *("colmap_im_id", "colmap_image_id", "image_id", "camera_id", "camera", "id", "index"),
        *("name", "scene", "scene_name", "frame_id", "video_fps", "comment"),
        *("colmap_cam_id", "cam_id", "cam_name", "camera_name", "camera_label", "component_id"),
        *("frame_index", "frame_number", "sequence", "date", "description", "version"),
    }
)


def usual_names(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the values of a frame, or of the top of a file, with intrinsics by the usual names.

    Args:
        values: the values as in the file.
        source: where they are, for messages.

    Returns:
        The values; fl_x, fl_y, cx, cy, w and h also from other names and matrices.

    Raises:
        PoseNetError: a matrix is malformed, or two names have different values.
    """
    usual = dict(values)
    for key, value in values.items():
        if key in MATRIX_NAMES and value is not None:
            found = _read_matrix(key, value, source)
        elif key in ALIASES:
            found = {ALIASES[key]: value}
        else:
            continue
        for name, number in found.items():
            _check_same(usual.setdefault(name, number), number, f"{source}: {name} and {key}")
    return usual


def merge(top: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a frame: its own, otherwise those at the top of the file.

    Args:
        top: values at the top, by the usual names.
        entry: values of the frame, by the usual names.

    Returns:
        The values. An angle of view of the frame replaces a focal length at the top.
    """
    is_replaced = not entry.keys().isdisjoint(ANGLES) and entry.keys().isdisjoint(FOCAL_LENGTHS)
    dropped = FOCAL_LENGTHS if is_replaced else ()
    return {key: value for key, value in top.items() if key not in dropped} | dict(entry)


def ignored_keys(top: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys that are not read and not known to be harmless.

    Args:
        top: the values at the top of a file, as in the file.
        entries: the values of its frames, as in the file.

    Returns:
        The keys in the order of the file. Keys whose values are empty, false or zero mean nothing.
    """
    levels = [top, *entries]
    read = READ_KEYS | _keys_of_models(levels)
    if not all(_is_read(level.get(FREE_NAME)) for level in levels):
        read -= {FREE_NAME}
    found = {
        key: None
        for level in levels
        for key, value in level.items()
        if key not in read and not _is_harmless(key, value) and not _is_empty(value)
    }
    return list(found)


def _keys_of_models(levels: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the distortion parameters that only some of the camera models of a file have."""
    models = " ".join(str(level.get("camera_model")).upper() for level in levels)
    keys = {"distortion_params"} if "FISHEYE624" in models else set()
    if "FULL_OPENCV" in models:
        keys |= {"k4", "k5", "k6"}
    if "FISHEYE" in models or any(level.get("is_fisheye") is True for level in levels):
        keys.add("k4")
    return frozenset(keys)


def _is_harmless(key: str, value: object) -> bool:
    """Return whether a key is harmless; a crop is if it is a box of the scene, as in nerfstudio."""
    return key in HARMLESS_KEYS and (key != "crop" or isinstance(value, dict))


def _is_read(value: object) -> bool:
    """Return whether the value of the key intrinsics is read."""
    return value is None or bool(_read_matrix(FREE_NAME, value, ""))


def _is_empty(value: object) -> bool:
    """Return whether a value is empty, false or zero, or a list of such values."""
    if isinstance(value, list):
        return all(_is_empty(item) for item in value)
    return not value or (isinstance(value, str) and is_number(value) and float(value) == 0)


def _read_matrix(key: str, value: object, source: str) -> dict[str, Any]:
    """Return the intrinsics of a matrix; none if the key, intrinsics, contains something else."""
    if isinstance(value, dict):
        return usual_names(value, source)
    numbers = _as_numbers(value)
    if numbers.shape in ((3, 3), (3, 4), (4, 4)):
        return {name: float(numbers[place]) for name, place in MATRIX_ENTRIES.items()}
    if key != FREE_NAME:
        raise PoseNetError(
            f"{source}: {key} must be a matrix of 3 x 3 numbers, received {shorten(repr(value))}"
        )
    return dict(zip(MATRIX_ENTRIES, numbers.tolist(), strict=True)) if len(numbers) == 4 else {}


def _as_numbers(value: object) -> np.ndarray:
    """Return finite numbers as an array, 9 of them as (3, 3); an empty one for anything else."""
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
    if numbers.ndim == 0 or not np.isfinite(numbers).all():
        return np.zeros(0)
    return numbers.reshape(3, 3) if numbers.shape == (9,) else numbers


def _check_same(value: object, other: object, names: str) -> None:
    """Check that a value and that of another name agree. Values that are no numbers do."""
    numbers = [item for item in (value, other) if isinstance(item, int | float)]
    if len(numbers) == 2 and not math.isclose(*numbers, rel_tol=TOLERANCE):
        raise PoseNetError(f"{names} must agree, received {value} and {other}")
