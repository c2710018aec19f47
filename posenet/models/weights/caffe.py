"""Caffe's .caffemodel and .binaryproto files, read with protobuf's runtime; Caffe is not needed.

Messages and fields that contain weights have the numbers of Caffe's src/caffe/proto/caffe.proto.
Both generations are read: `layers` (V1LayerParameter, blobs of four dimensions) and `layer`
(LayerParameter, BlobShape), packed or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.models.weights import Weights

# message: {field: (number, kind, repeated)}
_MESSAGES = {
    "BlobShape": {"dim": (1, "int64", True)},
    "BlobProto": {
        "num": (1, "int32", False),
        "channels": (2, "int32", False),
        "height": (3, "int32", False),
        "width": (4, "int32", False),
        "data": (5, "float", True),
        "shape": (7, "BlobShape", False),
        "double_data": (8, "double", True),
    },
    "V1LayerParameter": {
        "bottom": (2, "string", True),
        "top": (3, "string", True),
        "name": (4, "string", False),
        "type": (5, "int32", False),
        "blobs": (6, "BlobProto", True),
    },
    "LayerParameter": {
        "name": (1, "string", False),
        "type": (2, "string", False),
        "bottom": (3, "string", True),
        "top": (4, "string", True),
        "blobs": (7, "BlobProto", True),
    },
    "NetParameter": {
        "name": (1, "string", False),
        "layers": (2, "V1LayerParameter", True),
        "layer": (100, "LayerParameter", True),
    },
}
# V1LayerParameter.LayerType: the numbers of the types that matter here
_V1_TYPES = {3: "Concat", 4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}


@dataclass(frozen=True)
class _Layer:
    """One layer of a network: its name, type, inputs, outputs and arrays."""

    name: str
    kind: str
    bottoms: list[str]
    tops: list[str]
    blobs: list[np.ndarray]


def read_caffemodel(path: Path) -> Weights:
    """Read the weights of a .caffemodel. Channels keep their order (for images: BGR).

    Rows of a dense layer after a feature map are reordered from Caffe's channels, height, width to
    height, width, channels.

    Args:
        path: the file.

    Returns:
        The weights of every layer that has some.

    Raises:
        PoseNetError: the file is not a .caffemodel, or a blob does not have its stated size.
    """
    net = _parse("NetParameter", path)
    layers = [
        *(_layer(path, each, _V1_TYPES.get(each.type, "")) for each in net.layers),
        *(_layer(path, each, _text(each.type)) for each in net.layer),
    ]
    weights: Weights = {}
    channels: dict[str, int | None] = {}
    for layer in layers:
        fed = [channels.get(bottom) for bottom in layer.bottoms]
        if layer.blobs:
            weights[layer.name] = _in_keras_order(path, layer, fed[0] if fed else None)
        for top in layer.tops:
            channels[top] = _channels_out(layer, fed)
    if not weights:
        raise PoseNetError(f"{path} must be a .caffemodel with weights, it holds none")
    return weights


def read_binaryproto(path: Path) -> np.ndarray:
    """Read a mean image.

    Args:
        path: a .binaryproto file.

    Returns:
        BGR image, shape (height, width, 3), float32.

    Raises:
        PoseNetError: the file does not contain one image.
    """
    blob = _array(path, "the blob", _parse("BlobProto", path))
    if blob.ndim != 4 or blob.shape[0] != 1:
        raise PoseNetError(
            f"{path} must hold one image, 1 x channels x height x width, received {blob.shape}"
        )
    return blob[0].transpose(1, 2, 0)


def _in_keras_order(path: Path, layer: _Layer, channels: int | None) -> dict[str, np.ndarray]:
    """Return the blobs of a layer under the names of Keras."""
    first, *rest = layer.blobs
    if layer.kind in ("Convolution", "Deconvolution") or (
        layer.kind == "" and first.ndim == 4 and min(first.shape) > 1
    ):
        if first.ndim != 4:
            raise PoseNetError(
                f"{path}: {layer.name}: a kernel needs 4 dimensions, received {first.shape}"
            )
        found = {"kernel": first.transpose(2, 3, 1, 0)}
    elif layer.kind == "InnerProduct":
        if first.ndim == 0 or math.prod(first.shape[:-2]) != 1:
            raise PoseNetError(
                f"{path}: {layer.name}: dense weights need 2 dimensions, received {first.shape}"
            )
        kernel = first.reshape(first.shape[-2:]) if first.ndim >= 2 else first[None]
        found = {"kernel": _dense_kernel(kernel, channels)}
    elif layer.kind == "BatchNorm" and len(layer.blobs) == 3:
        scale = float(layer.blobs[2].ravel()[0]) if layer.blobs[2].size else 0.0
        scale = 1 / scale if scale else 0.0
        return {"moving_mean": first.ravel() * scale, "moving_variance": rest[0].ravel() * scale}
    elif layer.kind == "Scale":
        return {
            name: blob.ravel() for name, blob in zip(("gamma", "beta"), layer.blobs, strict=False)
        }
    elif layer.kind == "PReLU":
        return {"alpha": first.ravel()}
    else:
        return {f"blob{number}": blob for number, blob in enumerate(layer.blobs)}
    if rest:
        found["bias"] = rest[0].ravel()
    return found


def _dense_kernel(kernel: np.ndarray, channels: int | None) -> np.ndarray:
    """Return (in, out) from Caffe's (out, in); `channels` of the input, None for a plain vector."""
    outputs, inputs = kernel.shape
    if channels and inputs != channels and inputs % channels == 0:
        return (
            kernel.reshape(outputs, channels, inputs // channels)
            .transpose(2, 1, 0)
            .reshape(inputs, outputs)
        )
    return kernel.T


def _channels_out(layer: _Layer, fed: list[int | None]) -> int | None:
    """Return the number of output channels of a layer, None if unknown."""
    if layer.kind == "Convolution" and layer.blobs:
        return layer.blobs[0].shape[0]
    if layer.kind == "InnerProduct" and layer.blobs:
        return layer.blobs[0].shape[-2] if layer.blobs[0].ndim >= 2 else 1
    if layer.kind == "Concat":
        return None if None in fed else sum(each or 0 for each in fed)
    return fed[0] if fed else None


def _layer(path: Path, layer, kind: str) -> _Layer:
    name = _text(layer.name)
    blobs = [_array(path, name, blob) for blob in layer.blobs]
    return _Layer(
        name,
        kind,
        [_text(each) for each in layer.bottom],
        [_text(each) for each in layer.top],
        blobs,
    )


def _text(name: str | bytes) -> str:
    """Return a name as text; protobuf gives bytes if it is not UTF-8."""
    return name.decode("latin1") if isinstance(name, bytes) else name


def _array(path: Path, name: str, blob) -> np.ndarray:
    """Return a BlobProto as a float32 array of its shape."""
    data = np.array(blob.data if len(blob.data) else blob.double_data, np.float32)
    legacy = (blob.num, blob.channels, blob.height, blob.width)
    shape = tuple(blob.shape.dim) if blob.HasField("shape") else legacy
    if min(shape, default=1) < 0 or int(np.prod(np.array(shape, object))) != data.size:
        raise PoseNetError(
            f"{path}: {name}: a blob of {data.size} numbers must have that size, it says {shape}"
        )
    try:
        return data.reshape(shape)
    except ValueError:  # more than 64 dimensions, or sides beyond the address space beside one of 0
        raise PoseNetError(
            f"{path}: {name}: a blob must have a possible shape, it has {str(shape)[:80]}"
        ) from None


def _parse(message: str, path: Path):
    from google.protobuf.message import DecodeError

    try:
        return _message_class(message).FromString(path.read_bytes())
    except OSError as error:
        raise PoseNetError(f"{path}: the file cannot be read ({error.strerror})") from None
    except (DecodeError, ValueError) as error:
        raise PoseNetError(
            f"{path} must be a Caffe file (protobuf), it cannot be parsed ({str(error)[:80]})"
        ) from None


@cache
def _message_class(message: str):
    """Return the protobuf class of one of _MESSAGES."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {
        name: getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}")
        for name in ("int32", "int64", "float", "double", "string")
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="posenet_caffe.proto", package="posenet_caffe", syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            entry = declared.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind in kinds:
                entry.type = kinds[kind]
            else:
                entry.type, entry.type_name = (
                    descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
                    f".posenet_caffe.{kind}",
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"posenet_caffe.{message}"))
