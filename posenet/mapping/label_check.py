"""Check the labels of a scene against its images before they are trained on or reported."""

from __future__ import annotations

import numpy as np

from posenet.datasets.scene import Scene
from posenet.mapping.calibration import Corrections, apply_corrections, estimate_corrections
from posenet.mapping.convention_check import (
    ConventionCheck,
    check_convention,
    has_equal_rotations,
)
from posenet.mapping.keypoints import KeypointCache

# Positions whose differences are smaller, relative to their size, are equal.
EQUAL_POSITIONS = 1e-9


def check_labels(
    scene: Scene,
    training: Scene,
    *,
    use_images: bool = True,
    refine_intrinsics: bool = True,
    cache: KeypointCache | None = None,
) -> tuple[ConventionCheck, Corrections]:
    """Check the rotations of a scene, and estimate corrections of its intrinsics.

    Rotations that are read wrongly leave nothing to correct. Those that fit the images in no
    reading are checked again with corrected intrinsics, which may be the reason.

    Args:
        scene: the scene.
        training: its training images, with which the corrections are estimated.
        use_images: False if there are no image files.
        refine_intrinsics: estimate corrections.
        cache: receives the keypoints that are detected.

    Returns:
        The check of the rotations, and the corrections.
    """
    convention = check_convention(scene, use_images=use_images)
    is_misread = convention.verdict == "inverted" or convention.fitting_reading is not None
    if is_misread or not use_images or not refine_intrinsics:
        return convention, {}
    corrections = estimate_corrections(training, cache=cache)
    if convention.is_wrong and corrections:
        convention = check_convention(apply_corrections(scene, corrections))
    return convention, corrections


def describe_wrong_labels(scene: Scene, convention: ConventionCheck) -> list[str]:
    """Describe labels that a training should not use unseen.

    Args:
        scene: the scene.
        convention: the check of its rotations.

    Returns:
        One sentence for each kind: equal positions, equal rotations, rotations that are read
        wrongly.
    """
    sentences = describe_equal_positions(scene)
    if len(scene) > 1 and has_equal_rotations(scene):
        sentences.append(convention.reason)
    if convention.is_wrong:
        sentences.append(
            f"the rotations seem to be read wrongly: {convention.reason}; see `posenet scene info`"
        )
    return sentences


def describe_equal_positions(scene: Scene) -> list[str]:
    """Describe positions that are the same for all images of a scene.

    Args:
        scene: the scene.

    Returns:
        One sentence, or none if the positions differ or there is only one.
    """
    positions = scene.poses.positions
    tolerance = EQUAL_POSITIONS * float(np.abs(positions).max(initial=0))
    if len(scene) < 2 or np.ptp(positions, axis=0).max() > tolerance:
        return []
    return [f"all {len(scene)} positions are equal: there is no position to learn"]
