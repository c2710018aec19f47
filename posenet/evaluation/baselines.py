"""Baselines that every result is compared with: image retrieval and the mean training pose.

Refined poses are also compared with those of the network alone.
"""

from __future__ import annotations

import logging

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.cropping import full_image_crop
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.image_headers import sample_sizes
from posenet.mapping.global_descriptors import hog_descriptors, nearest_neighbors

log = logging.getLogger("posenet")

# Key of the network's own errors beside those of refined poses.
NETWORK_ALONE = "pose_regression"
# Names in reports, by their keys in summary.json.
BASELINE_NAMES = {
    NETWORK_ALONE: "network",
    "retrieval": "image retrieval",
    "mean_pose": "mean training pose",
}
# Short side in pixels of images that are compared by their gradients.
RETRIEVAL_SIDE = 192


def retrieve_poses(training: Scene, queries: Scene) -> Poses | None:
    """Return the pose of the training image most similar to each query, by gradient orientations.

    Args:
        training: the training images.
        queries: n query images.

    Returns:
        n poses; None if image files are missing or do not decode.
    """
    if not all(path.is_file() for path in (*training.paths, *queries.paths)):
        return None
    try:
        size = full_image_crop(sample_sizes(training.paths), RETRIEVAL_SIDE).resized
        training_images = load_images(training.paths, size, "training images")
        query_images = load_images(queries.paths, size, "images")
    except PoseNetError as error:
        log.warning("no image retrieval baseline: %s", error)
        return None
    if len(query_images) != len(queries):
        return None
    descriptors = hog_descriptors(training_images)
    rows = nearest_neighbors(descriptors, hog_descriptors(query_images))[:, 0]
    return training.poses[training_images.scene_rows[rows]]
