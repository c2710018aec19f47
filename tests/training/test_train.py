import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.evaluation.evaluate import evaluate_run
from posenet.io.image_cache import load_images
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.localization.retrieval import GALLERY
from posenet.run import open_run
from posenet.training import budget as budgets
from posenet.training.augmentation import NO_AUGMENTATION, Augmentation
from posenet.training.build_trainer import build_trainer
from posenet.training.losses.geometric import GeometricLoss
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.losses.posenet import PoseNetLoss
from posenet.training.prepare import check_backbone, create_run, training_batches
from posenet.training.train import (
    _create_validation,
    _Preparation,
    _save_model,
    train,
)
from tests.helpers.errors import refusal
from tests.helpers.planes import claim_focal
from tests.helpers.scenes import QUICK, SMALL, scene_of, walk

pytestmark = pytest.mark.slow


def rows_of(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_folder_and_is_repeatable(cambridge, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        train(TrainConfig(cambridge, folder, epochs=2, seed=3, **QUICK))
    first, second = (rows_of(folder) for folder in folders)
    assert [row["epoch"] for row in first] == ["1", "2"]
    for a, b in zip(first, second, strict=True):
        assert {k: v for k, v in a.items() if k != "minutes"} == {
            k: v for k, v in b.items() if k != "minutes"
        }
    assert first[0]["val_position_error"] != ""
    assert float(first[1]["learning_rate"]) < float(first[0]["learning_rate"])
    run = open_run(folders[0])
    assert len(run.validation_images) == 3  # one image in each of three blocks
    assert run.config.seed == 3
    images = np.zeros((2, *run.crop.size, 3), np.float32)
    first_model, again = (open_run(folder).load_model()(images) for folder in folders)
    np.testing.assert_array_equal(first_model["position"], again["position"])
    np.testing.assert_allclose(np.linalg.norm(first_model["quaternion"], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("backbone", ["MobileNetV3Small", "efficientnet_lite0"])
def test_other_backbones_are_trained_and_kept(cambridge, tmp_path, backbone):
    train(
        TrainConfig(
            cambridge, tmp_path / "run", epochs=1, backbone=backbone, weights="none", **SMALL
        )
    )
    run = open_run(tmp_path / "run")
    assert run.config.backbone == backbone
    outputs = run.load_model()(np.zeros((1, *run.crop.size, 3), np.float32))
    assert np.isfinite(outputs["position"]).all()
    np.testing.assert_allclose(np.linalg.norm(outputs["quaternion"], axis=1), 1, atol=1e-5)


def test_training_needs_a_scene_and_an_output(cambridge, tmp_path):
    with pytest.raises(PoseNetError, match="training requires an output folder"):
        train(TrainConfig(cambridge))
    with pytest.raises(PoseNetError, match="training requires a scene"):
        train(TrainConfig(None, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_an_unknown_backbone_is_refused_before_anything_is_written(cambridge, tmp_path):
    with pytest.raises(PoseNetError, match="--backbone must be one of"):
        train(TrainConfig(cambridge, tmp_path / "run", epochs=1, backbone="vgg", **SMALL))
    assert not (tmp_path / "run").exists()


def test_the_test_split_is_never_opened_in_training(plane_epoch):
    folder, opened = plane_epoch
    scene = open_run(folder / "run").open_scene()
    assert opened == {path.name for path in scene.split("train").paths}
    assert len(scene.split("test")) == 4


def test_killed_and_resumed_ends_with_all_epochs(cambridge, tmp_path):
    output = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "posenet",
        "train",
        str(cambridge),
        "--output",
        str(output),
        "--no-evaluate",
    ]
    command += [
        "--epochs",
        "12",
        "--short-side",
        "64",
        "--batch-size",
        "4",
        "--precision",
        "float32",
    ]
    command += ["--backbone", "googlenet"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (output / "checkpoint" / "state.npz").exists() or len(rows_of(output)) < 3:
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(rows_of(output)) < 12
    resumed = [
        sys.executable,
        "-m",
        "posenet",
        "train",
        "--resume",
        "--no-evaluate",
        "--output",
        str(output),
    ]
    assert subprocess.run(resumed, capture_output=True, timeout=200).returncode == 0
    assert [int(row["epoch"]) for row in rows_of(output)] == list(range(1, 13))
    assert open_run(output).load_model() is not None


def test_a_loss_that_is_no_number_stops_with_an_explanation(cambridge, tmp_path):
    with pytest.raises(
        PoseNetError,
        match=r"training diverged: the loss became (nan|inf) in step .* best model so far, if",
    ):
        train(TrainConfig(cambridge, tmp_path / "run", epochs=60, learning_rate=1e25, **QUICK))


def test_a_run_folder_that_exists_is_refused(cambridge, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(
        PoseNetError,
        match=r"run \(use --resume to continue it, --overwrite to replace it, or another --output\)",
    ):
        train(TrainConfig(cambridge, folder, epochs=1, **QUICK))
    with pytest.raises(PoseNetError, match="is not a run folder .* it is not overwritten"):
        train(TrainConfig(cambridge, folder, epochs=1, overwrite=True, **QUICK))
    assert (folder / "mine.txt").read_text() == "precious"


def test_a_training_that_cannot_begin_leaves_the_old_run_as_it_was(cambridge, tmp_path, one_epoch):
    folder, wrong = tmp_path / "run", QUICK | {"weights": str(tmp_path / "typo.h5")}
    line = refusal(train, TrainConfig(cambridge, folder, epochs=1, **wrong))
    assert (
        line
        == f"--weights must be auto, imagenet, none or an existing file, received {tmp_path / 'typo.h5'}"
    )
    (tmp_path / "typo[1].h5").write_bytes(b"none")  # brackets are no pattern
    check_backbone(
        TrainConfig(cambridge, folder, backbone="googlenet", weights=str(tmp_path / "typo[1].h5"))
    )
    assert not folder.exists()  # so that the mended command is not refused
    shutil.copytree(one_epoch / "run", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for given in (
        wrong,
        QUICK | {"split": str(tmp_path / "tset.txt")},
        QUICK | {"loss": "geometric"},
    ):
        assert refusal(train, TrainConfig(cambridge, folder, epochs=1, overwrite=True, **given))
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    train(TrainConfig(cambridge, folder, epochs=2, overwrite=True, **QUICK))
    assert len(rows_of(folder)) == 2
    assert [path.name for path in tmp_path.iterdir() if "run" in path.name] == ["run"]


def test_less_time_than_the_preparation_takes_still_gives_a_model(cambridge, tmp_path, caplog):
    train(TrainConfig(cambridge, tmp_path / "run", minutes=1e-4, **QUICK))
    assert "preprocessing used up the time budget, training a single step" in caplog.text
    assert open_run(tmp_path / "run").load_model() is not None
    caplog.clear()
    before = (tmp_path / "run" / "model.keras").read_bytes()
    train(TrainConfig(None, tmp_path / "run", resume=True))
    assert "nothing is left to train" in caplog.text
    assert (tmp_path / "run" / "model.keras").read_bytes() == before


def test_other_settings_than_the_runs_own_are_not_taken_for_resumed(cambridge, trained, tmp_path):
    line = refusal(train, TrainConfig(None, tmp_path / "run", minutes=60.0, resume=True))
    assert line == "cannot change --minutes when resuming: the run uses None, received 60.0"
    assert "scene" in refusal(train, TrainConfig(tmp_path / "other", tmp_path / "run", resume=True))
    (tmp_path / "link").symlink_to(cambridge)
    train(
        TrainConfig(tmp_path / "link", tmp_path / "run", resume=True)
    )  # the same place by another name
    train(TrainConfig(cambridge, tmp_path / "run", epochs=1, resume=True, **QUICK))  # its own again


def test_a_changed_scene_neither_tests_nor_trains_on_the_other_split(cambridge, trained, caplog):
    run, lists = (
        open_run(trained),
        [cambridge / f"dataset_{split}.txt" for split in ("train", "test")],
    )
    first, second = (file.read_text().splitlines() for file in lists)
    lists[0].write_text(
        "\n".join(first[:-4] + second[-1:]) + "\n"
    )  # four images change sides, and one the other way
    lists[1].write_text("\n".join(second[:-1] + first[-4:]) + "\n")
    assert set(run.training_scene().names) == {line.split()[0] for line in first[3:]}
    result = evaluate_run(run, options=LocalizationOptions(tta_views=1))
    seen = (run.folder / GALLERY).stat().st_mtime_ns
    assert set(Localizer(run).gallery.scene.names) == {line.split()[0] for line in first[3:]}
    assert (run.folder / GALLERY).stat().st_mtime_ns == seen  # predict's gallery is evaluate's
    assert "excluded 4 test images that the run was trained on" in caplog.text
    assert set(result.scene.names) == {line.split()[0] for line in second[3:-1]}
    lists[1].write_text("\n".join(second[:3] + first[-4:]) + "\n")
    assert refusal(evaluate_run, run).startswith(
        f"the test split of {cambridge} must contain images that "
    )
    lists[0].write_text("\n".join(first[:5]) + "\n")
    assert len(run.training_scene()) == 6
    assert "6 of 12 training images are missing" in caplog.text


def test_what_a_backbone_cannot_take_is_one_line(cambridge, tmp_path):
    small = {"epochs": 1, "batch_size": 4, "precision": "float32"}
    line = refusal(
        train, TrainConfig(cambridge, tmp_path / "a", backbone="posenet", short_side=128, **small)
    )
    assert line == "--short-side must be at least 224 for --backbone posenet, received 128"
    line = refusal(
        train,
        TrainConfig(cambridge, tmp_path / "b", backbone="inception_v4", short_side=32, **small),
    )
    assert line.startswith("--backbone inception_v4 does not accept images of (32, 48): ")
    line = refusal(
        train,
        TrainConfig(
            cambridge, tmp_path / "c", backbone="googlenet", head="scene-coordinates", **small
        ),
    )
    assert line == (
        "--head scene-coordinates requires the depth of training images, none has one: "
        "use --head pose"
    )


def test_resuming_what_never_started_is_one_line(tmp_path):
    with pytest.raises(PoseNetError, match="run folder not found: .*nowhere"):
        train(TrainConfig(None, tmp_path / "nowhere", resume=True))


def test_schedule_warms_up_and_falls_to_zero():
    budget = budgets.TrainingBudget(epochs=10, seconds=0.0, steps_per_epoch=10, started=0.0)
    schedule = budgets.WarmupCosine(budget, 1.0)
    schedule.set_model(
        type("Model", (), {"optimizer": type("O", (), {})(), "stop_training": False})()
    )
    rates = []
    for _ in range(100):
        schedule.on_train_batch_begin(0)
        rates.append(schedule.model.optimizer.learning_rate)
        assert not schedule.model.stop_training
        schedule.on_train_batch_end(0)
    assert schedule.model.stop_training
    assert rates[1] == pytest.approx(0.25)  # 1 % of 4 % warm-up
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[52] == pytest.approx(0.5, abs=0.01)
    assert rates[-1] < 0.001 + 1e-9
    assert all(a >= b for a, b in zip(rates[4:], rates[5:], strict=False))


def test_a_resumed_schedule_goes_on_where_it_was(cambridge, tmp_path):
    now = time.monotonic()
    # Preparation took three tenths.
    budget = budgets.TrainingBudget(
        epochs=None, seconds=100.0, steps_per_epoch=10, started=now - 30
    )
    schedule = budgets.WarmupCosine(budget, 1.0)
    schedule.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.0)))
    schedule.on_train_batch_begin(0)
    budget.resume(steps_done=0, elapsed=31.0, first_progress=budget.first_progress)
    schedule.on_train_batch_begin(1)
    whole = schedule.model.optimizer.learning_rate
    again = budgets.TrainingBudget(epochs=None, seconds=100.0, steps_per_epoch=10, started=now)
    again.resume(steps_done=0, elapsed=31.0, first_progress=budget.first_progress)
    resumed = budgets.WarmupCosine(again, 1.0)
    resumed.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.0)))
    resumed.on_train_batch_begin(0)
    assert whole == pytest.approx(1 / 70 / budgets.WARMUP, rel=0.05)
    assert resumed.model.optimizer.learning_rate == pytest.approx(whole, rel=0.05)


def test_a_checkpoint_of_something_else_is_refused(trained, tmp_path):
    state = tmp_path / "run" / "checkpoint" / "state.npz"
    with np.load(state) as saved:
        others = {name: np.zeros((2, 2)) for name in saved.files}
    for write in (lambda file: file.write(b"nonsense"), lambda file: np.savez(file, **others)):
        with open(state, "wb") as file:
            write(file)
        line = refusal(train, TrainConfig(None, tmp_path / "run", resume=True))
        assert "state.npz must be a checkpoint of this run, cannot read it" in line
        assert len(line) < len(str(state)) + 200


def test_with_depth_the_network_predicts_scene_coordinates(plane_epoch):
    run = open_run(plane_epoch[0] / "run")
    assert run.head == "scene-coordinates"
    assert run.camera.fx == pytest.approx(260.0)
    assert run.single_camera
    assert "residual_rms" in run.load_model().output
    kept = np.load(run.folder / "checkpoint" / "depths.npz")["depths"]
    assert np.median(1 / kept[np.isfinite(kept)]) == pytest.approx(
        2.0, rel=0.2
    )  # the plane is two meters away


def begun(config):
    """Return a run that is not trained, and its batches."""
    run, scene = create_run(config, open_scene(config.scene).split("train"), "float32")
    images = load_images(scene.paths, run.crop.resized)
    is_validation = np.isin(scene.names, run.validation_images)
    return run, training_batches(config, scene, images, run, chosen=~is_validation)


def test_settings_reach_what_they_are_for(plane, tmp_path):
    (tmp_path / "run").mkdir()
    _, batches = begun(
        TrainConfig(
            plane, tmp_path / "run", short_side=64, batch_size=3, seed=5, backbone="googlenet"
        )
    )
    assert (batches.batch_size, batches.seed, batches.augmenter.settings.rotation_deg[1]) == (
        3,
        5,
        12.0,
    )
    assert 0 < batches.augmenter.settings.translation == Augmentation().translation
    assert batches.augmenter.settings.max_translation == pytest.approx(0.5 * spread_of(plane))
    _, batches = begun(TrainConfig(plane, tmp_path / "run", synthetic_views=False, **QUICK))
    assert batches.augmenter.settings.translation == 0
    _, batches = begun(TrainConfig(plane, tmp_path / "run", augment=False, head="pose", **QUICK))
    assert (
        replace(batches.augmenter.settings, max_translation=NO_AUGMENTATION.max_translation)
        == NO_AUGMENTATION
    )
    assert set(batches.depths) == {None}
    config = TrainConfig(
        plane, tmp_path / "run", head="pose", rotation="log", loss="posenet", beta=7.0, **QUICK
    )
    run, batches = begun(config)
    trainer = build_trainer(run)
    assert isinstance(trainer.pose_loss, PoseNetLoss)
    assert trainer.pose_loss.beta == 7.0
    assert trainer.network.get_layer("cls3_wpqr").units == 3
    _save_model(trainer, run)
    assert run.load_model().output["quaternion"].shape == (None, 4)

    def trainer_with(loss):
        return build_trainer(replace(run, config=replace(config, loss=loss)))

    for loss, kind in (("geometric", GeometricLoss), ("learned", LearnedWeightsLoss)):
        assert type(trainer_with(loss).pose_loss) is kind


def spread_of(folder):
    """Return the mean distance of the training cameras from their center."""
    positions = open_scene(folder).split("train").poses.positions
    return np.linalg.norm(positions - positions.mean(axis=0), axis=1).mean()


def test_other_seeds_give_other_networks(plane, tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(keras.utils, "set_random_seed", seeds.append)
    monkeypatch.setattr("posenet.training.train._prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(TrainConfig(plane, tmp_path / "run", seed=4, **QUICK))
    assert seeds == [4]


def test_a_wrong_focal_length_is_measured_and_used_everywhere(plane, tmp_path, caplog):
    claim_focal(plane, 1.4)
    config = TrainConfig(plane, tmp_path / "run", **QUICK)
    run, _ = create_run(config, open_scene(plane).split("train"), "float32")
    run.folder.mkdir()
    run.save()
    assert run.corrections == {"file": (pytest.approx(1 / 1.4, rel=0.02), 0, 0, 0)}
    assert "images and poses agree on a focal length of" in caplog.text
    again = open_run(tmp_path / "run")
    assert again.corrections == run.corrections
    assert again.camera.fx == pytest.approx(260, rel=0.02)
    assert again.open_scene().split("test").cameras[0].fx == pytest.approx(260, rel=0.02)
    assert again.open_scene(plane).cameras[0].source == "measured"
    kept, _ = create_run(
        replace(config, refine_intrinsics=False), open_scene(plane).split("train"), "float32"
    )
    assert kept.corrections == {}
    assert kept.camera.fx == pytest.approx(1.4 * 260)


def test_the_geometric_loss_trains(plane, tmp_path):
    train(
        TrainConfig(
            plane,
            tmp_path / "run",
            epochs=12,
            loss="geometric",
            **QUICK | {"validation_split": 0.0},
        )
    )
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "run")]
    assert max(losses[-3:]) < losses[0]


def test_points_and_the_geometric_loss_say_what_they_need(cambridge, plane, tmp_path):
    with pytest.raises(
        PoseNetError,
        match="--head scene-coordinates requires one of the backbones googlenet, efficientnet_lite0",
    ):
        train(
            TrainConfig(
                plane,
                tmp_path / "a",
                epochs=1,
                backbone="posenet",
                head="scene-coordinates",
                **SMALL,
            )
        )
    with pytest.raises(
        PoseNetError, match="--rotation must be quaternion for --backbone posenet, received 6d"
    ):
        train(
            TrainConfig(
                plane,
                tmp_path / "c",
                epochs=1,
                backbone="posenet",
                head="pose",
                rotation="6d",
                **SMALL,
            )
        )
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "c").exists()
    with pytest.raises(
        PoseNetError,
        match="--loss geometric requires the depth of at least 50% of the training images, 0% have one",
    ):
        train(TrainConfig(cambridge, tmp_path / "b", epochs=1, loss="geometric", **QUICK))


def test_damaged_depths_are_estimated_again(plane, tmp_path):
    (tmp_path / "run").mkdir()
    config = TrainConfig(plane, tmp_path / "run", **QUICK)
    begun(config)
    kept = tmp_path / "run" / "checkpoint" / "depths.npz"
    whole, stamp = (np.load(kept)[name] for name in ("depths", "stamp"))
    for damage in (b"damaged", None):
        if damage:
            kept.write_bytes(damage)
        else:  # of images that have changed
            np.savez(kept, depths=whole + 1, stamp="another")
        begun(config)
        np.testing.assert_allclose(np.load(kept)["depths"], whole, rtol=1e-4)
        assert np.load(kept)["stamp"] == stamp


def test_scales_of_validation_cameras_that_do_not_move(cambridge):
    for file in ("dataset_train.txt", "dataset_test.txt"):
        lines = (cambridge / file).read_text().splitlines()
        still = [
            " ".join([line.split()[0], "1", "2", "3", *line.split()[4:]]) for line in lines[3:]
        ]
        (cambridge / file).write_text("\n".join([*lines[:3], *still]) + "\n")
    run, scene = create_run(
        TrainConfig(cambridge, **QUICK), open_scene(cambridge).split("train"), "float32"
    )
    images = SimpleNamespace(subset=list)
    prepared = _Preparation(run, scene, images, batches=None, is_resumed=False)
    best_model = _create_validation(None, prepared, None)
    # A hundredth of the size of the scene, which is 1 if all cameras are in one place.
    assert best_model.scales.position == pytest.approx(0.01)
    assert best_model.scales.rotation_deg > 1


def test_of_many_validation_images_some_are_evenly_predicted(monkeypatch):
    monkeypatch.setattr("posenet.training.train.MAX_VALIDATION_IMAGES", 4)
    scene = scene_of(walk(60))
    rows = {}
    for count in (4, 31):
        run = SimpleNamespace(validation_images=scene.names[10 : 10 + count])
        prepared = _Preparation(run, scene, images=None, batches=None, is_resumed=False)
        rows[count] = prepared.validation_rows.tolist()
    assert rows == {4: [10, 11, 12, 13], 31: [10, 20, 30, 40]}


def test_a_timed_training_plans_itself_and_maps_the_scene(plane, tmp_path, caplog):
    caplog.set_level("INFO", logger="posenet")
    config = TrainConfig(plane, tmp_path / "run", minutes=0.5, seed=1, **SMALL)
    run = train(replace(config, backbone="efficientnet_lite0"))
    plan = open_run(run.folder).plan
    assert plan == run.plan
    assert plan.images_per_second > 0
    assert plan.seconds < 30
    assert plan.frozen_stages > 0  # half a minute is short for any processor
    assert 0 < plan.warmup_share <= 1
    assert f"{plan.images_per_second:.3g} images/s; short side {plan.short_side}" in caplog.text
    assert plan.build_map
    assert caplog.text.count("building the map of") == 1
    caplog.clear()
    localizer = Localizer(run)
    assert localizer.refines
    assert "building the map of" not in caplog.text


def test_a_short_training_keeps_the_warmed_up_heads_if_they_are_better(plane, tmp_path, caplog):
    caplog.set_level("INFO", logger="posenet")
    # With this learning rate the only step ruins the network.
    config = TrainConfig(plane, tmp_path / "run", epochs=1, learning_rate=1e3, **SMALL)
    train(replace(config, backbone="efficientnet_lite0"))
    assert "kept epoch 0: validation" in caplog.text


class Recorder(keras.callbacks.Callback):
    """Remembers the logs of each epoch, and stops after one of them."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.stop_after = stop_after
        self.logs = {}

    def on_epoch_end(self, epoch, logs=None):
        self.logs[epoch] = dict(logs)
        self.model.stop_training |= epoch == self.stop_after


def test_callbacks_see_the_logs_and_may_stop_a_training_that_resumes(cambridge, tmp_path):
    folder = tmp_path / "run"
    first = Recorder(stop_after=0)
    train(TrainConfig(cambridge, folder, epochs=3, **QUICK), [first])
    assert list(first.logs) == [0]
    row = rows_of(folder)[0]
    errors = {"position_error", "rotation_error_deg", "val_position_error"}
    assert errors | {"loss", "val_rotation_error_deg"} == set(first.logs[0])
    for name, value in first.logs[0].items():
        assert float(row[name]) == pytest.approx(value, rel=1e-5)
    second = Recorder()
    train(TrainConfig(None, folder, resume=True), [second])
    assert list(second.logs) == [1, 2]
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2", "3"]


def test_what_is_not_a_callback_is_one_line(cambridge, tmp_path):
    line = refusal(train, TrainConfig(cambridge, tmp_path / "run", epochs=1, **QUICK), [print])
    assert line == (
        "callbacks must be instances of keras.callbacks.Callback, "
        "received builtin_function_or_method"
    )
    assert not (tmp_path / "run").exists()


def test_a_missing_tensorboard_is_one_line_before_the_training(cambridge, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    config = TrainConfig(cambridge, tmp_path / "run", epochs=1, log="tensorboard", **QUICK)
    assert refusal(train, config) == (
        "--log tensorboard requires the extra `tensorboard`: "
        "pip install 'camera-posenet[tensorboard]'"
    )
    assert not (tmp_path / "run").exists()


def scalars(folder, tag):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}


def test_tensorboard_receives_what_history_contains_and_resumes(cambridge, tmp_path):
    pytest.importorskip("tensorboard")
    folder = tmp_path / "run"
    config = TrainConfig(cambridge, folder, epochs=3, log="tensorboard", **QUICK)
    train(config, [Recorder(stop_after=0)])
    train(TrainConfig(None, folder, resume=True))  # logs on, as the run did
    rows = rows_of(folder)
    for tag, part, column in (
        ("epoch_loss", "train", "loss"),
        ("epoch_position_error", "validation", "val_position_error"),
    ):
        logged = scalars(folder / "logs" / part, tag)
        assert list(logged) == [0, 1, 2]
        expected = [float(row[column]) for row in rows]
        assert list(logged.values()) == pytest.approx(expected, rel=1e-4)


def test_a_resumed_training_may_begin_to_log(cambridge, tmp_path):
    pytest.importorskip("tensorboard")
    folder = tmp_path / "run"
    train(TrainConfig(cambridge, folder, epochs=2, **QUICK), [Recorder(stop_after=0)])
    train(TrainConfig(None, folder, resume=True, log="tensorboard"))
    assert list(scalars(folder / "logs" / "train", "epoch_loss")) == [1]
    assert open_run(folder).config.log == "tensorboard"
