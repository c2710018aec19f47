"""The decision whether poses are refined, by the option and by what the run has."""

from dataclasses import replace
from pathlib import Path

import pytest

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.localization.refinable import decide_refinement
from tests.helpers.errors import refusal
from tests.helpers.scenes import scene_of, walk

CAMERA = Camera(320, 240, 260, 260, 160, 120)


def training(*sources):
    """Return a function that opens a scene with a camera per source, None for no camera."""
    cameras = tuple(source and replace(CAMERA, source=source) for source in sources)
    scene = replace(scene_of(walk(len(sources))), cameras=cameras, root=Path("x"))
    return lambda: scene


def never():
    raise AssertionError("must not be called")


def fails():
    raise PoseNetError("no map")


@pytest.mark.parametrize("source", ["file", "EXIF", "measured"])
def test_default_refines_with_known_or_measured_intrinsics(source, caplog):
    caplog.set_level("INFO")
    calls = []
    assert decide_refinement(None, training("assumed", source), lambda: calls.append("map"))
    assert calls == ["map"]
    assert caplog.messages == []


@pytest.mark.parametrize("sources", [("assumed", "assumed"), (None, "assumed")])
def test_default_without_intrinsics_names_the_reason_in_one_line(sources, caplog):
    caplog.set_level("INFO")
    assert not decide_refinement(None, training(*sources), never)
    assert caplog.messages == [
        "poses are not refined: the intrinsics of the training images are unknown"
    ]


def test_default_falls_back_with_a_warning_if_the_map_cannot_be_built(caplog):
    assert not decide_refinement(None, training("file"), fails)
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "poses are not refined: no map")
    ]


def test_default_falls_back_with_a_warning_without_training_images(caplog):
    assert not decide_refinement(None, fails, never)
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "poses are not refined: no map")
    ]


def test_insisting_raises():
    assert refusal(decide_refinement, True, never, fails) == "no map"
    assert decide_refinement(True, never, lambda: None)


def test_switched_off_opens_nothing():
    assert decide_refinement(False, never, never) is False
