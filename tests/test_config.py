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
            "--validation-split must be from 0 to 0.9, received 1.0",
        ),
        ({"seed": -1}, "--seed must be from 0 to 4294967295, received -1"),
        ({"seed": 202611260703}, "--seed must be from 0 to 4294967295, received 202611260703"),
        ({"short_side": 3}, "--short-side must be at least 32, received 3"),
        (
            {"resume": True, "overwrite": True},
            "--resume and --overwrite exclude each other, received both",
        ),
        ({"rotation": "6d"}, "--rotation 6d requires --head pose, received --head auto"),
        (
            {"minutes": 1.0, "epochs": 1},
            "--minutes and --epochs exclude each other, received 1.0 and 1",
        ),
    ],
)
def test_value_out_of_range_raises(values, message):
    with pytest.raises(PoseNetError) as error:
        TrainConfig(**values)
    assert str(error.value) == message


def test_budget_is_minutes_or_infinite():
    assert TrainConfig(minutes=3.0).budget == 3.0
    assert TrainConfig().budget == 15.0
    assert TrainConfig(epochs=2).budget == float("inf")


def test_unknown_setting_raises():
    with pytest.raises(ValueError, match="unknown setting 'speed'"):
        TrainConfig.from_dict({"speed": 3})


def test_settings_of_format_1_are_read():
    old = {"trunk": "posenet", "head": "points", "novel_views": False, "measure_camera": False}
    config = TrainConfig.from_dict(old | {"validation": 0.25})
    assert config == TrainConfig(
        backbone="posenet",
        head="scene-coordinates",
        synthetic_views=False,
        refine_intrinsics=False,
        validation_split=0.25,
    )
