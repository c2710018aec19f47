"""What a run answers for images: regressed, averaged over views, smoothed, refined, beside the nearest image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from posenet.config import TTA_VIEWS
from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses, is_valid_quaternion
from posenet.io.files import fingerprint_files
from posenet.io.image_cache import ImageArray, load_images
from posenet.localization.orientation import resolve_orientation
from posenet.localization.refinement import PnPRefiner, RefinementResult
from posenet.localization.retrieval import (
    Gallery,
    descriptors,
    load_or_build_gallery,
    with_descriptor_output,
)
from posenet.localization.smoothing import contiguous_segments, smooth
from posenet.localization.test_time_augmentation import predict_with_tta
from posenet.localization.uncertainty import (
    UncertaintyModel,
    calibrate_uncertainty,
    load_uncertainty,
    save_uncertainty,
)
from posenet.mapping.landmarks import MAP, load_or_build_landmarks
from posenet.run import MODEL, Run

log = logging.getLogger("posenet")

FEWEST_HELD_OUT = 8  # images that tell how far to trust a pose


@dataclass(frozen=True)
class LocalizationOptions:
    """How answers are made.

    views: of each image, averaged, 1 to 11. smooth: the images of a sequence are a video's, their path is drawn
    smooth. refine: make poses exact by matching with the training images.
    """

    tta_views: int = TTA_VIEWS
    smooth: bool = False
    refine: bool = False


@dataclass(frozen=True, eq=False)
class PoseEstimates:
    """Poses of n images.

    poses: world_from_camera, the best there is, meaningless where found (n,) is False. regressed: what the network
    alone says, meaningless where answered (n,) is False. doubt_deg: (n,) how far the views' rotations lie from their
    mean; None for one view. descriptors: (n, d), to be looked up in the gallery. refinement: what refining found; None
    if it was not asked for.
    """

    poses: Poses
    found: np.ndarray
    regressed: Poses
    answered: np.ndarray
    doubt_deg: np.ndarray | None
    descriptors: np.ndarray
    refinement: RefinementResult | None = None


class Localizer:
    """A run, ready to answer. training: its training split, if that is open already."""

    def __init__(self, run: Run, training: Scene | None = None):
        self.run, self.training = run, training
        self.made_of = fingerprint_files(
            [run.folder / MODEL]
        )  # before it is loaded: a training may write a newer one
        self.network = with_descriptor_output(run.load_model())

    @cached_property
    def gallery(self) -> Gallery:
        """The training images as the network sees them."""
        return load_or_build_gallery(self.run, self.network, self.made_of, self.training)

    @cached_property
    def refiner(self) -> PnPRefiner:
        """Refines by the training images."""
        return PnPRefiner(
            self.gallery, load_or_build_landmarks(self.run.folder, self.gallery.scene)
        )

    @cached_property
    def trust(self) -> UncertaintyModel:
        """How far to trust regressed and refined poses, by the training images that were held out."""
        folder = self.run.folder / MAP
        kept = load_uncertainty(folder, self.made_of)
        if kept is not None:
            return kept
        scene = self.gallery.scene
        rows = np.flatnonzero(np.isin(scene.names, self.run.validation_images))
        if len(rows) < FEWEST_HELD_OUT:
            log.warning(
                "%d training images were held out, fewer than %d: how far to trust a pose is only assumed",
                len(rows), FEWEST_HELD_OUT,
            )  # fmt: skip
            return UncertaintyModel(0.05 * self.refiner.depth, 3.0, 10.0)
        held_out = scene.subset(rows)
        images = load_images(held_out.paths, self.run.crop.resized, "held-out images")
        held_out = held_out.subset(images.rows)
        outputs = self._views(images, held_out.cameras)
        regressed, _ = self._poses(outputs)
        described = descriptors(outputs["pooled"])
        located = self.refiner.locate(held_out.paths, held_out.cameras, regressed, described, rows)
        trust = calibrate_uncertainty(regressed, located, held_out.poses)
        save_uncertainty(folder, self.made_of, trust)
        return trust

    def _poses(self, outputs: dict[str, np.ndarray]) -> tuple[Poses, np.ndarray]:
        """What the network says, in the scene's world, and a mask (n,) of what is usable."""
        poses, usable = valid_poses(outputs)
        return Poses(poses.positions + self.run.origin, poses.rotations), usable

    @property
    def reference_camera(self) -> Camera | None:
        """The camera of all training images, if it was one."""
        return self.run.camera if self.run.single_camera else None

    def _views(
        self, images: ImageArray, cameras: Sequence[Camera | None], count: int = TTA_VIEWS
    ) -> dict[str, np.ndarray]:
        return predict_with_tta(
            self.network, images, cameras, self.run.crop, count, self.reference_camera
        )

    def answer(
        self,
        images: ImageArray,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        sequences: np.ndarray,
        options: LocalizationOptions,
    ) -> PoseEstimates:
        """Poses of n stored images, whose files, cameras and sequences (n,) are given in the same order."""
        outputs = self._views(images, cameras, options.tta_views)
        if self.reference_camera and options.tta_views > 1:
            ask = partial(self._views, count=options.tta_views)
            outputs = resolve_orientation(
                outputs, paths, cameras, self.reference_camera, self.run.crop.resized, ask
            )
        regressed, answered = self._poses(outputs)
        if options.smooth:
            regressed = _smoothed(regressed, answered, sequences)
        doubt = outputs["spread_deg"] if options.tta_views > 1 else None
        described = descriptors(outputs["pooled"])
        if not options.refine:
            return PoseEstimates(regressed, answered, regressed, answered, doubt, described)
        refinement = self.refiner.refine(paths, cameras, regressed, described, self.trust, answered)
        found = answered | refinement.refined
        poses = (
            _smoothed(refinement.poses, found, sequences) if options.smooth else refinement.poses
        )
        return PoseEstimates(poses, found, regressed, answered, doubt, described, refinement)


def valid_poses(outputs: dict[str, np.ndarray]) -> tuple[Poses, np.ndarray]:
    """Network outputs as poses, and a mask (n,) of those that are finite and have a rotation."""
    position, quaternion = outputs["position"], outputs["quaternion"]
    found = np.isfinite(position).all(axis=1) & is_valid_quaternion(quaternion)
    poses = Poses.from_quaternions(
        np.where(found[:, None], position, 0), np.where(found[:, None], quaternion, [1, 0, 0, 0])
    )
    return poses, found


def _smoothed(poses: Poses, found: np.ndarray, sequences: np.ndarray) -> Poses:
    """The usable poses on smooth paths, which end where several in a row are not; the others as they are."""
    rows = np.flatnonzero(found)
    smooth_poses = smooth(poses[rows], contiguous_segments(sequences, rows))
    positions, quaternions = poses.positions.copy(), poses.quaternions_wxyz.copy()
    positions[rows], quaternions[rows] = smooth_poses.positions, smooth_poses.quaternions_wxyz
    return Poses.from_quaternions(positions, quaternions)
