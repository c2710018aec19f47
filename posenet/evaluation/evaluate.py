"""Evaluate estimated poses against ground truth, beside the baselines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.evaluation.baselines import NETWORK_ALONE, retrieve_poses
from posenet.evaluation.pose_files import read_poses
from posenet.evaluation.rotation_order import warn_about_order
from posenet.evaluation.summary import create_summary
from posenet.geometry.metrics import mean_pose_errors, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.localization.smoothing import contiguous_segments
from posenet.run import Run

if TYPE_CHECKING:
    from posenet.localization.localizer import LocalizationOptions
    from posenet.localization.refinement import RefinementResult
    from posenet.mapping.landmarks import Landmarks

log = logging.getLogger("posenet")


class PoseErrors(NamedTuple):
    """Errors of n poses, infinite where there is no estimate.

    Attributes:
        position: distances between camera centers, scene units, shape (n,).
        rotation_deg: angles between rotations, degrees, shape (n,).
    """

    position: np.ndarray
    rotation_deg: np.ndarray

    def select(self, chosen: np.ndarray) -> PoseErrors:
        """Return the errors of some images.

        Args:
            chosen: a boolean mask (n,) or indices.

        Returns:
            Their errors.
        """
        return PoseErrors(self.position[chosen], self.rotation_deg[chosen])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Estimated poses of one split with their errors. Prints as the report.

    Attributes:
        scene: n images of the split with their true poses.
        split: name of the split.
        method: name of the method.
        estimate: n estimated poses, meaningless where not `valid`.
        valid: whether there is an estimate, shape (n,).
        errors: the errors of the estimates.
        baselines: the errors of the baselines: "mean_pose", "retrieval" if there are images, and
            "pose_regression" if poses were refined.
        training: the training images, None if there are none.
        uncertainty: an uncertainty of each image by which they can be ordered, shape (n,): the
            rotation spread of the views in degrees, or the standard deviation of the refined
            position; None if unknown.
        regressed: n poses before refinement; None without refinement.
        refinement: the refinement; None without.
        landmarks: the landmark map that poses were refined with.
        matches: names of the training images that each image matches best, if they are known.
    """

    scene: Scene
    split: str
    method: str
    estimate: Poses
    valid: np.ndarray
    errors: PoseErrors
    baselines: dict[str, PoseErrors]
    training: Scene | None
    uncertainty: np.ndarray | None = None
    regressed: Poses | None = None
    refinement: RefinementResult | None = None
    landmarks: Landmarks | None = None
    matches: Sequence[str] | None = None

    @property
    def title(self) -> str:
        """The name of the estimates beside those of the baselines, such as "refined"."""
        if self.refinement is None:
            return self.method
        return self.method.removeprefix("network, ")

    def summary(self) -> dict[str, Any]:
        """Return the content of summary.json.

        Returns:
            Medians, means and 95th percentiles, recall, baselines, and the errors at coverage.
            Numbers that are not finite are None.
        """
        return create_summary(self)

    def save(
        self, folder: str | Path, *, plot: bool = True, formats: Sequence[str] = ("png",)
    ) -> None:
        """Write summary.json, errors.csv, both trajectories and figures.

        Args:
            folder: the folder to write to.
            plot: draw the figures.
            formats: formats of the figures: one or more of "png", "pdf" and "svg".

        Raises:
            PoseNetError: the folder cannot be written.
        """
        from posenet.evaluation.report import write_evaluation

        write_evaluation(self, Path(folder), plot=plot, formats=formats)

    def __str__(self) -> str:
        """Return the report."""
        from posenet.evaluation.report import format_report

        return format_report(self)

    def __repr__(self) -> str:
        """Return a summary in one line."""
        position = np.median(self.errors.position)
        rotation = np.median(self.errors.rotation_deg)
        return (
            f"Evaluation({self.scene.name}, {self.method}: median {position:.3g} "
            f"{self.scene.unit}, {rotation:.3g} deg)"
        )


def evaluate_run(
    run: Run,
    scene_path: str | Path | None = None,
    *,
    strict: bool = False,
    options: LocalizationOptions | None = None,
) -> Evaluation:
    """Estimate the poses of the test split with a run and evaluate them.

    Args:
        run: the run.
        scene_path: where the scene is now, if it is not where it was in training.
        strict: refuse any label issue.
        options: how poses are estimated. Default: refined if it is possible.

    Returns:
        The evaluation.

    Raises:
        PoseNetError: the scene, its test split or the model cannot be used, or refinement is
            requested but not possible.
    """
    from posenet.localization.localizer import LocalizationOptions, Localizer

    options = options or LocalizationOptions()
    scene = run.open_scene(scene_path, strict=strict)
    test = run.exclude_training_images(scene.split("test"))
    training = run.known_training_images(scene)
    localizer = Localizer(
        run,
        refine=options.refine,
        smooth=options.smooth,
        tta_views=options.tta_views,
        training=training,
    )
    images = load_images(test.paths, run.crop.resized, "test images")
    test = test.subset(images.scene_rows)
    test_rows = np.flatnonzero(np.isin(scene.names, test.names))
    segments = contiguous_segments(scene.sequences, test_rows)
    estimates = localizer.estimate(images, test.paths, test.cameras, segments)
    retrieved = localizer.gallery.nearest_poses(estimates.descriptors) if training else None
    method = "network"
    method += ", smoothed" if options.smooth else ""
    method += ", refined" if estimates.refinement is not None else ""
    result = evaluate_estimates(
        scene, test, estimates.poses, estimates.valid, method=method, retrieved=retrieved
    )
    if estimates.refinement is None:
        matches = localizer.retrieve(estimates) if training else None
        return replace(result, uncertainty=estimates.rotation_spread_deg, matches=matches)
    training_names = estimates.refinement.training.names
    regressed = _pose_errors(estimates.regressed, estimates.regressed_valid, test.poses)
    return replace(
        result,
        baselines={NETWORK_ALONE: regressed} | result.baselines,
        uncertainty=estimates.position_std,
        regressed=estimates.regressed,
        refinement=estimates.refinement,
        landmarks=localizer.refiner.landmarks,
        matches=[training_names[row] for row in estimates.refinement.neighbors],
    )


def evaluate_poses(
    file: Path,
    scene_path: Path,
    *,
    split: str = "test",
    strict: bool = False,
    split_rule: str = "auto",
) -> Evaluation:
    """Evaluate a pose file, without a network. No images are needed.

    Args:
        file: a pose file in one of the forms of `read_poses`. Images without a pose have infinite
            errors.
        scene_path: folder of the scene.
        split: which images are evaluated, "train" or "test".
        strict: refuse any label issue.
        split_rule: the value of --split.

    Returns:
        The evaluation.

    Raises:
        PoseNetError: the file or the scene cannot be read.
    """
    scene = open_scene(scene_path, strict=strict, need_images=False, split=split_rule)
    chosen = scene.split(split)
    estimate, valid = read_poses(file, chosen)
    warn_about_order(file, estimate[valid], chosen.poses[valid])
    return evaluate_estimates(scene, chosen, estimate, valid, method=file.name, split=split)


def evaluate_estimates(
    scene: Scene,
    chosen: Scene,
    estimate: Poses,
    valid: np.ndarray,
    *,
    method: str,
    split: str = "test",
    retrieved: Poses | None = None,
) -> Evaluation:
    """Evaluate estimated poses of some images of a scene.

    Args:
        scene: the whole scene; its training images are the baselines.
        chosen: n of its images.
        estimate: n estimated poses.
        valid: whether there is an estimate, shape (n,).
        method: name of the method.
        split: name of the split.
        retrieved: poses of the most similar training images. Default: they are searched by gradient
            orientations.

    Returns:
        The evaluation.
    """
    training = scene.split("train") if (scene.splits == "train").any() else None
    baselines: dict[str, PoseErrors] = {}
    if training is not None:
        baselines["mean_pose"] = PoseErrors(*mean_pose_errors(training.poses, chosen.poses))
        if retrieved is None:
            retrieved = retrieve_poses(training, chosen)
        if retrieved is not None:
            baselines["retrieval"] = _pose_errors(
                retrieved, np.ones(len(chosen), bool), chosen.poses
            )
    return Evaluation(
        scene=chosen,
        split=split,
        method=method,
        estimate=estimate,
        valid=valid,
        errors=_pose_errors(estimate, valid, chosen.poses),
        baselines=baselines,
        training=training,
    )


def _pose_errors(estimate: Poses, valid: np.ndarray, ground_truth: Poses) -> PoseErrors:
    """Return the errors, infinite where not valid."""
    position = position_errors(estimate, ground_truth)
    rotation_deg = rotation_errors_deg(estimate, ground_truth)
    return PoseErrors(np.where(valid, position, np.inf), np.where(valid, rotation_deg, np.inf))
