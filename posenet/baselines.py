"""What a pose network has to beat: the mean training pose, and the nearest training picture."""

from __future__ import annotations

import cv2
import numpy as np

from posenet.poses import Poses, concatenate, mean_pose, position_errors, rotation_errors_deg

DESCRIPTOR_SIZE = (96, 128)  # (height, width) that pictures are described at


def mean_pose_errors(training: Poses, truth: Poses) -> tuple[np.ndarray, np.ndarray]:
    """Errors (n,) in the scene's unit and in degrees of always answering with the mean training pose."""
    always = concatenate([mean_pose(training)] * len(truth))
    return position_errors(always, truth), rotation_errors_deg(always, truth)


def describe(pictures) -> np.ndarray:
    """(n, d) float32 unit descriptors of pictures (n, h, w, 3) uint8 RGB, for retrieval by cosine similarity.

    Histograms of oriented gradients (Dalal & Triggs 2005) over the whole picture.
    """
    height, width = DESCRIPTOR_SIZE
    hog = cv2.HOGDescriptor((width, height), (32, 32), (16, 16), (16, 16), 9)
    rows = []
    for row in range(len(pictures)):
        grey = cv2.cvtColor(
            cv2.resize(pictures[row], (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        rows.append(hog.compute(grey).ravel())
    descriptors = np.array(rows, np.float32)
    descriptors -= descriptors.mean(axis=1, keepdims=True)
    return descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)


def nearest_pictures(training: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(n,) for each query descriptor, the row of the most similar training descriptor."""
    return np.concatenate(
        [np.argmax(queries[start : start + 512] @ training.T, axis=1) for start in range(0, len(queries), 512)]
    )
