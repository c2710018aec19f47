"""PnP refinement: match each image with similar training images and solve for its pose.

The regressed pose is kept if too few keypoints match, or if a weak match contradicts it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.images import read_image
from posenet.localization.absolute_pose import AbsolutePose, estimate_absolute_pose, fit_again
from posenet.localization.acceptance import choose_pose, is_determined, log_odds
from posenet.localization.covisibility import Covisibility
from posenet.localization.nearest_views import ViewIndex
from posenet.localization.pnp import CameraPose
from posenet.localization.query_matches import QueryMatcher, cached_landmarks
from posenet.localization.retrieval import Gallery
from posenet.localization.uncertainty import UncertaintyModel
from posenet.mapping.keypoints import Keypoints, detect_faint, detect_or_empty
from posenet.mapping.landmarks import MAX_KEYPOINTS, Landmarks
from posenet.mapping.parallel import NUM_CORES, in_parallel, one_blas_thread
from posenet.mapping.vlad import VladIndex

log = logging.getLogger("posenet")

# Training images that are matched first, and by each of the three criteria in all.
FIRST_NEIGHBORS = 10
MAX_NEIGHBORS = 14
# Training images that are matched if it is known about where an image was taken. 2 to 12 were tried
# on three sequences held out of RedKitchen's training split: six had the least mean error.
NEAR_NEIGHBORS = 6
# Of these, those that no criterion found: from so many on, the pose is fitted again to all of them.
# In large places, similar images of other places take the turns of the right ones.
MISSED_NEIGHBORS = 3
# Scales at which images are searched for more keypoints if those at first do not determine a pose,
# and the largest number of them. A third of the blurred and nearly all of the small images that
# fail at first are localized so.
RETRY_SCALES = (1.5, 0.6)
RETRY_KEYPOINTS = 5000
# Inliers of a pose without a rival for which no more training images are matched.
ENOUGH_INLIERS = 60
# Landmarks that the scene's depth is measured with. Each is read by itself, or, of more landmarks
# than the second number, with its neighbors: reading 20,000 places of a cold disk takes a minute.
SAMPLED_LANDMARKS = 20000
SCATTERED_LANDMARKS = 10**7
NEIGHBORS = 20


@dataclass(frozen=True, eq=False)
class RefinementResult:
    """Refined poses of n images.

    Attributes:
        poses: the refined pose where there is one, otherwise the regressed pose.
        absolute_poses: the accepted poses from matches, None where there is none.
        neighbors: index of the training image that observes most of what each image shows.
        training: the training images.
        uncertainty: the uncertainty model of both kinds of poses.
    """

    poses: Poses
    absolute_poses: list[AbsolutePose | None]
    neighbors: np.ndarray
    training: Scene
    uncertainty: UncertaintyModel

    @cached_property
    def refined(self) -> np.ndarray:
        """True where the pose is a refined one, shape (n,)."""
        return np.array([pose is not None for pose in self.absolute_poses], bool)

    @cached_property
    def num_inliers(self) -> np.ndarray:
        """Number of keypoints that agree with the refined pose, 0 without one, shape (n,)."""
        return np.array([pose.num_inliers if pose else 0 for pose in self.absolute_poses], int)

    @cached_property
    def _standard_deviations(self) -> np.ndarray:
        deviations = [self.uncertainty.standard_deviations(pose) for pose in self.absolute_poses]
        return np.array(deviations, float).reshape(-1, 2)

    @property
    def position_std(self) -> np.ndarray:
        """Standard deviations of the positions in scene units, shape (n,)."""
        return self._standard_deviations[:, 0]

    @property
    def rotation_std_deg(self) -> np.ndarray:
        """Standard deviations of the rotations in degrees, shape (n,)."""
        return self._standard_deviations[:, 1]


class PnPRefiner:
    """Refines poses of query images with the training images and their landmarks."""

    def __init__(self, gallery: Gallery, landmarks: Landmarks, vlad: VladIndex) -> None:
        self.gallery = gallery
        self.landmarks = landmarks
        self.vlad = vlad
        self.cached_landmarks = cached_landmarks(landmarks.observations)
        self.poses = gallery.scene.poses
        self.covisibility = Covisibility(self.poses, landmarks)
        self.depth = _median_depth(self.poses, landmarks)
        self.views = ViewIndex(self.poses, self.depth)

    def refine(
        self,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        regressed: Poses,
        descriptors: np.ndarray,
        uncertainty: UncertaintyModel,
        *,
        regressed_valid: np.ndarray | None = None,
    ) -> RefinementResult:
        """Refine regressed poses.

        An unknown focal length is estimated together with the pose, if the image determines it.

        Args:
            paths: n image files.
            cameras: n cameras of these files, None if unknown.
            regressed: n poses from the network.
            descriptors: n descriptors from the network, shape (n, d).
            uncertainty: the uncertainty model.
            regressed_valid: False where the regressed pose is invalid, shape (n,). Default: all
                are valid.

        Returns:
            The refined poses.
        """
        unknown = sum(c is not None and not c.has_known_focal_length for c in cameras)
        if unknown:
            log.warning(
                "the focal length of %s is unknown and estimated together with the pose",
                count(unknown, "image"),
            )
        if regressed_valid is None:
            regressed_valid = np.ones(len(regressed), bool)
        accepted = self.estimate(paths, cameras, regressed, descriptors)
        positions = regressed.positions.copy()
        quaternions = regressed.quaternions_wxyz.copy()
        for row, pose in enumerate(accepted):
            if pose is None:
                continue
            prior = CameraPose(regressed.positions[row], regressed.rotations[row])
            pose = choose_pose(pose, prior if regressed_valid[row] else None, uncertainty)
            accepted[row] = pose
            if pose is not None:
                positions[row] = pose.position
                quaternions[row] = pose.rotation.as_quat(canonical=True, scalar_first=True)
        poses = Poses.from_quaternions(positions, quaternions)
        neighbors = [self.nearest_views(poses, row, 1)[0] for row in range(len(poses))]
        return RefinementResult(
            poses, accepted, np.array(neighbors, int), self.gallery.scene, uncertainty
        )

    def estimate(
        self,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        regressed: Poses,
        descriptors: np.ndarray,
        *,
        excluded: np.ndarray | None = None,
    ) -> list[AbsolutePose | None]:
        """Estimate poses from matches alone.

        Args:
            paths: n image files.
            cameras: n cameras of these files, None if unknown.
            regressed: n poses from the network, which select training images.
            descriptors: n descriptors from the network, shape (n, d).
            excluded: indices of training images not to be used.

        Returns:
            n poses, None where too few matches agree.
        """
        usable = None
        views = self.views
        if excluded is not None:
            usable = np.ones(len(self.poses), bool)
            usable[excluded] = False
            views = ViewIndex(self.poses, self.depth, usable)
        similar = self.gallery.nearest(descriptors, MAX_NEIGHBORS, usable=usable)
        forward = regressed.rotations.apply([0.0, 0, 1])

        # Several images are refined at the same time, each in one thread.
        threads = NUM_CORES if len(paths) == 1 else 1

        def estimate_one(row: int) -> AbsolutePose | None:
            camera = cameras[row]
            if camera is None:
                return None
            nearest = views.nearest(regressed.positions[row], forward[row], MAX_NEIGHBORS)
            rankings = [similar[row], nearest]
            best: AbsolutePose | None = None
            for keypoints in _detections(paths[row], camera):
                matcher = QueryMatcher(keypoints, self.cached_landmarks, threads=threads)
                by_keypoints = self.vlad.rank(matcher.descriptors, MAX_NEIGHBORS, usable=usable)
                candidates = _in_turns([by_keypoints, *rankings])
                pose = self._estimate_one(matcher, candidates, views, camera.has_known_focal_length)
                if pose is not None and (best is None or log_odds(pose) > log_odds(best)):
                    best = pose
                if best is not None and is_determined(best):
                    break
            return best

        return in_parallel(estimate_one, range(len(paths)), "refining")

    def estimate_near(
        self, keypoints: Keypoints, predicted: CameraPose, *, has_known_focal_length: bool = True
    ) -> AbsolutePose | None:
        """Estimate the pose of an image from matches with the training images near a pose.

        Args:
            keypoints: the keypoints of the image.
            predicted: about where the image was taken.
            has_known_focal_length: False to estimate the focal length with the pose.

        Returns:
            The pose, None if too few matches agree.
        """
        poses = Poses(predicted.position[None], Rotation.concatenate([predicted.rotation]))
        images = self.nearest_views(poses, 0, NEAR_NEIGHBORS).tolist()
        with one_blas_thread():
            return estimate_absolute_pose(
                QueryMatcher(keypoints, self.cached_landmarks, threads=NUM_CORES),
                images,
                self.covisibility,
                depth=self.depth,
                has_known_focal_length=has_known_focal_length,
            )

    def nearest_views(self, poses: Poses, row: int, count: int) -> np.ndarray:
        """Return the training images whose view is most similar to that of a pose.

        Args:
            poses: some poses.
            row: index of the pose in question.
            count: number of images; all if there are fewer.

        Returns:
            Indices of training images, nearest first, by the angle between the viewing directions
            plus the distance in multiples of the scene's depth, shape (count,).
        """
        forward = poses.rotations[row].apply([0.0, 0, 1])
        return self.views.nearest(poses.positions[row], forward, count)

    def _estimate_one(
        self,
        matcher: QueryMatcher,
        candidates: list[int],
        views: ViewIndex,
        has_known_focal_length: bool,
    ) -> AbsolutePose | None:
        """Match with the first candidates, then with all unless the pose is certain."""
        rounds = [candidates[:FIRST_NEIGHBORS]]
        if len(candidates) > FIRST_NEIGHBORS:
            rounds.append(candidates)
        best: AbsolutePose | None = None
        for images in rounds:
            pose = estimate_absolute_pose(
                matcher,
                images,
                self.covisibility,
                depth=self.depth,
                has_known_focal_length=has_known_focal_length,
            )
            if pose is not None and (best is None or pose.num_inliers >= best.num_inliers):
                best = pose
            if best is not None and best.num_inliers >= ENOUGH_INLIERS and best.rival is None:
                break
        if best is None:
            return None
        return self._with_missed(best, matcher, images, views, has_known_focal_length)

    def _with_missed(
        self,
        pose: AbsolutePose,
        matcher: QueryMatcher,
        matched: list[int],
        views: ViewIndex,
        has_known_focal_length: bool,
    ) -> AbsolutePose:
        """Fit a pose again with the training images near it, if several were not matched."""
        forward = pose.rotation.apply([0.0, 0, 1])
        near = views.nearest(pose.position, forward, NEAR_NEIGHBORS).tolist()
        if len(set(near) - set(matched)) < MISSED_NEIGHBORS:
            return pose
        others = np.array([image for image in matched if image not in near], int)
        if len(others):
            overlaps = self.covisibility.overlaps(near[0], others)
            near += others[overlaps > 0].tolist()
        return fit_again(matcher, pose, near, has_known_focal_length=has_known_focal_length)


def _detections(path: Path, camera: Camera) -> Iterator[Keypoints]:
    """Detect the keypoints of an image, then those of less contrast at other scales."""
    yield detect_or_empty(path, camera, MAX_KEYPOINTS)
    try:
        image = read_image(path)
    except PoseNetError:  # named before
        return
    for scale in RETRY_SCALES:
        yield detect_faint(image, camera, RETRY_KEYPOINTS, scale=scale)


def _in_turns(rankings: Sequence[np.ndarray]) -> list[int]:
    """Return the elements of several rankings in turns, each once."""
    columns = zip_longest(*(ranking.tolist() for ranking in rankings))
    return list(dict.fromkeys(row for column in columns for row in column if row is not None))


def _median_depth(poses: Poses, landmarks: Landmarks) -> float:
    """Return the median distance of the landmarks from the images that observe them."""
    total = len(landmarks.points)
    step = max(1, total // SAMPLED_LANDMARKS)
    rows = np.arange(0, total, step)
    if total > SCATTERED_LANDMARKS:
        rows = (rows[::NEIGHBORS, None] + np.arange(NEIGHBORS)).ravel()
        rows = rows[rows < total]
    images = np.searchsorted(landmarks.starts, rows, side="right") - 1
    points = landmarks.origin + landmarks.points[rows]
    distances = np.linalg.norm(points - poses.positions[images], axis=1)
    return max(float(np.median(distances)), 1e-9)
