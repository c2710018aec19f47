"""Figures that do not depend on the user's matplotlibrc."""

import matplotlib as mpl

from posenet.datasets.registry import open_scene
from posenet.viz.figure import default_style
from posenet.viz.scene_map import write_scene_map


def test_figures_do_not_depend_on_the_style_of_the_user(cambridge, tmp_path):
    scene = open_scene(cambridge)
    write_scene_map(tmp_path / "usual.png", scene)
    own = {"text.usetex": True, "savefig.bbox": "tight", "axes.grid": True, "font.size": 30}
    with mpl.rc_context(own):
        write_scene_map(tmp_path / "own.png", scene)
        assert {key: mpl.rcParams[key] for key in own} == own
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "usual.png").read_bytes()


def test_the_default_style_keeps_the_backend():
    backend = mpl.rcParams["backend"]
    with mpl.rc_context({"font.size": 30}), default_style():
        assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"] == 10
        assert mpl.rcParams["backend"] == backend
