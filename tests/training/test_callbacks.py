import math
import time
from types import SimpleNamespace

import keras

from posenet.training import callbacks
from posenet.training.budget import TrainingBudget
from posenet.training.callbacks import MedianErrors
from posenet.training.checkpoint import TrainingCheckpoint
from tests.helpers.errors import refusal


def kept_epochs(measured):
    """Return the epochs whose model is saved, given the errors of each epoch."""
    budget = TrainingBudget(epochs=len(measured), seconds=0.0, steps_per_epoch=1, started=0.0)
    errors, saved, epoch = iter(measured), [], 0
    validation = callbacks.BestModel(
        lambda: MedianErrors(*next(errors)),
        lambda: saved.append(epoch),
        MedianErrors(1.0, 100.0),
        budget,
        share=1e9,
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
        budget = TrainingBudget(
            epochs=epochs, seconds=1e9, steps_per_epoch=1, started=time.monotonic()
        )
        measured = []
        validation = callbacks.BestModel(
            lambda found=measured: found.append(1) or time.sleep(0.01) or MedianErrors(1.0, 1.0),
            list,
            MedianErrors(1.0, 1.0),
            budget,
            share=0.0,
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
    assert math.isclose(validation.best_score, 0.3 + 20 / 100)


def test_a_later_model_takes_the_place_of_one_that_is_hardly_better_without_drifting():
    # scores 1.0, 1.15, 1.25 and 1.3: the second is within a fifth of the best, the others are not
    saved, validation = kept_epochs([(1.0, 0.0), (1.15, 0.0), (1.25, 0.0), (1.3, 0.0)])
    assert saved == [1, 2]
    assert validation.best_epoch == 2
    assert validation.best_score == 1.0


def test_a_model_with_undefined_errors_is_never_saved():
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
    budget = TrainingBudget(epochs=9, seconds=0.0, steps_per_epoch=1, started=0.0)
    checkpoint = TrainingCheckpoint(tmp_path / "state.npz", budget, None, lambda: saved.append(1))
    checkpoint.set_model(trainer)
    checkpoint.on_epoch_end(5)
    before = (tmp_path / "state.npz").read_bytes()
    model.layers[0].bias.assign([math.nan])
    line = refusal(checkpoint.on_epoch_end, 6)
    assert line.startswith(
        "training diverged: non-finite weights after epoch 7; the best model so far, "
    )
    assert saved == [1]
    assert (tmp_path / "state.npz").read_bytes() == before


def test_a_training_that_its_time_has_ended_has_nothing_left(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    trainer = SimpleNamespace(
        network=model, pose_loss=model, optimizer=keras.optimizers.Adam(), stop_training=True
    )
    budget = TrainingBudget(
        epochs=None, seconds=60.0, steps_per_epoch=1, started=time.monotonic() - 57
    )
    budget.reserve(4.0)
    checkpoint = TrainingCheckpoint(tmp_path / "state.npz", budget, None, lambda: None)
    checkpoint.set_model(trainer)
    checkpoint.on_epoch_end(5)
    again = TrainingBudget(epochs=None, seconds=60.0, steps_per_epoch=1, started=time.monotonic())
    TrainingCheckpoint(tmp_path / "state.npz", again, None, lambda: None).restore(trainer)
    assert again.progress == 1


def test_a_training_that_goes_on_knows_its_best_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    trainer = SimpleNamespace(
        network=model, pose_loss=model, optimizer=keras.optimizers.Adam(), stop_training=True
    )
    first, again = (
        callbacks.BestModel(
            None,
            None,
            MedianErrors(1.0, 1.0),
            TrainingBudget(epochs=9, seconds=0.0, steps_per_epoch=1, started=0.0),
        )
        for _ in range(2)
    )
    first.best_score, first.best_epoch, first.best_errors = 0.3, 4, (0.1, 2.0)
    checkpoint = TrainingCheckpoint(tmp_path / "state.npz", first.budget, first, None)
    checkpoint.set_model(trainer)
    checkpoint.on_epoch_end(5)
    assert (
        TrainingCheckpoint(tmp_path / "state.npz", again.budget, again, None).restore(trainer) == 6
    )
    assert (again.best_score, again.best_epoch, again.best_errors) == (0.3, 4, (0.1, 2.0))


def test_a_budget_of_less_than_a_second_is_spent_when_its_time_is():
    now = time.monotonic()
    assert (
        TrainingBudget(epochs=None, seconds=0.006, steps_per_epoch=10, started=now - 0.5).progress
        == 1
    )
    assert (
        0.05
        <= TrainingBudget(
            epochs=None, seconds=1000.0, steps_per_epoch=10, started=now - 50
        ).progress
        < 0.06
    )
