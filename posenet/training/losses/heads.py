"""What the losses share: the heads of a network and the errors of their points."""

from __future__ import annotations

from typing import Any

from keras import ops

from posenet.models.quaternions import distance

# Caffe's train_posenet.prototxt weights the position of the heads by .3, .3 and 1, and the
# quaternion by beta times that.
AUXILIARY_WEIGHT = 0.3
HEAD_WEIGHTS = {"": 1.0, "aux1_": AUXILIARY_WEIGHT, "aux2_": AUXILIARY_WEIGHT}


def present_heads(outputs: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the heads of a network.

    Args:
        outputs: the outputs of the network.

    Returns:
        Prefix of the outputs and weight of each head.
    """
    return [
        (prefix, weight)
        for prefix, weight in HEAD_WEIGHTS.items()
        if f"{prefix}position" in outputs
    ]


def l1_distance(first: Any, second: Any) -> Any:
    """Return L1 distances.

    Args:
        first: shape (b, n).
        second: shape (b, n).

    Returns:
        Shape (b,).
    """
    return ops.sum(ops.abs(first - second), axis=-1)


def coordinate_error(truth: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Return the mean distance of scene and camera coordinates from the true ones.

    Args:
        truth: "scene_coordinates" and "camera_coordinates" (b, rows, columns, 3), NaN if unknown.
        outputs: the predicted coordinates.

    Returns:
        The sum of both mean distances over the cells with known truth, shape (b,).
    """
    known = ops.cast(ops.isfinite(truth["scene_coordinates"][..., 0]), "float32")
    total = 0.0
    for name in ("scene_coordinates", "camera_coordinates"):
        target = ops.where(known[..., None] > 0, truth[name], outputs[name])
        total = total + ops.sum(known * distance(target, outputs[name]), axis=(1, 2))
    return total / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
