"""Small scenes on disk, written for each test."""

import gc
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from tests.helpers.scenes import QUICK, write_cambridge, write_plane

# The folder of real scenes and weight files, see CONTRIBUTING.md.
REAL_DATA = os.environ.get("POSENET_TEST_DATA")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("POSENET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def default_policy():
    """A training's precision, which is a setting of the process, ends with its test."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def networks_are_forgotten():
    """What Keras keeps of a module's networks is let go before the next one."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        gc.collect()


@pytest.fixture
def real_data():
    """Return the folder of real scenes; skip the test if POSENET_TEST_DATA does not name one."""
    if not REAL_DATA:
        pytest.skip("POSENET_TEST_DATA is not set")
    folder = Path(REAL_DATA)
    assert folder.is_dir(), f"POSENET_TEST_DATA must name a folder, received {folder}"
    return folder


@pytest.fixture
def cambridge(tmp_path):
    """A small scene of 12 training and 4 test images."""
    return write_cambridge(tmp_path / "Square")


@pytest.fixture(scope="session")
def one_epoch(tmp_path_factory):
    """Return a folder with the scene `cambridge` (Square) and a run of one epoch on it."""
    from posenet.config import TrainConfig
    from posenet.training.train import train

    folder = tmp_path_factory.mktemp("one_epoch")
    train(TrainConfig(write_cambridge(folder / "Square"), folder / "run", epochs=1, **QUICK))
    return folder


@pytest.fixture
def trained(cambridge, tmp_path, one_epoch):
    """Return a copy of a run of one epoch on the scene `cambridge`."""
    shutil.copytree(one_epoch / "run", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(one_epoch), str(tmp_path)))
    return tmp_path / "run"


@pytest.fixture
def plane(tmp_path):
    """Return a small scene in the nerfstudio format, whose images determine depth."""
    return write_plane(tmp_path)


@pytest.fixture(scope="session")
def plane_epoch(tmp_path_factory):
    """Return a folder with the scene `plane` and a run, and the names of the files it read."""
    from posenet.config import TrainConfig
    from posenet.io import images
    from posenet.training.train import train

    folder, opened, read = tmp_path_factory.mktemp("plane_epoch"), set(), images.read_image
    scene = write_plane(folder)
    with pytest.MonkeyPatch.context() as patch:
        for place in (
            "io.images",
            "mapping.keypoints",
        ):  # for the network; for the intrinsics and the depth
            patch.setattr(
                f"posenet.{place}.read_image",
                lambda path, *more: opened.add(path.name) or read(path, *more),
            )
        train(TrainConfig(scene, folder / "run", epochs=1, **QUICK))
    return folder, opened


@pytest.fixture
def plane_trained(tmp_path, plane_epoch):
    """Return copies of a run of one epoch on the scene `plane`, and of that scene."""
    for name in ("plane", "run"):
        shutil.copytree(plane_epoch[0] / name, tmp_path / name)
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(plane_epoch[0]), str(tmp_path)))
    return tmp_path / "run", tmp_path / "plane"
