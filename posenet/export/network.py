"""The network that is exported: float32, folded, with outputs that need no further work."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from posenet.localization.retrieval import with_descriptor_output
from posenet.models.folding import fold_batch_norm
from posenet.models.legacy_layers import OLD_KEYS


def export_network(model: keras.Model) -> keras.Model:
    """Build the network that is exported from that of a run.

    Batch normalization is folded into the convolutions before it. Layer names lose their leading
    underscores, which TensorFlow refuses in a SavedModel.

    Args:
        model: the network of a run. It is not changed.

    Returns:
        A network: "image", raw RGB 0-255 (b, h, w, 3) float32 -> "position" (b, 3) relative to the
        run's origin, "quaternion" (b, 4) wxyz of unit length with w >= 0, "pooled" (b, d) of unit
        length and, with the scene-coordinate head, "residual_rms" (b,).
    """
    folded = fold_batch_norm(with_descriptor_output(_with_plain_layers(model)))
    new_keys = {old: new for new, old in OLD_KEYS.items()}
    raw = {new_keys.get(name, name): value for name, value in folded.output.items()}
    quaternion = raw["quaternion"]
    outputs = {
        "position": raw["position"],
        "quaternion": ops.where(quaternion[:, :1] < 0, -quaternion, quaternion),
        "pooled": layers.UnitNormalization(name="unit_pooled")(layers.Flatten()(raw["pooled"])),
    }
    if "residual_rms" in raw:
        outputs["residual_rms"] = raw["residual_rms"]
    return keras.Model(folded.input, outputs, name="posenet")


def _with_plain_layers(model: keras.Model) -> keras.Model:
    """Return a copy without underscores at the start of layer names, and without `Normalization`.

    Its constants (EfficientNetV2, ConvNeXt) would become inputs of an ONNX file.
    """
    copy = keras.models.clone_model(model, clone_function=_plain_layer)
    copy.set_weights(model.get_weights())
    return copy


def _plain_layer(layer: layers.Layer) -> layers.Layer:
    if isinstance(layer, keras.Model):  # the backbone of keras.applications
        inner = keras.models.clone_model(layer, clone_function=_plain_layer)
        inner.name = layer.name
        return inner
    if isinstance(layer, layers.Normalization) and not layer.weights:
        deviation = np.sqrt(np.asarray(layer.variance).ravel())
        offset = -np.asarray(layer.mean).ravel() / deviation
        scale = (1 / deviation).tolist()
        return layers.Rescaling(scale, offset.tolist(), name=layer.name)
    return type(layer).from_config(layer.get_config() | {"name": layer.name.lstrip("_")})
