"""Names of the baselines."""

from __future__ import annotations

BASELINE_NAMES = {
    "network": "network alone",
    "retrieval": "nearest image",
    "mean_pose": "mean training pose",
}
