"""Published weights in our own files: .npz for any network, .weights.h5 for the networks that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.models.classify import classifier_network
from posenet.models.googlenet import GRAPHS
from posenet.models.weights.keras_h5 import Order
from posenet.models.weights.load import load_network, read_weights


def convert_weights(
    file: Path, output: Path, graph: str | None = None, order: Order = "auto", overwrite=False
) -> str:
    """Write `output`, by its suffix, and say what was written.

    .npz: every array under "layer/name", Keras order, the file's own layer names. .weights.h5: what
    load_network(file, graph).load_weights reads; for a graph that is a backbone's name (inception_v4), what
    posenet.classify.classifier_network(graph).load_weights reads. Raises PoseNetError.
    """
    if output.exists() and not overwrite:
        raise PoseNetError(f"{output} exists: give --overwrite to replace it")
    if output.name.endswith(".weights.h5"):
        backbone = graph if graph not in (None, *GRAPHS) else None
        network = (
            classifier_network(backbone, file, order)
            if backbone
            else load_network(file, graph, order=order)
        )
        with atomic_path(output) as temporary:
            network.save_weights(temporary)
        return f"written: {output} ({network.count_params():,} numbers)"
    if output.suffix != ".npz":
        raise PoseNetError(
            f"the file to write must end in .npz or .weights.h5, received {output.name}"
        )
    arrays = {
        f"{layer}/{name}": array
        for layer, parts in read_weights(file, order).items()
        for name, array in parts.items()
    }
    with atomic_path(output) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]  # older NumPy has no allow_pickle
    return f"written: {output} ({len(arrays)} arrays)"
