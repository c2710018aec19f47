"""The localizer: from images to poses, with test-time augmentation, smoothing and refinement."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from posenet.config import REFINED_TTA_VIEWS, TTA_VIEWS
from posenet.datasets.rig_names import camera_word
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import fingerprint_content
from posenet.io.image_cache import ImageArray, load_images
from posenet.localization.blending import (
    BlendingWeights,
    calibrate_blending,
    load_blending,
    save_blending,
)
from posenet.localization.estimates import PoseEstimate, PoseEstimates, valid_poses
from posenet.localization.orientation import resolve_orientation
from posenet.localization.query_images import QueryImage, as_files, query_camera
from posenet.localization.refinable import decide_refinement
from posenet.localization.refinement import PnPRefiner
from posenet.localization.retrieval import (
    Gallery,
    load_or_build_gallery,
    normalize_descriptors,
    with_descriptor_output,
)
from posenet.localization.smoothing import contiguous_segments, smooth_trajectory
from posenet.localization.test_time_augmentation import predict_with_tta
from posenet.localization.uncertainty import (
    UncertaintyModel,
    calibrate_uncertainty,
    load_uncertainty,
    save_uncertainty,
)
from posenet.localization.validation import ValidationPredictions, predict_validation
from posenet.mapping.landmarks import landmarks_folder, load_or_build_landmarks
from posenet.mapping.vlad import load_or_build_vlad
from posenet.models.inference import Network
from posenet.run import MODEL, Run

log = logging.getLogger("posenet")

# Fewest validation images that the uncertainty is calibrated with.
MIN_VALIDATION_IMAGES = 8
# Most validation images that are refined for it: two minutes on two cores.
MAX_CALIBRATION_IMAGES = 400
# Uncertainty that is assumed otherwise: of the position as a fraction of the scene's depth, of the
# rotation in degrees, and the inflation of refined poses.
ASSUMED_POSITION_STD = 0.05
ASSUMED_ROTATION_STD_DEG = 3.0
ASSUMED_INFLATION = 10.0


@dataclass(frozen=True)
class LocalizationOptions:
    """How poses are estimated.

    Attributes:
        tta_views: number of test-time augmentation views per image, 1 to 11; None for 3 with
            refinement, 11 without.
        smooth: smooth the poses of each sequence as a video.
        refine: refine each pose by local feature matching and PnP. None: if it is possible.
    """

    tta_views: int | None = TTA_VIEWS
    smooth: bool = False
    refine: bool | None = None


class Localizer:
    """Estimates camera poses with a trained run.

    The model, the descriptors of the training images and the landmark map are loaded on first use
    and kept. The map is built if it does not exist.
    """

    def __init__(
        self,
        run: Run,
        *,
        refine: bool | None = None,
        smooth: bool = False,
        tta_views: int | None = None,
        training: Scene | None = None,
        network: Network | None = None,
    ) -> None:
        """Load the model of a run.

        Args:
            run: the run.
            refine: refine each pose by local feature matching and PnP. Default: if the intrinsics
                of the training images are known and the landmark map can be built.
            smooth: smooth the poses of each sequence as a video.
            tta_views: number of test-time augmentation views per image, 1 to 11. Default: 3 with
                refinement, 11 without.
            training: the run's training images, if they are open already.
            network: the run's network in another runtime, with the output "pooled". Default: its
                Keras model.

        Raises:
            PoseNetError: the model cannot be loaded.
        """
        self.run = run
        self.options = LocalizationOptions(tta_views=tta_views, smooth=smooth, refine=refine)
        self.training = training
        # Before the model is loaded, since a training may replace the file at any time.
        self.fingerprint = fingerprint_content(run.folder / MODEL)
        self.network = network or _load_network(run)

    def __repr__(self) -> str:
        """Return the localizer in one line."""
        return f"Localizer({self.run.folder}, {self.options})"

    @cached_property
    def gallery(self) -> Gallery:
        """The training images with their global descriptors."""
        return load_or_build_gallery(self.run, self.network, self.fingerprint, self.training)

    @cached_property
    def refines(self) -> bool:
        """Whether poses are refined: by the option, by default if it is possible."""
        return decide_refinement(
            self.options.refine, lambda: self.gallery.scene, lambda: self.refiner
        )

    @property
    def tta_views(self) -> int:
        """Number of test-time augmentation views per image."""
        if self.options.tta_views is None:
            return REFINED_TTA_VIEWS if self.refines else TTA_VIEWS
        return self.options.tta_views

    @cached_property
    def refiner(self) -> PnPRefiner:
        """The refiner with the landmark map."""
        landmarks = load_or_build_landmarks(self.run.folder, self.gallery.scene)
        vlad = load_or_build_vlad(landmarks, landmarks_folder(self.run.folder))
        return PnPRefiner(self.gallery, landmarks, vlad)

    @cached_property
    def uncertainty(self) -> UncertaintyModel:
        """The uncertainty model, calibrated on the validation images of the run."""
        folder = landmarks_folder(self.run.folder)
        saved = load_uncertainty(folder, self.fingerprint)
        if saved is not None:
            return saved
        count = len(self.run.validation_images)
        validation = self.validation if count >= MIN_VALIDATION_IMAGES else None
        count = len(validation) if validation else count
        if validation is None or count < MIN_VALIDATION_IMAGES:
            log.warning(
                "the uncertainty of poses is assumed: it is calibrated with at least %d validation "
                "images, the run has %d",
                MIN_VALIDATION_IMAGES,
                count,
            )
            position_std = ASSUMED_POSITION_STD * self.refiner.depth
            return UncertaintyModel(position_std, ASSUMED_ROTATION_STD_DEG, ASSUMED_INFLATION)
        validation = validation.thinned(MAX_CALIBRATION_IMAGES)
        regressed = validation.regressed
        if self.blending is not None:
            regressed = self.blending.blend(regressed, validation.retrieved)
        estimated = self.refiner.estimate(
            validation.scene.paths,
            validation.scene.cameras,
            regressed,
            validation.descriptors,
            excluded=validation.excluded,
        )
        model = calibrate_uncertainty(regressed, estimated, validation.scene.poses)
        save_uncertainty(folder, self.fingerprint, model)
        return model

    @cached_property
    def validation(self) -> ValidationPredictions | None:
        """The predictions for the validation images, None if there are none."""

        def predict(images: ImageArray, cameras: Sequence[Camera | None]) -> dict[str, np.ndarray]:
            return self._predict(images, cameras, TTA_VIEWS)

        return predict_validation(self.run, self.gallery, predict)

    @cached_property
    def blending(self) -> BlendingWeights | None:
        """The weights of retrieved poses; None without validation or training images."""
        try:
            _ = self.gallery  # poses are retrieved from it
        except PoseNetError as error:
            log.warning("poses are not blended with those of similar training images: %s", error)
            return None
        saved = load_blending(self.run.folder, self.fingerprint)
        if saved is not None:
            return saved
        validation = self.validation
        if validation is None:
            return None
        weights = calibrate_blending(
            validation.regressed, validation.retrieved, validation.scene.poses
        )
        save_blending(self.run.folder, self.fingerprint, weights)
        return weights

    def localize(self, image: QueryImage, *, camera: Camera | None = None) -> PoseEstimate:
        """Estimate the pose of one image.

        Args:
            image: an image file (str or Path), RGB values of shape (h, w, 3) and type uint8, or a
                PIL image.
            camera: the camera of the upright image. Default: by `query_camera`.

        Returns:
            The pose, world_from_camera, with its uncertainty.

        Raises:
            PoseNetError: the image cannot be read, or the run cannot localize.
        """
        with as_files([image]) as paths:
            rows, estimates = self.localize_files(paths, cameras=[camera])
        return estimates.scatter(rows, 1)[0]

    def localize_all(
        self, images: Sequence[QueryImage], *, smooth: bool | None = None
    ) -> PoseEstimates:
        """Estimate the poses of many images.

        Args:
            images: n image files (str or Path), RGB arrays or PIL images.
            smooth: smooth the poses of each folder as those of a video, in the given order.
                Default: the localizer's option.

        Returns:
            n poses, world_from_camera. Images that cannot be read are not `valid`.

        Raises:
            PoseNetError: no image can be read, or the run cannot localize.
        """
        with as_files(images) as paths:
            rows, estimates = self.localize_files(paths, smooth=smooth)
        return estimates.scatter(rows, len(paths))

    def localize_files(
        self,
        paths: Sequence[Path],
        *,
        cameras: Sequence[Camera | None] | None = None,
        smooth: bool | None = None,
    ) -> tuple[np.ndarray, PoseEstimates]:
        """Estimate the poses of those image files that can be read.

        Args:
            paths: n image files.
            cameras: the cameras of the upright images, None for that of `query_camera`. Default:
                None for each.
            smooth: as for `localize_all`.

        Returns:
            Indices of the images that can be read, shape (k,), and their k poses.

        Raises:
            PoseNetError: no image can be read, or the run cannot localize.
        """
        images = load_images(list(paths), self.run.crop.resized, "images")
        readable = [paths[row] for row in images.scene_rows]
        given = [cameras[row] if cameras else None for row in images.scene_rows]
        known = [
            camera or query_camera(self.run, path)
            for camera, path in zip(given, readable, strict=True)
        ]
        folders = np.array([f"{path.parent}/{camera_word(path.name)}" for path in paths], object)
        sequences = contiguous_segments(folders, images.scene_rows)
        estimates = self.estimate(images, readable, known, sequences, smooth=smooth)
        return images.scene_rows, estimates

    def estimate(
        self,
        images: ImageArray,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        sequences: np.ndarray,
        *,
        smooth: bool | None = None,
    ) -> PoseEstimates:
        """Estimate the poses of resized images whose files and cameras are known.

        Args:
            images: n resized images.
            paths: their files.
            cameras: the cameras of the files, None if unknown.
            sequences: the sequence of each image, shape (n,); ordered by time within one.
            smooth: smooth each sequence. Default: the localizer's option.

        Returns:
            n poses.
        """
        smooth = self.options.smooth if smooth is None else smooth
        outputs = self._predict_oriented(images, paths, cameras)
        descriptors = normalize_descriptors(outputs["pooled"])
        regressed, regressed_valid = self._to_poses(outputs, descriptors)
        if smooth:
            regressed = _smooth_valid(regressed, regressed_valid, sequences)
        spread = outputs["spread_deg"] if self.tta_views > 1 else None
        if not self.refines:
            return PoseEstimates(
                regressed, regressed_valid, regressed, regressed_valid, spread, descriptors
            )
        refinement = self.refiner.refine(
            paths,
            cameras,
            regressed,
            descriptors,
            self.uncertainty,
            regressed_valid=regressed_valid,
        )
        valid = regressed_valid | refinement.refined
        poses = refinement.poses
        if smooth:
            poses = _smooth_valid(poses, valid, sequences)
        return PoseEstimates(
            poses, valid, regressed, regressed_valid, spread, descriptors, refinement
        )

    def retrieve(self, estimates: PoseEstimates) -> list[str]:
        """Return the name of the training image most similar to each image.

        Args:
            estimates: n estimates.

        Returns:
            n names of training images.
        """
        rows = self.gallery.nearest(estimates.descriptors)[:, 0]
        return [self.gallery.scene.names[row] for row in rows]

    @property
    def reference_camera(self) -> Camera | None:
        """The camera of all training images, if it is the same for all."""
        return self.run.camera if self.run.single_camera else None

    def _predict_oriented(
        self, images: ImageArray, paths: Sequence[Path], cameras: Sequence[Camera | None]
    ) -> dict[str, np.ndarray]:
        """Predict with test-time augmentation, each image in its best orientation."""
        tta_views = self.tta_views
        outputs = self._predict(images, cameras, tta_views)
        if self.reference_camera is None or tta_views == 1:
            return outputs

        def predict(
            rotated: ImageArray, rotated_cameras: Sequence[Camera | None]
        ) -> dict[str, np.ndarray]:
            return self._predict(rotated, rotated_cameras, tta_views)

        return resolve_orientation(
            outputs,
            paths,
            cameras,
            reference_camera=self.reference_camera,
            size=self.run.crop.resized,
            predict=predict,
        )

    def _predict(
        self, images: ImageArray, cameras: Sequence[Camera | None], tta_views: int
    ) -> dict[str, np.ndarray]:
        return predict_with_tta(
            self.network,
            images,
            cameras,
            self.run.crop,
            tta_views=tta_views,
            reference_camera=self.reference_camera,
        )

    def _to_poses(
        self, outputs: dict[str, np.ndarray], descriptors: np.ndarray
    ) -> tuple[Poses, np.ndarray]:
        """Return poses in the world frame, blended with retrieved ones, and which are valid."""
        poses, valid = valid_poses(outputs, self._origins(descriptors))
        if self.blending is not None:
            poses = self.blending.blend(poses, self.gallery.nearest_poses(descriptors))
        return poses, valid

    def _origins(self, descriptors: np.ndarray) -> np.ndarray:
        """Return the network's origin for each image, in the area of the most similar images."""
        areas = self.run.areas
        return areas.origins[0] if len(areas) == 1 else self.gallery.route(descriptors, areas)


def _load_network(run: Run) -> Network:
    """Load the Keras model of a run, with descriptors and without batch normalization."""
    model = run.load_model()
    from posenet.models.folding import fold_batch_norm  # imports Keras

    network: Network = fold_batch_norm(with_descriptor_output(model))
    return network


def _smooth_valid(poses: Poses, valid: np.ndarray, sequences: np.ndarray) -> Poses:
    """Smooth the valid poses; a trajectory ends where several in a row are invalid."""
    rows = np.flatnonzero(valid)
    smoothed = smooth_trajectory(poses[rows], contiguous_segments(sequences, rows))
    positions = poses.positions.copy()
    quaternions = poses.quaternions_wxyz.copy()
    positions[rows] = smoothed.positions
    quaternions[rows] = smoothed.quaternions_wxyz
    return Poses.from_quaternions(positions, quaternions)
