"""What a run answers for images: regressed, averaged over views, smoothed, refined, beside the nearest image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from posenet.config import VIEWS
from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses, tells_rotation
from posenet.io.files import files_digest
from posenet.io.image_cache import Images, load_images
from posenet.localization.orientation import best_way_up
from posenet.localization.refinement import Refinement, Refiner
from posenet.localization.retrieval import Gallery, describing, descriptors, gallery_of
from posenet.localization.smoothing import smooth, stretches
from posenet.localization.test_time_augmentation import predict_views
from posenet.localization.uncertainty import Trust, measured_trust, read_trust, write_trust
from posenet.mapping.landmarks import MAP, landmarks_of
from posenet.run import MODEL, Run

log = logging.getLogger("posenet")

FEWEST_HELD_OUT = 8  # images that tell how far to trust a pose


@dataclass(frozen=True)
class Manner:
    """How answers are made.

    views: of each image, averaged, 1 to 11. smooth: the images of a sequence are a video's, their path is drawn
    smooth. refine: make poses exact by matching with the training images.
    """

    views: int = VIEWS
    smooth: bool = False
    refine: bool = False


@dataclass(frozen=True, eq=False)
class Answers:
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
    refinement: Refinement | None = None


class Answerer:
    """A run, ready to answer. training: its training split, if that is open already."""

    def __init__(self, run: Run, training: Scene | None = None):
        self.run, self.training = run, training
        self.made_of = files_digest([run.folder / MODEL])  # before it is loaded: a training may write a newer one
        self.network = describing(run.load_model())

    @cached_property
    def gallery(self) -> Gallery:
        """The training images as the network sees them."""
        return gallery_of(self.run, self.network, self.made_of, self.training)

    @cached_property
    def refiner(self) -> Refiner:
        """Refines by the training images."""
        return Refiner(self.gallery, landmarks_of(self.run.folder, self.gallery.scene))

    @cached_property
    def trust(self) -> Trust:
        """How far to trust regressed and refined poses, by the training images that were held out."""
        folder = self.run.folder / MAP
        kept = read_trust(folder, self.made_of)
        if kept is not None:
            return kept
        scene = self.gallery.scene
        rows = np.flatnonzero(np.isin(scene.names, self.run.held_out))
        if len(rows) < FEWEST_HELD_OUT:
            log.warning(
                "%d training images were held out, fewer than %d: how far to trust a pose is only assumed",
                len(rows), FEWEST_HELD_OUT,
            )  # fmt: skip
            return Trust(0.05 * self.refiner.depth, 3.0, 10.0)
        held_out = scene.subset(rows)
        images = load_images(held_out.paths, self.run.framing.stored, "held-out images")
        held_out = held_out.subset(images.rows)
        outputs = self._views(images, held_out.cameras)
        regressed, _ = self._poses(outputs)
        described = descriptors(outputs["pooled"])
        located = self.refiner.locate(held_out.paths, held_out.cameras, regressed, described, rows)
        trust = measured_trust(regressed, located, held_out.poses)
        write_trust(folder, self.made_of, trust)
        return trust

    def _poses(self, outputs: dict[str, np.ndarray]) -> tuple[Poses, np.ndarray]:
        """What the network says, in the scene's world, and a mask (n,) of what is usable."""
        poses, usable = usable_poses(outputs)
        return Poses(poses.positions + self.run.origin, poses.rotations), usable

    @property
    def trained_on(self) -> Camera | None:
        """The camera of all training images, if it was one."""
        return self.run.camera if self.run.one_camera else None

    def _views(self, images: Images, cameras: Sequence[Camera | None], count: int = VIEWS) -> dict[str, np.ndarray]:
        return predict_views(self.network, images, cameras, self.run.framing, count, self.trained_on)

    def answer(
        self,
        images: Images,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        sequences: np.ndarray,
        manner: Manner,
    ) -> Answers:
        """Poses of n stored images, whose files, cameras and sequences (n,) are given in the same order."""
        outputs = self._views(images, cameras, manner.views)
        if self.trained_on and manner.views > 1:
            ask = partial(self._views, count=manner.views)
            outputs = best_way_up(outputs, paths, cameras, self.trained_on, self.run.framing.stored, ask)
        regressed, answered = self._poses(outputs)
        if manner.smooth:
            regressed = _smoothed(regressed, answered, sequences)
        doubt = outputs["spread_deg"] if manner.views > 1 else None
        described = descriptors(outputs["pooled"])
        if not manner.refine:
            return Answers(regressed, answered, regressed, answered, doubt, described)
        refinement = self.refiner.refine(paths, cameras, regressed, described, self.trust, answered)
        found = answered | refinement.refined
        poses = _smoothed(refinement.poses, found, sequences) if manner.smooth else refinement.poses
        return Answers(poses, found, regressed, answered, doubt, described, refinement)


def usable_poses(outputs: dict[str, np.ndarray]) -> tuple[Poses, np.ndarray]:
    """Network outputs as poses, and a mask (n,) of those that are finite and have a rotation."""
    position, quaternion = outputs["position"], outputs["quaternion"]
    found = np.isfinite(position).all(axis=1) & tells_rotation(quaternion)
    poses = Poses.from_quaternions(
        np.where(found[:, None], position, 0), np.where(found[:, None], quaternion, [1, 0, 0, 0])
    )
    return poses, found


def _smoothed(poses: Poses, found: np.ndarray, sequences: np.ndarray) -> Poses:
    """The usable poses on smooth paths, which end where several in a row are not; the others as they are."""
    rows = np.flatnonzero(found)
    smooth_poses = smooth(poses[rows], stretches(sequences, rows))
    positions, quaternions = poses.positions.copy(), poses.quaternions_wxyz.copy()
    positions[rows], quaternions[rows] = smooth_poses.positions, smooth_poses.quaternions_wxyz
    return Poses.from_quaternions(positions, quaternions)
