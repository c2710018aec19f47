"""Evaluation: predictions against true poses, beside the baselines, as numbers."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.evaluation.pose_files import read_poses
from posenet.geometry.cropping import full_image_crop
from posenet.geometry.metrics import mean_pose_errors, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.images import some_sizes
from posenet.localization.smoothing import contiguous_segments
from posenet.mapping.global_descriptors import describe, nearest_neighbors
from posenet.run import Run

if TYPE_CHECKING:
    from posenet.localization.localizer import LocalizationOptions
    from posenet.localization.refinement import RefinementResult

log = logging.getLogger("posenet")

Errors = tuple[np.ndarray, np.ndarray]

SHARES = (75, 50, 25)  # per cent of the images that the method is surest of
# The three thresholds of visuallocalization.net's long-term benchmark.
RECALL_M_DEG = ((0.25, 2), (0.5, 5), (5, 10))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions for one split and what they are worth.

    scene: the split's images and true poses. estimate: n poses, meaningless where found is False.
    errors, errors_deg: (n,) position error in the scene's unit and rotation error in degrees, infinite where
    there is no prediction. baselines: {"mean_pose" and, where there are images, "retrieval", where refined "network":
    such errors}. training: the training poses, None where the scene has none. doubt: (n,) how unsure the method is of
    each image: the spread of its views' rotations in degrees, or the standard deviation of its refined position;
    None where it does not tell. regressed: what the network alone says, refinement: what refining it found; both None
    without refinement.
    """

    scene: Scene
    split: str
    method: str
    estimate: Poses
    found: np.ndarray
    errors: np.ndarray
    errors_deg: np.ndarray
    baselines: dict[str, Errors]
    training: Poses | None
    doubt: np.ndarray | None = None
    regressed: Poses | None = None
    refinement: RefinementResult | None = None

    def summary(self) -> dict:
        """What summary.json holds; figures that are not finite become None."""
        values: dict = {"scene": self.scene.name, "split": self.split, "images": len(self.scene)}
        values |= {
            "missing": int((~self.found).sum()),
            "unit": self.scene.unit,
            "method": self.method,
        }
        values |= _statistics(self.errors, self.errors_deg)
        values["recall"] = {}
        if self.scene.unit == "m":
            for meters, degrees in RECALL_M_DEG:
                share = np.mean((self.errors <= meters) & (self.errors_deg <= degrees))
                values["recall"][f"{meters}m_{degrees}deg"] = float(share)
        values["baselines"] = {
            name: _statistics(*errors) for name, errors in self.baselines.items()
        }
        if not self.found.all() and self.found.any():
            values["predicted"] = _statistics(*(each[self.found] for each in self.both))
            values["predicted"]["baselines"] = {
                name: _statistics(*(each[self.found] for each in errors))
                for name, errors in self.baselines.items()
            }
        if self.doubt is not None:
            order = np.argsort(self.doubt, kind="stable")
            values["surest"] = {
                f"{share}%": _statistics(
                    *(each[order[: max(1, len(order) * share // 100)]] for each in self.both)
                )
                for share in SHARES
            }
        if self.refinement is not None:
            good = self.refinement.refined
            inliers = self.refinement.inliers[good] if good.any() else np.zeros(1)
            values["refined"] = {"share": float(good.mean()), "inliers": float(np.median(inliers))}
            if good.any():
                values["refined"] |= _statistics(self.errors[good], self.errors_deg[good])
        return values

    @property
    def both(self) -> Errors:
        """Errors in position and in rotation."""
        return self.errors, self.errors_deg


def _statistics(errors: np.ndarray, errors_deg: np.ndarray) -> dict:
    """Median, mean and 95th percentile of both errors."""
    values = {}
    for unit, each in (("m", errors), ("deg", errors_deg)):
        for name, of in (("median", np.median), ("mean", np.mean), ("p95", _percentile_95)):
            figure = float(of(each))
            values[f"{name}_{unit}"] = figure if math.isfinite(figure) else None
    return values


def _percentile_95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95, method="higher"))


def evaluate_run(
    run: Run,
    scene_path: Path | None = None,
    strict: bool = False,
    options: LocalizationOptions | None = None,
) -> Evaluation:
    """Predict the test split with the run's model and compare. scene_path: another place of the scene than the run's.

    Raises PoseNetError when the scene, its test split or the model cannot be used.
    """
    from posenet.localization.localizer import LocalizationOptions, Localizer

    scene = run.open_scene(scene_path, strict=strict)
    test = run.exclude_training_images(scene.split("test"))
    options = options or LocalizationOptions()
    training = run.known_training_images(scene)
    answerer = Localizer(run, training)
    images = load_images(test.paths, run.crop.resized, "test images")
    test = test.subset(images.rows)
    together = contiguous_segments(
        scene.sequences, np.flatnonzero(np.isin(scene.names, test.names))
    )
    answers = answerer.answer(images, test.paths, test.cameras, together, options)
    retrieved = answerer.gallery.nearest_poses(answers.descriptors) if training else None
    method = (
        "network"
        + (", smoothed" if options.smooth else "")
        + (", refined" if options.refine else "")
    )
    result = compare(scene, test, "test", method, answers.poses, answers.found, retrieved)
    if answers.refinement is None:
        return replace(result, doubt=answers.doubt_deg)
    doubt = answers.refinement.deviations[:, 0]
    regressed = _errors(answers.regressed, answers.answered, test.poses)
    baselines = {"network": regressed} | result.baselines
    return replace(
        result,
        baselines=baselines,
        doubt=doubt,
        regressed=answers.regressed,
        refinement=answers.refinement,
    )


def evaluate_poses(
    file: Path,
    scene_path: Path,
    split: str = "test",
    strict: bool = False,
    test_split: str = "auto",
) -> Evaluation:
    """Score a pose file alone: TUM, or lines `name X Y Z W P Q R`. No images are needed.

    A image without a prediction counts as infinitely wrong.
    """
    scene = open_scene(scene_path, strict=strict, need_images=False, split=test_split)
    chosen = scene.split(split)
    estimate, found = read_poses(file, chosen)
    return compare(scene, chosen, split, file.name, estimate, found)


def compare(
    scene: Scene,
    chosen: Scene,
    split: str,
    method: str,
    estimate: Poses,
    found: np.ndarray,
    retrieved: Poses | None = None,
) -> Evaluation:
    """Errors of estimated poses of some of a scene's images, beside the baselines.

    retrieved: poses of the training images most like them; without these they are sought by gradient orientations.
    """
    errors, errors_deg = _errors(estimate, found, chosen.poses)
    training = scene.split("train") if (scene.splits == "train").any() else None
    baselines: dict[str, Errors] = {}
    if training is not None:
        baselines["mean_pose"] = mean_pose_errors(training.poses, chosen.poses)
        retrieved = retrieved if retrieved is not None else _retrieve(training, chosen)
        if retrieved is not None:
            baselines["retrieval"] = _errors(retrieved, np.True_, chosen.poses)
    poses = training.poses if training is not None else None
    return Evaluation(chosen, split, method, estimate, found, errors, errors_deg, baselines, poses)


def _errors(estimate: Poses, found: np.ndarray | np.bool_, truth: Poses) -> Errors:
    """Errors in position and in rotation, infinite where found (n,) is False."""
    off, off_deg = position_errors(estimate, truth), rotation_errors_deg(estimate, truth)
    return np.where(found, off, np.inf), np.where(found, off_deg, np.inf)


def _retrieve(training: Scene, chosen: Scene) -> Poses | None:
    """The pose of the most similar training image, for each chosen image; None where images are missing or do not
    decode."""
    if not all(path.is_file() for path in (*training.paths, *chosen.paths)):
        return None
    try:
        stored = full_image_crop(some_sizes(training.paths), 192).resized
        training_images = load_images(training.paths, stored, "training images")
        queries = load_images(chosen.paths, stored, "images")
    except PoseNetError as error:
        log.warning("no nearest image is sought: %s", error)
        return None
    if len(queries) != len(chosen):
        return None
    rows = nearest_neighbors(describe(training_images), describe(queries))[:, 0]
    return training.poses[training_images.rows[rows]]
