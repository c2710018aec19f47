"""How the machine is set up."""

import sys
from types import SimpleNamespace

import keras
import pytest

from posenet.models.build import build_network, inference_network
from posenet.training.device import accelerator_has_bfloat16, configure_device
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow


def test_training_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    assert refusal(configure_device, "float32") == (
        "training requires Keras on tensorflow, torch or jax, received openvino"
    )


class Device:
    """Stands in for a device of JAX."""

    def __init__(self, platform, **attributes):
        self.platform = platform
        vars(self).update(attributes)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([Device("cpu")], None),
        ([Device("tpu")], True),
        ([Device("gpu", compute_capability="9.0")] * 2, True),
        ([Device("gpu", compute_capability="8.0"), Device("gpu", compute_capability="7.5")], False),
        ([Device("gpu", compute_capability="10.3")], True),
        ([Device("gpu", compute_capability="gfx942")], False),
        ([Device("gpu")], False),
    ],
)
def test_bfloat16_of_jax_devices(monkeypatch, devices, expected):
    module = SimpleNamespace(local_devices=lambda: devices)
    monkeypatch.setitem(sys.modules, "jax", module)
    assert accelerator_has_bfloat16("jax") is expected


@pytest.mark.parametrize(
    ("has_mps", "capabilities", "expected"),
    [
        (False, [], None),
        (True, [], False),
        (False, [(8, 0), (9, 0)], True),
        (False, [(7, 5)], False),
    ],
)
def test_bfloat16_of_torch_devices(monkeypatch, has_mps, capabilities, expected):
    mps = SimpleNamespace(is_available=lambda: has_mps)
    cuda = SimpleNamespace(
        device_count=lambda: len(capabilities), get_device_capability=capabilities.__getitem__
    )
    module = SimpleNamespace(backends=SimpleNamespace(mps=mps), cuda=cuda)
    monkeypatch.setitem(sys.modules, "torch", module)
    assert accelerator_has_bfloat16("torch") is expected


@pytest.mark.parametrize(
    ("name", "value", "received"),
    [
        ("image_data_format", "channels_first", "channels_first and float32"),
        ("floatx", "float16", "channels_last and float16"),
    ],
)
def test_training_with_other_settings_of_keras_is_refused(monkeypatch, name, value, received):
    monkeypatch.setattr(keras.config, name, lambda: value)
    assert refusal(configure_device, "float32") == (
        "training requires Keras with image_data_format channels_last and floatx float32, "
        f"received {received}: change them by keras.config or in keras.json"
    )


@pytest.fixture
def capable(monkeypatch):
    """A processor that computes bfloat16, and no GPU."""
    monkeypatch.setattr("posenet.training.device._cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda *_: [])


def test_bfloat16_where_the_processor_and_the_backbone_benefit(capable, monkeypatch):
    assert configure_device("auto") == "bfloat16"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    for precision, benefits in (("auto", False), ("float32", True)):
        assert configure_device(precision, benefits_from_bfloat16=benefits) == "float32"
        assert keras.config.dtype_policy().name == "float32"
    monkeypatch.setattr("posenet.training.device._cpu_has_bfloat16", lambda: False)
    assert configure_device("auto") == "float32"
    assert configure_device("bfloat16", benefits_from_bfloat16=False) == "bfloat16"


@pytest.mark.parametrize(
    ("limit", "flags", "precision"),
    [
        ("AVX2", "avx2 avx512_bf16", "float32"),
        ("avx512_core_vnni", "avx2 amx_bf16", "float32"),
        ("AVX512_CORE_BF16", "avx2 avx512_bf16", "bfloat16"),
        (None, "avx2 avx512_bf16", "bfloat16"),
        (None, "avx2 avx512f", "float32"),
    ],
)
def test_bfloat16_needs_instructions_that_onednn_may_use(monkeypatch, limit, flags, precision):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda *_: [])
    monkeypatch.setattr("posenet.training.device.Path.read_text", lambda _: f"flags: {flags}")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert configure_device("auto") == precision


def test_the_saved_network_is_float32(capable):
    configure_device("bfloat16")
    plan = "googlenet", (64, 64), (0.0, 0.0, 0.0), 1.0
    network = inference_network(build_network(*plan), *plan)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
