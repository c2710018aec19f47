"""Whatever the files of a run folder contain, opening and using it works or is one line of error.

    POSENET_FUZZ_CASES=100000 python -m pytest tests/faults

tries more variants than the suite does. The variants of a seed are always the same.
"""

import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.geometry.cropping import Crop
from posenet.localization.localizer import Localizer
from posenet.mapping import landmarks
from posenet.run import MODEL, Run, open_run
from posenet.training.callbacks import HISTORY_COLUMNS, read_history
from tests.helpers.errors import refusal
from tests.helpers.mutations import mutate
from tests.helpers.planes import plane_scene

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("POSENET_FUZZ_CASES", "400"))
# Variants that once failed in another way than with a line of error.
KEPT = [("landmarks/ray_scales.npy", 408), ("gallery.npz", 1532)]


class TinyNetwork:
    """Every image is at the origin; its descriptor is what its parts look like."""

    def predict_on_batch(self, images):
        number = len(images)
        parts = images[:, ::24, ::32].reshape(number, -1)
        return {
            "position": np.zeros((number, 3)),
            "quaternion": np.tile([1.0, 0, 0, 0], (number, 1)),
            "pooled": parts - 128,
        }


@pytest.fixture(scope="module")
def used_run(tmp_path_factory):
    """Return a run folder with everything that localization leaves in it, and a photo.

    The scene is gone, so that nothing that is damaged can be made again.
    """
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "MAX_KEYPOINTS", 200)
        scene = plane_scene(folder / "scene", 12)
        run = Run(
            folder=folder / "run",
            config=TrainConfig(scene=folder / "scene"),
            scene=folder / "scene",
            unit="m",
            crop=Crop((96, 128), (96, 128)),
            position_mean=tuple(scene.poses.positions.mean(axis=0)),
            position_scale=1.0,
            camera=scene.cameras[0],
            single_camera=True,
            training_images=scene.names,
            validation_images=scene.names[:8],
        )
        run.folder.mkdir()
        run.save()
        (run.folder / MODEL).write_bytes(b"no model")
        (run.folder / "history.csv").write_text(",".join(HISTORY_COLUMNS) + "\n1,2,3,4,5,6,7,8\n")
        localizer = Localizer(run, refine=True, network=TinyNetwork(), training=scene)
        assert localizer.localize(scene.paths[3]).refined
        shutil.copy(scene.paths[3], folder / "photo.png")
        shutil.rmtree(folder / "scene")
        assert use(folder / "run", folder / "photo.png").refined
        yield folder / "run", folder / "photo.png"


def use(run_folder, photo):
    """Open a run, localize a photo, and read what else is in the folder."""
    run = open_run(run_folder)
    read_history(run_folder / "history.csv")
    landmarks.read_map_points(run_folder)
    estimate = Localizer(run, refine=True, network=TinyNetwork()).localize(photo)
    assert estimate.valid == bool(np.isfinite(estimate.position).all())
    return estimate


def names_of(folder):
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    return [name for name in names if (folder / name).is_file() and name != MODEL]


def test_variants_of_every_file_work_or_are_one_line_of_error(used_run, tmp_path):
    folder, photo = used_run
    names = names_of(folder)
    assert {"config.json", "gallery.npz", "landmarks/starts.npy"} <= set(names)
    lines = []
    for name, seed in [*KEPT, *((names[seed % len(names)], seed) for seed in range(CASES))]:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "run", copy_function=os.link)
        target = tmp_path / "run" / name
        target.unlink()  # a link to the file of all cases
        target.write_bytes(mutate(name, (folder / name).read_bytes(), seed))
        try:
            use(tmp_path / "run", photo)
        except PoseNetError as error:
            lines.append(str(error))
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}") from error
    assert 0.1 * CASES < len(lines) < 0.9 * CASES
    assert [line for line in lines if "\n" in line] == []


def test_a_gallery_that_would_take_all_memory_is_refused(used_run, tmp_path):
    folder, photo = used_run
    shutil.copytree(folder, tmp_path / "run")
    with np.load(folder / "gallery.npz") as saved:
        arrays = dict(saved)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f2", "fortran_order": False, "shape": (12, 16_000_000)}
    )
    with zipfile.ZipFile(tmp_path / "run" / "gallery.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("stamp", "rows"):
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, arrays[name])
        with archive.open("descriptors.npy", "w") as entry:
            entry.write(header.getvalue())
            for _ in range(24):
                entry.write(bytes(16_000_000))
    assert (tmp_path / "run" / "gallery.npz").stat().st_size < 1e6
    line = refusal(use, tmp_path / "run", photo)
    assert line.startswith(f"making {tmp_path / 'run' / 'gallery.npz'} requires the images")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"format": 2', '"format": 3', "format 3, this version reads formats 1 and 2"),
        ('"position_scale": 1.0', '"position_scale": 0', "position_scale must be more than 0"),
        ('"position_scale": 1.0', '"position_scale": NaN', "position_scale must be a number"),
        ('"position_scale": 1.0', '"position_scale": 1e400', "the number 1e400 is too large"),
        ('"format": 2', '"format": ' + "[" * 100_000, "it is nested too deep"),
        ('"unit": "m"', '"units": "m"', "'unit'"),
        ('"head": "pose"', '"head": ["pose"]', "head must be one of"),
        ('"seed": 0', '"seed": "0"', "seed has a value of another type: '0'"),
        ('"seed": 0', '"sead": 0', "unknown setting 'sead'"),
        ('"PINHOLE"', '"LENS"', "unknown camera model 'LENS'"),
    ],
)
def test_values_of_the_configuration(used_run, tmp_path, old, new, says):
    folder, _ = used_run
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    line = refusal(open_run, tmp_path / "run")
    assert line.startswith(f"{path} must be the configuration written by training, cannot read it")
    assert says in line


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("resized_hw", [60000, 60000], "resized_hw must be a height and a width of at most 4096"),
        ("resized_hw", [96.5, 128], "resized_hw must be a height and a width of at most 4096"),
        ("crop_hw", [96, 130], "crop_hw must not be larger than resized_hw"),
        ("origin", [0, float("nan"), 0], "origin must be a number, received nan"),
        ("origin", [0, 0], "origin must be 3 numbers, received [0, 0]"),
        ("area_offsets", [[0, 0, "1"]], "area_offsets must be a number, received '1'"),
        ("training_images", "abc", "training_images must be a list of names, received 'abc'"),
        ("corrections", {"file": [0.0]}, "a factor in corrections must be more than 0"),
        ("plan", {"short_side": "a", "batch_size": 1}, "short_side has a value of another type"),
    ],
)
def test_shapes_and_ranges_of_the_configuration(used_run, tmp_path, key, value, says):
    folder, _ = used_run
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert says in refusal(open_run, tmp_path / "run")


def test_a_damaged_history_is_replaced(tmp_path, caplog):
    path = tmp_path / "history.csv"
    assert read_history(path) == []
    path.write_bytes(b"epoch,loss\n1,\xff\n")
    assert read_history(path) == []
    assert f"{path} cannot be read and is replaced" in caplog.text
    path.write_text("epoch,loss,position,more\n1,2,3,4,5\n")
    (row,) = read_history(path)
    assert list(row) == list(HISTORY_COLUMNS)
    assert (row["loss"], row["position_error"], row["val_position_error"]) == ("2", "3", "")
