"""How the machine is set up."""

import keras
import pytest

from posenet.device import set_up
from posenet.errors import PoseNetError


def test_training_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(PoseNetError, match="KERAS_BACKEND must be tensorflow, received jax"):
        set_up("float32")
