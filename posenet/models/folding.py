"""Fold batch normalization into the convolutions before it, for faster inference."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from posenet.models.layers import FastDepthwise


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """Return a network that computes the same without its batch normalization.

    In inference, normalization multiplies each channel by a constant and adds another. Both become
    part of the convolution whose output is normalized: w' = w s and b' = beta - mean s with
    s = gamma / sqrt(variance + epsilon). TensorFlow then also computes the activation in the same
    pass. The new network shares no weights with the given one.

    Args:
        network: a functional network.

    Returns:
        The network for inference, float32. Normalization of anything but a convolution without
        bias or activation is kept.
    """
    folded = {
        norm.name: convolution
        for norm in network.layers
        if isinstance(norm, layers.BatchNormalization)
        and (convolution := _foldable_input(norm)) is not None
    }
    convolutions = {convolution.name for convolution in folded.values()}

    def replace(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if "dtype" in config:
            config["dtype"] = "float32"
        if layer.name in convolutions:
            config["use_bias"] = True
        stock = layers.DepthwiseConv2D if isinstance(layer, FastDepthwise) else type(layer)
        return stock.from_config(config)

    def call(layer: layers.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in folded else layer(*inputs, **options)

    copy = keras.models.clone_model(network, clone_function=replace, call_function=call)
    for layer in network.layers:
        if layer.name not in folded and layer.name not in convolutions and layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    for name, convolution in folded.items():
        norm = network.get_layer(name)
        copy.get_layer(convolution.name).set_weights(_folded_weights(convolution, norm))
    return copy


def _foldable_input(norm: layers.Layer) -> layers.Layer | None:
    """Return the convolution that only this normalization follows, None if there is none."""
    convolution = norm.input._keras_history.operation
    is_plain = (
        isinstance(convolution, layers.Conv2D | layers.DepthwiseConv2D)
        and not convolution.use_bias
        and convolution.activation is keras.activations.linear
        and len(convolution._outbound_nodes) == 1
        and len(convolution._inbound_nodes) == 1
    )
    return convolution if is_plain else None


def _folded_weights(convolution: layers.Layer, norm: layers.Layer) -> list[np.ndarray]:
    """Return kernel and bias of a convolution with its normalization."""
    kernel = np.asarray(convolution.get_weights()[0], np.float64)
    variance = np.asarray(norm.moving_variance, np.float64)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor *= np.asarray(norm.gamma, np.float64)
    bias = -np.asarray(norm.moving_mean, np.float64) * factor
    if norm.center:
        bias += np.asarray(norm.beta, np.float64)
    is_depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    scaled: Any = kernel * (factor.reshape(kernel.shape[2:]) if is_depthwise else factor)
    return [scaled.astype(np.float32), bias.astype(np.float32)]
