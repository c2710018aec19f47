"""Localization in tasks gives the poses of a localizer, and resumes."""

import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from posenet.cli.cluster import predict_on_cluster
from posenet.cli.options import PredictConfig
from posenet.cli.predict import predict
from posenet.cli.train import train
from posenet.config import TrainConfig
from posenet.localization import tasks
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.localization.tasks import localize_in_tasks, prepare
from posenet.mapping.parallel import run_tasks, use_executor
from posenet.run import open_run
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow

OPTIONS = LocalizationOptions(tta_views=1, refine=False)


@pytest.fixture
def ready(plane_trained, tmp_path, monkeypatch):
    """Return a run folder, seven images of which the fourth is damaged, and an empty folder."""
    monkeypatch.setattr(tasks, "CHUNK", 3)
    tasks._localizer.cache_clear()
    run, scene = plane_trained
    paths = sorted(scene.rglob("*.png"))[:7]
    assert len(paths) == 7
    paths[3].write_bytes(b"no image")
    prepare(Localizer(open_run(run), tta_views=1, refine=False))
    (tmp_path / "work").mkdir()
    yield run, paths, tmp_path / "work"
    tasks._localizer.cache_clear()


def test_poses_are_those_of_a_localizer_and_finished_tasks_are_kept(ready, monkeypatch):
    run, paths, work = ready
    rows, expected = Localizer(open_run(run), tta_views=1, refine=False).localize_files(paths)
    found = list(localize_in_tasks(run, OPTIONS, paths, work))
    assert [image.row for image in found] == rows.tolist() == [0, 1, 2, 4, 5, 6]
    for place, image in enumerate(found):
        estimate = expected[place]
        np.testing.assert_allclose(image.estimate.position, estimate.position, atol=1e-5)
        np.testing.assert_allclose(
            image.estimate.quaternion_wxyz, estimate.quaternion_wxyz, atol=1e-5
        )
        assert image.estimate.valid
        assert not image.estimate.refined
        assert np.isnan(image.estimate.position_std)
        assert image.retrieved in open_run(run).training_images
    assert sorted(file.name for file in work.iterdir()) == [
        f"poses-00000{number}.npz" for number in range(3)
    ]
    (work / "poses-000001.npz").write_bytes(b"damaged")
    done = []
    call = tasks.LocalizeFiles.__call__
    monkeypatch.setattr(
        tasks.LocalizeFiles, "__call__", lambda task, item: done.append(item) or call(task, item)
    )
    again = list(localize_in_tasks(run, OPTIONS, paths, work))
    assert done == [tuple(paths[3:6])]
    for ours, theirs in zip(again, found, strict=True):
        np.testing.assert_array_equal(ours.estimate.position, theirs.estimate.position)


def test_a_chunk_without_readable_images_has_no_poses(ready):
    run, paths, work = ready
    assert list(localize_in_tasks(run, OPTIONS, [paths[3]], work)) == []


def test_an_image_that_a_worker_does_not_see_is_an_error(ready):
    run, paths, _ = ready
    missing = paths[0].with_name("missing.png")
    assert refusal(tasks.LocalizeFiles(run, OPTIONS), (paths[0], missing)) == (
        f"{missing} not found: each worker must see the same files"
    )


def test_a_checkpoint_that_vanishes_is_an_error(ready, monkeypatch):
    run, paths, work = ready
    monkeypatch.setattr(tasks, "_load", lambda file: None)
    line = refusal(lambda: list(localize_in_tasks(run, OPTIONS, paths, work)))
    assert line == f"{work} must not be changed while images are localized"


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("smooth", True, "--smooth cannot be used with --scheduler"),
        ("output_bag", "bag", "--output-bag cannot be used with --scheduler"),
        ("plot", "a.png", "--plot cannot be used with --scheduler"),
        ("topic", "/image", "--topic cannot be used with --scheduler"),
        ("runtime", "onnx", "--runtime onnx cannot be used with --scheduler"),
    ],
)
def test_options_of_all_images_together_are_errors(option, value, line, tmp_path):
    config = PredictConfig(tmp_path, ("a.png",), scheduler="tcp://x:1", **{option: value})
    assert refusal(predict_on_cluster, config, None) == line


def test_streams_are_not_localized_on_a_cluster(plane_trained, tmp_path):
    config = PredictConfig(plane_trained[0], ("0",), scheduler="tcp://x:1")
    assert refusal(predict, config) == "--scheduler requires images, not a stream or bag"


def test_poses_are_printed_as_without_a_scheduler(plane_trained, tmp_path, capsys):
    distributed = pytest.importorskip("distributed")
    run, scene = plane_trained
    options = {"tta_views": 1, "refine": False, "show_retrieved": True}
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as workers:
        address = workers.scheduler_address
        photo = str(shutil.copy(next(scene.rglob("*.png")), tmp_path / "photo.png"))
        predict(PredictConfig(run, (photo,), scheduler=address, **options))
        shared = capsys.readouterr().out
        assert not (run / "predict.unfinished").exists()
        predict(PredictConfig(run, (photo,), **options))
        assert capsys.readouterr().out == shared
        (tmp_path / "photo.png").write_bytes(b"no image")
        line = refusal(predict, PredictConfig(run, (photo,), scheduler=address, **options))
        assert line == "none of 1 image can be read"


def test_the_tasks_of_a_training_run_on_the_scheduler(tmp_path, monkeypatch):
    calls = []

    class Executor:
        def map(self, work, items):
            calls.append(list(items))
            yield from map(work, items)

    @contextmanager
    def connected(address):
        calls.append(address)
        with use_executor(Executor()):
            yield

    def work(config):
        calls.append(list(run_tasks(abs, [-1, 2], "numbers")))
        return SimpleNamespace(folder=config.output)

    monkeypatch.setattr("posenet.mapping.cluster.connect", connected)
    monkeypatch.setattr("posenet.training.train.train", work)
    train(TrainConfig(tmp_path, tmp_path / "run", scheduler="tcp://x:1", evaluate=False))
    assert calls == ["tcp://x:1", [-1, 2], [1, 2]]
    assert list(run_tasks(abs, [-3], "numbers")) == [3]  # on this machine again
    assert len(calls) == 3


def test_hosts_and_a_scheduler_exclude_each_other():
    line = refusal(TrainConfig, Path("scene"), hosts=True, epochs=1, scheduler="tcp://x:1")
    assert line == "--hosts and --scheduler exclude each other, received both"
