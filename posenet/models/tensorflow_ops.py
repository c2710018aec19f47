"""TensorFlow kernels that are faster than those of Keras; None on other backends."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# oneDNN's gradient of depthwise kernels is fast for this number of columns.
FAST_COLUMNS = 3


class Normalized(NamedTuple):
    """The result of batch normalization.

    Attributes:
        outputs: normalized values, shape (b, h, w, c).
        mean: mean of each channel, shape (c,).
        variance: biased variance of each channel, shape (c,).
    """

    outputs: Any
    mean: Any
    variance: Any


def fused_batch_norm(
    x: Any, gamma: Any, beta: Any, epsilon: float, *, moving: tuple[Any, Any] | None = None
) -> Normalized | None:
    """Normalize with TensorFlow's fused batch normalization.

    Args:
        x: values, shape (b, h, w, c).
        gamma: scale of each channel, shape (c,).
        beta: offset of each channel, shape (c,).
        epsilon: added to the variance.
        moving: mean and variance to normalize with. Default: those of the batch.

    Returns:
        The result; None if Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    gamma = tf.convert_to_tensor(gamma)
    beta = tf.convert_to_tensor(beta)
    if moving is not None:
        mean = tf.convert_to_tensor(moving[0])
        variance = tf.convert_to_tensor(moving[1])
        outputs, *_ = tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, mean, variance, epsilon, is_training=False
        )
        return Normalized(outputs, mean, variance)
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon)
    count = tf.cast(tf.size(x) / tf.shape(x)[-1], variance.dtype)
    return Normalized(outputs, mean, variance * (count - 1) / count)


class AdamState(NamedTuple):
    """The variables of Adam for one weight.

    Attributes:
        weight: the trained variable.
        momentum: running mean of the gradient.
        velocity: running mean of the squared gradient.
    """

    weight: Any
    momentum: Any
    velocity: Any


def apply_adam(
    state: AdamState, gradient: Any, learning_rate: Any, powers: tuple[Any, Any], options: Any
) -> bool:
    """Update a weight by Adam in one operation, where Keras uses eighteen.

    Args:
        state: the variables to update, all float32.
        gradient: the gradient of the weight.
        learning_rate: a scalar.
        powers: beta_1 and beta_2 to the power of the step, scalars.
        options: has the attributes adam_beta_1, adam_beta_2 and epsilon.

    Returns:
        False if nothing was done: Keras runs on another backend, or the variables are mirrored.
    """
    if keras.backend.backend() != "tensorflow" or tf.distribute.has_strategy():
        return False
    weight, momentum, velocity = (
        variable.value.handle if isinstance(variable, keras.Variable) else variable.handle
        for variable in state
    )
    tf.raw_ops.ResourceApplyAdam(
        var=weight,
        m=momentum,
        v=velocity,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=learning_rate,
        beta1=options.adam_beta_1,
        beta2=options.adam_beta_2,
        epsilon=options.epsilon,
        grad=gradient,
    )
    return True


def depthwise_conv(x: Any, kernel: Any, stride: int) -> Any:
    """Convolve each channel by itself, padding "same", with a gradient that is fast on CPUs too.

    oneDNN's own gradients of kernels wider than three columns, and in bfloat16 also those of
    strides, take five to twenty times as long as necessary.

    Args:
        x: values, shape (b, h, w, c).
        kernel: shape (k, k, c, 1).
        stride: stride along both axes.

    Returns:
        The convolution; None if Keras runs on another backend or on a GPU.
    """
    if keras.backend.backend() != "tensorflow" or tf.config.list_physical_devices("GPU"):
        return None
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def convolution(x: Any, kernel: Any) -> Any:
        def gradient(dy: Any) -> tuple[Any, Any]:
            dtype = tf.float32 if stride > 1 else x.dtype
            dx = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x),
                filter=tf.cast(kernel, dtype),
                out_backprop=tf.cast(dy, dtype),
                strides=strides,
                padding="SAME",
            )
            return tf.cast(dx, x.dtype), _kernel_gradient(x, kernel.shape, dy, stride)

        outputs = tf.raw_ops.DepthwiseConv2dNative(
            input=x, filter=kernel, strides=strides, padding="SAME"
        )
        return outputs, gradient

    return convolution(tf.convert_to_tensor(x), tf.convert_to_tensor(kernel))


def _kernel_gradient(x: Any, shape: Any, dy: Any, stride: int) -> Any:
    """Return the gradient of a depthwise kernel, computed three columns at a time."""
    rows, columns = shape[:2]
    sizes = x.shape[1:3]
    outputs = dy.shape[1:3]
    missing = [
        max((output - 1) * stride + side - size, 0)
        for size, output, side in zip(sizes, outputs, (rows, columns), strict=True)
    ]
    padded = tf.pad(x, [[0, 0], *([m // 2, m - m // 2] for m in missing), [0, 0]])
    width = (outputs[1] - 1) * stride
    count = min(FAST_COLUMNS, columns)
    parts = []
    for done in range(0, columns, FAST_COLUMNS):
        first = min(done, columns - count)  # the last columns may overlap those before
        part = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=padded[:, :, first : first + width + count],
            filter_sizes=[rows, count, *shape[2:]],
            out_backprop=dy,
            strides=[1, stride, stride, 1],
            padding="VALID",
        )
        parts.append(part[:, done - first :])
    return tf.concat(parts, axis=1)
