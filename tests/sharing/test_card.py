import json
from dataclasses import replace
from pathlib import Path

import pytest

from posenet.config import TrainConfig
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.run import Run
from posenet.sharing.card import PackOptions, format_card

SUMMARY = {
    "images": 7,
    "method": "network, refined",
    "median_position_error": 0.0123456789,
    "median_rotation_error_deg": 0.5,
    "baselines": {
        "pose_regression": {"median_position_error": 0.25, "median_rotation_error_deg": 2.0},
        "mean_pose": {"median_position_error": 3.0, "median_rotation_error_deg": 90.0},
        "retrieval": {"median_position_error": 1.5, "median_rotation_error_deg": None},
    },
}


@pytest.fixture
def run(tmp_path):
    return Run(
        folder=tmp_path,
        config=TrainConfig(tmp_path, backbone="googlenet"),
        scene=Path("/home/ann/Old: Town"),
        unit="m",
        crop=Crop((100, 130), (96, 128)),
        position_mean=(0.0, 0.0, 0.0),
        position_scale=1.0,
        validation_images=("a",),
        training_images=("a", "b", "c"),
        split="every:8",
        camera=Camera(640, 480, 500, 500, 320, 240),
    )


def card(run, summary=SUMMARY, address="town.zip", **options):
    content = {"model.keras": bytes(3_000_000), "landmarks/map.json": bytes(1_000_000)}
    if summary is not None:
        content["evaluation/summary.json"] = json.dumps(summary).encode()
    return format_card(run, content, address, PackOptions(**options))


def front_matter(text):
    yaml = pytest.importorskip("yaml")
    _, header, _ = text.split("---\n", 2)
    return yaml.safe_load(header)


def test_front_matter_is_valid_yaml(run):
    values = front_matter(card(run, license="CC-BY-4.0", title='The "old"\ntown: #1'))
    assert values["license"] == "cc-by-4.0"
    assert values["library_name"] == "posenet"
    assert values["tags"][:2] == ["posenet", "visual-localization"]
    (index,) = values["model-index"]
    assert index["name"] == 'The "old" town: #1'
    (result,) = index["results"]
    assert result["dataset"] == {"type": "Old: Town", "name": "Old: Town"}
    assert [metric["value"] for metric in result["metrics"]] == [0.0123457, 0.5]


def test_the_hub_reads_the_front_matter(run):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card(run, license="my own terms: ask")).data
    assert (data.license, data.license_name) == ("other", "my own terms: ask")
    assert data.eval_results[0].metric_value == 0.0123457
    assert hub.ModelCard(card(run, summary=None)).data.license == "unknown"


def test_facts_and_results(run):
    text = card(run)
    for line in (
        "| scene | Old: Town |",
        "| unit of positions | m |",
        "| training images | 3, 1 of them for validation |",
        "| test split | every:8 |",
        "| camera | 640 x 480, PINHOLE |",
        "| backbone | googlenet |",
        "| input | 128 x 96 pixels |",
        "| refinement | with a landmark map |",
        "| size | 4 MB, the model 3 MB |",
        "| license of the images | not stated |",
        "Median errors of 7 test images:",
        "| **network, refined** | 0.0123 m | 0.5 deg |",
        "| network alone | 0.25 m | 2 deg |",
        "| retrieval of the most similar training image | 1.5 m | none |",
        "| mean training pose | 3 m | 90 deg |",
    ):
        assert f"\n{line}\n" in text
    assert "/home/ann" not in text


def test_usage_names_the_address(run):
    assert "\npip install camera-posenet\nposenet predict town.zip photo.jpg\n" in card(run)
    text = card(run, address="hf://ann/town")
    assert "\npip install 'camera-posenet[hub]'\nposenet predict hf://ann/town photo.jpg\n" in text
    assert "posenet.load('hf://ann/town')" in text


@pytest.mark.parametrize("summary", [None, [], "text", {}])
def test_a_run_without_evaluation(run, summary):
    text = card(run, summary=summary)
    assert "It was not evaluated before it was packed." in text
    assert "model-index" not in text


def test_unlocalized_images_give_no_median(run):
    nothing = {"median_position_error": None, "median_rotation_error_deg": None}
    text = card(run, summary=SUMMARY | nothing)
    assert "| **network, refined** | none | none |" in text
    assert "model-index" not in text


def test_list_of_test_images_and_several_cameras(run):
    text = card(replace(run, split="/home/ann/test.txt", camera=None))
    assert "| test split | a list of images |" in text
    assert "| camera | several |" in text
