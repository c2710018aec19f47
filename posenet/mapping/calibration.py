"""Estimate corrections of the intrinsics from images of known pose.

Rays of matching keypoints meet only with the right intrinsics. Intrinsics of another sensor (a
depth camera's beside color images), of another image size, assumed ones, or a camera that is
mounted askew on a tracked body are common. They cost accuracy everywhere, and nothing else reveals
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import PERSPECTIVE_MODELS, Camera
from posenet.mapping.intrinsics_fit import (
    PairMatches,
    Shift,
    fit_focal_factor,
    fit_shift,
    match_pairs,
    verify_shift,
)
from posenet.mapping.keypoints import KeypointCache

# A known focal length is kept if the estimate differs by less than 3 %.
MIN_FOCAL_CHANGE = 1.03
# Relative difference of aspect ratios that is ignored.
ASPECT_TOLERANCE = 0.01


class IntrinsicsCorrection(NamedTuple):
    """A correction of a camera's intrinsics.

    Attributes:
        factor: factor of the focal length.
        right: shift of the principal point to the right, in multiples of the old focal length.
        down: shift of the principal point down, in multiples of the old focal length.
        aspect: ratio of width to height of the images whose principal point is shifted; it would
            shift in another direction in images held otherwise.
    """

    factor: float = 1.0
    right: float = 0.0
    down: float = 0.0
    aspect: float = 0.0

    def apply(self, camera: Camera) -> Camera:
        """Return the corrected camera.

        Args:
            camera: the camera before the correction.

        Returns:
            The corrected camera; its source is "measured".
        """
        difference = abs(camera.width / camera.height - self.aspect)
        is_shifted = difference < ASPECT_TOLERANCE * self.aspect
        right = self.right if is_shifted else 0.0
        down = self.down if is_shifted else 0.0
        return replace(
            camera,
            fx=camera.fx * self.factor,
            fy=camera.fy * self.factor,
            cx=camera.cx + right * camera.fx,
            cy=camera.cy + down * camera.fy,
            source="measured",
        )


# Corrections by the source of the focal length, as in Camera.source.
Corrections = Mapping[str, IntrinsicsCorrection]


def estimate_corrections(scene: Scene, *, cache: KeypointCache | None = None) -> Corrections:
    """Estimate how the intrinsics must change for images and poses to agree best.

    There is one correction for each source of focal lengths ("file", "EXIF", "assumed"). A known
    focal length changes only if the estimate is clear and more than 3 % off; an assumed one
    whenever it is clear. The principal point moves only if all images are of one camera, by at
    least a pixel of 640, and if pairs of images that were not used agree better by 5 % of the cost.

    Nothing is estimated for scenes with 3-D points, whose intrinsics and poses come from the same
    adjustment, and for cameras with strong distortion.

    Args:
        scene: images of known pose.
        cache: receives the keypoints that are detected.

    Returns:
        The corrections; empty if there are none.
    """
    if scene.points is not None:
        return {}
    sources = _correctable_sources(scene)
    corrections = {}
    for source in sorted({source for source in sources if source}):
        rows = np.flatnonzero([other == source for other in sources])
        correction = _estimate_correction(scene.subset(rows), source == "assumed", cache)
        if correction is not None:
            corrections[source] = correction
    return corrections


def apply_corrections(scene: Scene, corrections: Corrections) -> Scene:
    """Correct the cameras of a scene.

    Args:
        scene: the scene.
        corrections: corrections by the source of the focal length.

    Returns:
        The corrected scene.
    """
    if not corrections:
        return scene
    cameras = [
        corrections[source].apply(camera) if camera and source in corrections else camera
        for source, camera in zip(_correctable_sources(scene), scene.cameras, strict=True)
    ]
    return replace(scene, cameras=tuple(cameras))


def describe_corrections(scene: Scene, corrections: Corrections) -> list[str]:
    """Describe corrections, one sentence each.

    Args:
        scene: the scene before it was corrected.
        corrections: the corrections.

    Returns:
        The sentences.
    """
    origins = {"file": "in its files", "EXIF": "from EXIF", "assumed": "assumed"}
    sources = _correctable_sources(scene)
    sentences = []
    for source, correction in corrections.items():
        old = next(
            camera
            for camera, its_source in zip(scene.cameras, sources, strict=True)
            if camera and its_source == source
        )
        new = correction.apply(old)
        origin = origins[source]
        changes = []
        if correction.factor != 1 or source == "assumed":
            changes.append(f"a focal length of {new.fx:.0f} pixels, not {old.fx:.0f} ({origin})")
        if correction.right or correction.down:
            changes.append(
                f"a principal point at {new.cx:.0f}, {new.cy:.0f}, "
                f"not {old.cx:.0f}, {old.cy:.0f} ({origin})"
            )
        sentences.append(
            f"images and poses agree on {' and '.join(changes)}: training uses the estimate"
        )
    return sentences


def _correctable_sources(scene: Scene) -> list[str]:
    """Return the source of each focal length, "" for cameras that cannot be corrected."""
    return [
        camera.source if camera and camera.model in PERSPECTIVE_MODELS else ""
        for camera in scene.cameras
    ]


def _estimate_correction(
    scene: Scene, is_assumed: bool, cache: KeypointCache | None
) -> IntrinsicsCorrection | None:
    """Return the correction of all cameras of a scene, None if there is none."""
    matches = match_pairs(scene, cache=cache)
    if not matches:
        return None
    no_shift = Shift(0.0, 0.0)
    factor = fit_focal_factor(matches, scene.poses, no_shift)
    if factor is None:
        return None
    correction = IntrinsicsCorrection(factor=factor)
    camera = scene.cameras[0]
    if camera and len(set(scene.cameras)) == 1:
        correction = _add_shift(scene, matches, factor, camera)
    if not is_assumed and max(correction.factor, 1 / correction.factor) <= MIN_FOCAL_CHANGE:
        correction = correction._replace(factor=1.0)
    return None if correction == IntrinsicsCorrection() else correction


def _add_shift(
    scene: Scene, matches: list[PairMatches], factor: float, camera: Camera
) -> IntrinsicsCorrection:
    """Add a shift of the principal point, if held-out pairs confirm it."""
    shift = verify_shift(matches, scene.poses, factor, moments=scene.dense_moments)
    if shift is None:
        return IntrinsicsCorrection(factor=factor)
    # Factor and shift influence each other, so both are fitted again.
    factor = fit_focal_factor(matches, scene.poses, shift) or factor
    shift = fit_shift(matches, scene.poses, factor, start=shift)
    factor = fit_focal_factor(matches, scene.poses, shift) or factor
    return IntrinsicsCorrection(factor, shift.right, shift.down, camera.width / camera.height)
