"""Convert published weights to .npz (any network) or .weights.h5 (known networks)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.models.classify import classifier_network
from posenet.models.googlenet import VARIANTS
from posenet.models.weights.keras_h5 import KernelOrder
from posenet.models.weights.load import load_network, read_weights


def convert_weights(
    file: Path,
    output: Path,
    *,
    variant: str | None = None,
    kernel_order: KernelOrder = "auto",
    overwrite: bool = False,
) -> str:
    """Convert a weight file; the suffix of the output determines the format.

    .npz contains every array under "layer/name", in Keras order, with the file's own layer names.
    .weights.h5 is what `load_network(file, variant).load_weights` reads, or for a backbone
    (inception_v4) `classifier_network(variant).load_weights`.

    Args:
        file: the weight file.
        output: the file to write, .npz or .weights.h5.
        variant: architecture variant of PoseNet, or name of a backbone.
        kernel_order: order of the kernels in an .h5 file.
        overwrite: replace the output.

    Returns:
        What was written, in one line.

    Raises:
        PoseNetError: a file cannot be read or written, or the suffix is unknown.
    """
    if output.exists() and not overwrite:
        raise PoseNetError(f"output file already exists: {output} (use --overwrite to replace it)")
    if output.name.endswith(".weights.h5"):
        if variant is None or variant in VARIANTS:
            network = load_network(file, variant, kernel_order=kernel_order)
        else:
            network = classifier_network(variant, file, kernel_order)
        with atomic_path(output) as temporary:
            network.save_weights(temporary)
        return f"written: {output} ({network.count_params():,} parameters)"
    if output.suffix != ".npz":
        raise PoseNetError(
            f"the output file must end in .npz or .weights.h5, received {output.name}"
        )
    arrays = {
        f"{layer}/{name}": array
        for layer, parts in read_weights(file, kernel_order).items()
        for name, array in parts.items()
    }
    with atomic_path(output) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]  # older NumPy has no allow_pickle
    return f"written: {output} ({len(arrays)} arrays)"
