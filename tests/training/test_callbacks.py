import math
import time
from types import SimpleNamespace

import keras

from posenet.training import callbacks
from tests.helpers.errors import refusal


def kept_epochs(measured, **options):
    """The epochs whose model a Validation saves, given what each epoch measures."""
    budget = callbacks.TrainingBudget(epochs=len(measured), seconds=0.0, steps=1, started=0.0)
    answers, saved, epoch = iter(measured), [], 0
    validation = callbacks.BestModel(
        lambda: next(answers), lambda: saved.append(epoch), (1.0, 100.0), budget, 1e9
    )
    validation.set_model(SimpleNamespace(stop_training=False))
    validation.on_train_begin()
    for epoch in range(1, len(measured) + 1):
        validation.on_epoch_end(epoch - 1, {})
    return saved, validation


def test_where_epochs_are_counted_the_clock_does_not_choose_the_model():
    for epochs, expected in (
        (4, 4),
        (None, 1),
    ):  # measuring takes all the time, of which it may have none
        budget = callbacks.TrainingBudget(epochs, seconds=1e9, steps=1, started=time.monotonic())
        measured = []
        validation = callbacks.BestModel(
            lambda found=measured: found.append(1) or time.sleep(0.01) or (1.0, 1.0),
            list,
            (1.0, 1.0),
            budget,
            0.0,
        )
        validation.set_model(SimpleNamespace(stop_training=False))
        validation.on_train_begin()
        for epoch in range(4):
            validation.on_epoch_end(epoch, {})
        assert len(measured) == expected


def test_the_best_model_is_kept():
    saved, validation = kept_epochs(
        [(0.9, 90.0), (0.5, 40.0), (0.7, 70.0), (0.3, 20.0), (0.8, 80.0)]
    )
    assert saved == [1, 2, 4]
    assert validation.best_epoch == 4
    assert validation.best_errors == (0.3, 20.0)
    assert math.isclose(validation.best, 0.3 + 20 / 100)


def test_a_later_model_takes_the_place_of_one_that_is_hardly_better_without_drifting():
    # scores 1.0, 1.05, 1.15 and 1.2: the second is within a tenth of the best, the others are not
    saved, validation = kept_epochs([(1.0, 0.0), (1.05, 0.0), (1.15, 0.0), (1.2, 0.0)])
    assert saved == [1, 2]
    assert validation.best_epoch == 2
    assert validation.best == 1.0


def test_a_model_that_measures_no_number_is_never_kept():
    saved, _ = kept_epochs([(math.nan, 1.0), (1.0, math.nan)])
    assert saved == []


def test_weights_that_the_last_step_of_an_epoch_broke_are_never_kept(tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1), keras.layers.BatchNormalization()]
    )
    saved = []
    trainer = SimpleNamespace(
        network=model, pose_loss=model, optimizer=keras.optimizers.Adam(), stop_training=True
    )
    budget = callbacks.TrainingBudget(epochs=9, seconds=0.0, steps=1, started=0.0)
    backup = callbacks.TrainingCheckpoint(
        tmp_path / "state.npz", budget, None, lambda: saved.append(1)
    )
    backup.set_model(trainer)
    backup.on_epoch_end(5)
    before = (tmp_path / "state.npz").read_bytes()
    model.layers[0].bias.assign([math.nan])
    line = refusal(backup.on_epoch_end, 6)
    assert line.startswith(
        "training stopped: the weights became no numbers at the end of epoch 7; the last good "
    )
    assert saved == [1]
    assert (tmp_path / "state.npz").read_bytes() == before


def test_a_training_that_its_time_has_ended_has_nothing_left(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    trainer = SimpleNamespace(
        network=model, pose_loss=model, optimizer=keras.optimizers.Adam(), stop_training=True
    )
    budget = callbacks.TrainingBudget(None, seconds=60.0, steps=1, started=time.monotonic() - 57)
    budget.reserve = 4.0
    backup = callbacks.TrainingCheckpoint(tmp_path / "state.npz", budget, None, lambda: None)
    backup.set_model(trainer)
    backup.on_epoch_end(5)
    again = callbacks.TrainingBudget(None, seconds=60.0, steps=1, started=time.monotonic())
    callbacks.TrainingCheckpoint(tmp_path / "state.npz", again, None, lambda: None).restore(trainer)
    assert again.progress == 1


def test_a_training_that_goes_on_knows_its_best_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    trainer = SimpleNamespace(
        network=model, pose_loss=model, optimizer=keras.optimizers.Adam(), stop_training=True
    )
    first, again = (
        callbacks.BestModel(None, None, (1.0, 1.0), callbacks.TrainingBudget(9, 0.0, 1, 0.0))
        for _ in range(2)
    )
    first.best, first.best_epoch, first.best_errors = 0.3, 4, (0.1, 2.0)
    backup = callbacks.TrainingCheckpoint(tmp_path / "state.npz", first.budget, first, None)
    backup.set_model(trainer)
    backup.on_epoch_end(5)
    assert (
        callbacks.TrainingCheckpoint(tmp_path / "state.npz", again.budget, again, None).restore(
            trainer
        )
        == 6
    )
    assert (again.best, again.best_epoch, again.best_errors) == (0.3, 4, (0.1, 2.0))


def test_a_budget_of_less_than_a_second_is_spent_when_its_time_is():
    now = time.monotonic()
    assert (
        callbacks.TrainingBudget(None, 0.006, 10, now - 0.5).progress == 1
    )  # it counted as a whole second
    assert 0.05 <= callbacks.TrainingBudget(None, 1000.0, 10, now - 50).progress < 0.06
