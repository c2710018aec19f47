import csv
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from posenet import callbacks
from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.run import open_run
from posenet.training import train
from tests.planes import claim_focal

SMALL = {"short_side": 64, "batch_size": 4, "validation": 0.25, "precision": "float32"}
QUICK = SMALL | {"trunk": "googlenet"}


def rows_of(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def default_policy():
    yield
    keras.config.set_dtype_policy("float32")


def test_a_run_writes_its_folder_and_is_repeatable(cambridge, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        train(TrainConfig(cambridge, folder, epochs=2, seed=3, **QUICK))
    first, second = (rows_of(folder) for folder in folders)
    assert [row["epoch"] for row in first] == ["1", "2"]
    for a, b in zip(first, second, strict=True):
        assert {k: v for k, v in a.items() if k != "minutes"} == {k: v for k, v in b.items() if k != "minutes"}
    assert first[0]["val_position"] != ""
    assert float(first[1]["learning_rate"]) < float(first[0]["learning_rate"])
    run = open_run(folders[0])
    assert len(run.held_out) == 4  # one picture in each of four blocks
    assert run.config.seed == 3
    images = np.zeros((2, *run.framing.cut, 3), np.float32)
    answer, again = (open_run(folder).load_model()(images) for folder in folders)
    np.testing.assert_array_equal(answer["position"], again["position"])
    np.testing.assert_allclose(np.linalg.norm(answer["quaternion"], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("trunk", ["MobileNetV3Small", "efficientnet_lite0"])
def test_other_trunks_are_trained_and_kept(cambridge, tmp_path, trunk):
    train(TrainConfig(cambridge, tmp_path / "run", epochs=1, trunk=trunk, weights="none", **SMALL))
    run = open_run(tmp_path / "run")
    assert run.config.trunk == trunk
    answer = run.load_model()(np.zeros((1, *run.framing.cut, 3), np.float32))
    assert np.isfinite(answer["position"]).all()
    np.testing.assert_allclose(np.linalg.norm(answer["quaternion"], axis=1), 1, atol=1e-5)


def test_an_unknown_trunk_is_told_before_anything_is_written(cambridge, tmp_path):
    with pytest.raises(PoseNetError, match="--trunk must be one of"):
        train(TrainConfig(cambridge, tmp_path / "run", epochs=1, trunk="vgg", **SMALL))
    assert not (tmp_path / "run").exists()


def test_the_test_split_is_never_opened_in_training(cambridge, tmp_path):
    for picture in (cambridge / "seq3").iterdir():
        picture.write_bytes(b"\x89PNG broken IEND")
    train(TrainConfig(cambridge, tmp_path / "run", epochs=1, **QUICK))
    assert not set(open_run(tmp_path / "run").held_out) & {f"seq3/frame{i:05d}.png" for i in range(1, 5)}


def test_killed_and_resumed_ends_with_all_epochs(cambridge, tmp_path):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "posenet", "train", str(cambridge), "--output", str(output), "--no-evaluate"]
    command += ["--epochs", "25", "--short-side", "64", "--batch-size", "4", "--precision", "float32"]
    command += ["--trunk", "googlenet"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (output / "backup" / "state.npz").exists() or len(rows_of(output)) < 3:
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(rows_of(output)) < 25
    resumed = [sys.executable, "-m", "posenet", "train", "--resume", "--no-evaluate", "--output", str(output)]
    assert subprocess.run(resumed, capture_output=True, timeout=200).returncode == 0
    assert [int(row["epoch"]) for row in rows_of(output)] == list(range(1, 26))
    assert open_run(output).load_model() is not None


def test_a_loss_that_is_no_number_stops_with_an_explanation(cambridge, tmp_path):
    with pytest.raises(PoseNetError, match=r"training stopped: the loss became (nan|inf) .* last good model is kept"):
        train(TrainConfig(cambridge, tmp_path / "run", epochs=60, learning_rate=1e25, **QUICK))


def test_a_run_folder_that_exists_is_refused(cambridge, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(PoseNetError, match="run exists: give --resume to go on, --overwrite to replace it"):
        train(TrainConfig(cambridge, folder, epochs=1, **QUICK))
    with pytest.raises(PoseNetError, match="is no run folder .* it is not overwritten"):
        train(TrainConfig(cambridge, folder, epochs=1, overwrite=True, **QUICK))
    assert (folder / "mine.txt").read_text() == "precious"


def test_resuming_what_never_started_is_one_line(tmp_path):
    with pytest.raises(PoseNetError, match="nowhere: no such run folder"):
        train(TrainConfig(None, tmp_path / "nowhere", resume=True))


def test_schedule_warms_up_and_falls_to_zero():
    budget = callbacks.Budget(10, 0.0, 10, 0.0)
    schedule = callbacks.Schedule(budget, 1.0)
    schedule.set_model(type("Model", (), {"optimizer": type("O", (), {})(), "stop_training": False})())
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


def test_a_backup_of_something_else_is_refused(cambridge, tmp_path):
    train(TrainConfig(cambridge, tmp_path / "run", epochs=1, **QUICK))
    (tmp_path / "run" / "backup" / "state.npz").write_bytes(b"nonsense")
    with pytest.raises(PoseNetError, match=r"state.npz must be a backup of this run, it cannot be read"):
        train(TrainConfig(None, tmp_path / "run", resume=True))


def test_where_pictures_tell_depth_the_network_answers_by_points(plane, tmp_path):
    train(TrainConfig(plane, tmp_path / "run", epochs=1, **QUICK))
    run = open_run(tmp_path / "run")
    assert run.head == "points"
    assert run.camera.fx == pytest.approx(260.0)
    assert run.one_camera
    assert "doubt" in run.load_model().output
    kept = np.load(tmp_path / "run" / "backup" / "depths.npy")
    assert np.median(1 / kept[np.isfinite(kept)]) == pytest.approx(2.0, rel=0.2)  # the plane is two metres away
    for head, novel in (("pose", True), ("points", False)):
        config = TrainConfig(plane, tmp_path / head, epochs=1, head=head, novel_views=novel, **QUICK)
        assert train(config).head == head


def test_a_wrong_focal_length_is_measured_and_used_everywhere(plane, tmp_path, caplog):
    claim_focal(plane, 1.4)
    run = train(TrainConfig(plane, tmp_path / "run", epochs=1, **QUICK))
    assert run.corrections == {"file": (pytest.approx(1 / 1.4, rel=0.02), 0, 0, 0)}
    assert "pictures and poses agree on a focal length of" in caplog.text
    again = open_run(tmp_path / "run")
    assert again.corrections == run.corrections
    assert again.camera.fx == pytest.approx(260, rel=0.02)
    assert again.open_scene().split("test").cameras[0].fx == pytest.approx(260, rel=0.02)
    assert again.open_scene(plane).cameras[0].source == "measured"
    kept = train(TrainConfig(plane, tmp_path / "kept", epochs=1, measure_camera=False, **QUICK))
    assert kept.corrections == {}
    assert kept.camera.fx == pytest.approx(1.4 * 260)


def test_the_geometric_loss_trains(plane, tmp_path):
    train(TrainConfig(plane, tmp_path / "run", epochs=12, loss="geometric", **QUICK))
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "run")]
    assert max(losses[-3:]) < losses[0]


def test_points_and_the_geometric_loss_say_what_they_need(cambridge, plane, tmp_path):
    with pytest.raises(PoseNetError, match="--head points needs one of the trunks googlenet, efficientnet_lite0"):
        train(TrainConfig(plane, tmp_path / "a", epochs=1, trunk="posenet", head="points", **SMALL))
    with pytest.raises(PoseNetError, match="--rotation must be quaternion for --trunk posenet, received 6d"):
        train(TrainConfig(plane, tmp_path / "c", epochs=1, trunk="posenet", head="pose", rotation="6d", **SMALL))
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "c").exists()
    with pytest.raises(PoseNetError, match="--loss geometric needs the depth of most training pictures, 0% have one"):
        train(TrainConfig(cambridge, tmp_path / "b", epochs=1, loss="geometric", **QUICK))


def test_damaged_depths_are_made_anew(plane, tmp_path):
    train(TrainConfig(plane, tmp_path / "run", epochs=1, **QUICK))
    kept = tmp_path / "run" / "backup" / "depths.npy"
    whole = np.load(kept)
    kept.write_bytes(b"damaged")
    train(TrainConfig(output=tmp_path / "run", resume=True))
    np.testing.assert_allclose(np.load(kept), whole, rtol=1e-4)
