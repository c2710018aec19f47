"""Small scenes on disk, made anew for each test."""

import gc
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError

SMALL = {"short_side": 64, "batch_size": 4, "validation": 0.25, "precision": "float32"}  # settings of short trainings
QUICK = SMALL | {"trunk": "googlenet"}
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("POSENET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True, scope="module")
def networks_are_forgotten():
    """What Keras keeps of a module's networks is let go before the next one."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        gc.collect()


@pytest.fixture
def real_data():
    """Folder of real scenes; tests that ask for it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("real scenes are not on this machine")
    return REAL_DATA


def refusal(work, *arguments, **options) -> str:
    """The one line with which a user's mistake is refused."""
    with pytest.raises(PoseNetError) as refused:
        work(*arguments, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def write_picture(path: Path, size=(48, 64), seed=0) -> None:
    """A colourful random picture of size (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC))


def write_cambridge(folder: Path, train=12, test=4, seed=0) -> Path:
    """A scene in the Cambridge layout: random pictures, cameras in a 4 x 3 x 1 m box."""
    rng = np.random.default_rng(seed)
    for split, sequences, count in (("train", ("seq1", "seq2"), train), ("test", ("seq3",), test)):
        lines = ["Visual Landmark Dataset V1", "ImageFile, Camera Position [X Y Z W P Q R]", ""]
        for number in range(count):
            name = f"{sequences[number * len(sequences) // count]}/frame{number + 1:05d}.png"
            write_picture(folder / name, seed=int(rng.integers(1 << 30)))
            position = rng.uniform(0, (4, 3, 1))
            camera_from_world = Rotation.from_rotvec(rng.normal(0, 0.4, 3)).as_quat(canonical=True, scalar_first=True)
            lines.append(" ".join([name, *(f"{value:.9f}" for value in (*position, *camera_from_world))]))
        (folder / f"dataset_{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def cambridge(tmp_path):
    """A small scene of 12 training and 4 test pictures."""
    return write_cambridge(tmp_path / "Square")


@pytest.fixture(scope="session")
def one_epoch(tmp_path_factory):
    """A folder with the scene of `cambridge`, Square, and a run of one epoch on it, run."""
    from posenet.config import TrainConfig
    from posenet.training import train

    folder = tmp_path_factory.mktemp("one_epoch")
    train(TrainConfig(write_cambridge(folder / "Square"), folder / "run", epochs=1, **QUICK))
    return folder


@pytest.fixture
def trained(cambridge, tmp_path, one_epoch):
    """The folder of a run of one epoch on the scene `cambridge`: a copy, so that it costs no training."""
    shutil.copytree(one_epoch / "run", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(one_epoch), str(tmp_path)))
    return tmp_path / "run"


def write_plane(folder: Path) -> Path:
    """The scene of `plane`, in folder/plane."""
    from posenet.datasets.convert import convert
    from tests.planes import plane_scene

    scene = plane_scene(folder / "made", 16)
    scene = replace(scene, splits=np.array(["train"] * 12 + ["test"] * 4))
    convert(scene, folder / "plane", "transforms", copy=True)
    return folder / "plane"


@pytest.fixture
def plane(tmp_path):
    """A small scene with intrinsics, of pictures that tell depth, in the transforms layout."""
    return write_plane(tmp_path)


@pytest.fixture(scope="session")
def plane_epoch(tmp_path_factory):
    """A folder with the scene of `plane` and a run of one epoch on it, run; and the names of the files that were opened
    for it."""
    from posenet import images
    from posenet.config import TrainConfig
    from posenet.training import train

    folder, opened, read = tmp_path_factory.mktemp("plane_epoch"), set(), images.read_image
    scene = write_plane(folder)
    with pytest.MonkeyPatch.context() as patch:
        for place in ("images", "keypoints"):  # for the network; for the intrinsics and the depth
            patch.setattr(f"posenet.{place}.read_image", lambda path, *more: opened.add(path.name) or read(path, *more))
        train(TrainConfig(scene, folder / "run", epochs=1, **QUICK))
    return folder, opened


@pytest.fixture
def plane_trained(tmp_path, plane_epoch):
    """The folder of a run of one epoch on the scene `plane`, and that scene: copies, so that they cost no training."""
    for name in ("plane", "run"):
        shutil.copytree(plane_epoch[0] / name, tmp_path / name)
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(plane_epoch[0]), str(tmp_path)))
    return tmp_path / "run", tmp_path / "plane"
