"""Published weight files, read as data: nothing in them is ever executed.

Each reader gives {layer: {name: array}}, float32 unless the file says otherwise, in Keras order: convolution kernels
(height, width, in, out), dense kernels (in, out) with rows in the order height, width, channels. Files of PyTorch and
of Keras on Theano do not tell what feeds a layer: there rows behind a feature map stay channels, height, width.
"""

from __future__ import annotations

import numpy as np

Weights = dict[str, dict[str, np.ndarray]]
