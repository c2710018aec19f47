from pathlib import Path

import pytest

from posenet.config import TrainConfig, TrainingPlan
from posenet.training.plan import (
    Machine,
    advisable_minutes,
    describe_plan,
    expected_images,
    plan_epochs,
    plan_minutes,
)

CONFIG = TrainConfig(Path("scene"), minutes=5)


def plan_of(
    images_per_second, *, map_seconds=None, seconds_left=250.0, is_pretrained=True, **settings
):
    config = TrainConfig(Path("scene"), **{"minutes": 5, **settings})
    machine = Machine(images_per_second, map_seconds, seconds_left)
    return plan_minutes(config, machine, 700, num_stages=17, is_pretrained=is_pretrained)


def test_fast_machines_train_more_of_the_backbone_on_larger_images():
    rates = (2.0, 20.0, 100.0, 300.0, 1000.0)
    plans = [plan_of(rate) for rate in rates]
    frozen = [plan.frozen_stages for plan in plans]
    assert frozen == sorted(frozen, reverse=True)
    assert frozen[0] == 17
    assert frozen[-1] == 0
    sides = [plan.short_side for plan in plans]
    assert sides == [128, 128, 128, 160, 192]
    assert plans[0].batch_size == 16
    assert plans[-1].batch_size == 32
    assert [plan.images_per_second for plan in plans] == list(rates)


def test_a_backbone_from_scratch_is_never_frozen():
    assert plan_of(20.0, is_pretrained=False).frozen_stages == 0


def test_settings_come_before_the_plan():
    plan = plan_of(2.0, short_side=96, batch_size=5)
    assert (plan.short_side, plan.batch_size) == (96, 5)


def test_the_map_is_made_if_it_takes_less_than_three_tenths_of_the_budget():
    # 5 minutes: 90 s.
    plan = plan_of(100.0, map_seconds=89.0)
    assert plan.build_map
    assert plan.seconds == 250 - 89
    plan = plan_of(100.0, map_seconds=180.0)
    assert not plan.build_map
    # Depth for 45 s: a quarter of the 700 images.
    assert plan.depth_images == 175
    assert plan.seconds == 250 - 45
    assert not plan_of(100.0, map_seconds=None).build_map


def test_the_head_warmup_takes_at_most_a_quarter_of_the_time():
    # Inference is four times as fast as training: 1500 images in 1500 / (4 * 3) = 125 s.
    assert plan_of(3.0, seconds_left=100.0).warmup_share == pytest.approx(25 / 125)
    assert plan_of(100.0).warmup_share == 1


def test_counted_epochs_do_not_depend_on_the_machine():
    config = TrainConfig(Path("scene"), epochs=3)
    plan = plan_epochs(config, 700, can_build_map=True)
    assert (plan.short_side, plan.batch_size, plan.frozen_stages) == (192, 32, 0)
    assert plan.images_per_second is None
    assert plan.build_map
    assert advisable_minutes(config, plan) is None
    assert plan_epochs(config, 300, can_build_map=False).batch_size == 16


def test_plan_in_one_line(monkeypatch):
    monkeypatch.setattr("posenet.training.plan.available_cores", lambda: 2)
    plan = TrainingPlan(
        128, 16, frozen_stages=17, images_per_second=9.0, seconds=200.0, build_map=True
    )
    # 200 s * 9 images/s * 3.7
    assert expected_images(plan, num_stages=17) == pytest.approx(6660)
    line = describe_plan(plan, num_images=700, num_stages=17, precision="float32")
    assert line == (
        "2 cores, float32: 9 images/s; short side 128, batch 16, 17 of 17 stages frozen, "
        "about 10 epochs"
    )
    plan = TrainingPlan(256, 32, images_per_second=100.0, seconds=400.0)
    line = describe_plan(plan, num_images=10_000, num_stages=17, precision="bfloat16")
    assert line == "2 cores, bfloat16: 100 images/s; short side 256, batch 32, about 1 epoch"


def test_more_minutes_are_advised_where_image_retrieval_would_be_better():
    # 100 s * 4 images/s = 400 images; the missing 600 take 150 s = 2.5 minutes.
    plan = TrainingPlan(128, 16, images_per_second=4.0, seconds=100.0)
    assert advisable_minutes(CONFIG, plan) == 8
    plan = TrainingPlan(128, 16, images_per_second=40.0, seconds=100.0)
    assert advisable_minutes(CONFIG, plan) is None


@pytest.mark.parametrize("map_seconds", [None, 60.0])
def test_a_budget_that_is_spent_still_has_a_plan(map_seconds):
    plan = plan_of(10.0, map_seconds=map_seconds, seconds_left=-5.0)
    assert plan.seconds == 1
    assert plan.frozen_stages == 17
    assert advisable_minutes(CONFIG, plan) == 7  # 990 images more take 99 s
