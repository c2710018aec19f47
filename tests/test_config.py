import json
from pathlib import Path

import pytest

from posenet.config import TrainConfig
from posenet.errors import PoseNetError


def test_json_round_trip():
    config = TrainConfig(Path("a"), Path("b"), minutes=3.0, loss="posenet", seed=7)
    assert TrainConfig.from_dict(json.loads(config.to_json())) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 0.0}, "--minutes must be more than 0, received 0.0"),
        ({"minutes": float("nan")}, "--minutes must be more than 0, received nan"),
        ({"epochs": -1}, "--epochs must be more than 0, received -1"),
        ({"batch_size": 0}, "--batch-size must be more than 0, received 0"),
        ({"learning_rate": -1.0}, "--learning-rate must be more than 0, received -1.0"),
        (
            {"validation_split": 1.0},
            "--validation-split must be a share from 0 to 0.9, received 1.0",
        ),
        ({"seed": -1}, "--seed must be from 0 to 4294967295, received -1"),
        ({"seed": 202611260703}, "--seed must be from 0 to 4294967295, received 202611260703"),
        ({"short_side": 3}, "--short-side must be at least 32, received 3"),
        (
            {"resume": True, "overwrite": True},
            "--resume goes on with a run, --overwrite replaces it: give one of them, received both",
        ),
        ({"rotation": "6d"}, "--rotation 6d needs --head pose, received --head auto"),
        ({"minutes": 1.0, "epochs": 1}, "give --minutes or --epochs, not both, received 1.0 and 1"),
    ],
)
def test_values_out_of_range_are_one_line(values, message):
    with pytest.raises(PoseNetError) as error:
        TrainConfig(**values)
    assert str(error.value) == message


def test_the_budget_is_the_minutes_or_without_end():
    assert TrainConfig(minutes=3.0).budget == 3.0
    assert TrainConfig().budget == 15.0
    assert TrainConfig(epochs=2).budget == float("inf")


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="unknown setting 'speed'"):
        TrainConfig.from_dict({"speed": 3})
