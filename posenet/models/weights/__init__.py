"""Published weight files, read as data: nothing in them is executed.

Each reader returns {layer: {name: array}}, float32 unless the file says otherwise, in Keras order:
convolution kernels (height, width, in, out), dense kernels (in, out) with rows in the order height,
width, channels. Files of PyTorch and of Keras on Theano do not state what precedes a layer: there,
rows after a feature map keep the order channels, height, width.
"""

from __future__ import annotations

import numpy as np

Weights = dict[str, dict[str, np.ndarray]]
