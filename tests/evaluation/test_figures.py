from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.evaluation.evaluate import Evaluation, PoseErrors
from posenet.evaluation.figures import write_figures
from posenet.geometry.poses import Poses
from posenet.viz.figure import new_figure, save_figure
from tests.helpers.images import write_image
from tests.helpers.scenes import circle, scene_of

pytestmark = pytest.mark.slow

CASES = {
    "one image": (circle(1), None),
    "all at one place": (Poses(np.ones((5, 3)), Rotation.identity(5)), None),
    "on a line": (Poses(np.arange(15.0).reshape(5, 3), Rotation.identity(5)), circle(4)),
    "no training": (circle(6), circle(6)[:0]),
}


def evaluation(folder, truth, training, errors):
    """Return perfect estimates with claimed errors, of images 0.png, 1.png ... in a folder."""
    n = len(truth)
    names = tuple(f"{row}.png" for row in range(n))
    scene = Scene(
        "square",
        folder,
        names,
        truth,
        (None,) * n,
        np.full(n, "test"),
        np.full(n, "a"),
        unit="scene units",
    )
    baselines = {"mean_pose": PoseErrors(np.ones(n), np.ones(n))}
    return Evaluation(
        scene=scene,
        split="test",
        method="network",
        estimate=truth,
        valid=np.isfinite(errors),
        errors=PoseErrors(errors, errors),
        baselines=baselines,
        training=None if training is None else scene_of(training),
        uncertainty=np.arange(n),
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("missing", [False, True])
def test_every_image_is_written(case, missing, tmp_path):
    truth, training = CASES[case]
    n = len(truth)
    errors = np.full(n, np.inf) if missing else np.linspace(0.1, 200, n)
    paths = [tmp_path / f"{i}.png" for i in range(n)]
    for i, path in enumerate(paths):
        write_image(path, seed=i)
    paths[-1].write_bytes(b"broken")
    out = tmp_path / "out"
    out.mkdir()
    written = write_figures(out, evaluation(tmp_path, truth, training, errors))
    names = {"trajectory.png", "trajectory_3d.png", "errors.png", "worst_images.png"}
    assert {path.name for path in written} == names | (set() if missing else {"sparsification.png"})
    for path in written:
        height, width = cv2.imread(str(path)).shape[:2]
        assert width == 1560
        assert height > 600


def test_vector_graphics_contain_their_text(tmp_path):
    for i in range(6):
        write_image(tmp_path / f"{i}.png", seed=i)
    errors = np.linspace(0.1, 2, 6)
    result = evaluation(tmp_path, circle(6), None, errors)
    result.save(tmp_path / "out", formats=("pdf", "svg", "svg"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    figures = ("trajectory", "trajectory_3d", "errors", "sparsification", "worst_images")
    expected = {f"{name}.{suffix}" for name in figures for suffix in ("pdf", "svg")}
    assert names == expected | {
        *("summary.json", "errors.csv", "estimate.tum", "groundtruth.tum", "view.html")
    }
    many = evaluation(tmp_path, circle(6), circle(2000), errors)
    write_figures(tmp_path / "out", many, ["svg"])
    svg = (tmp_path / "out" / "trajectory.svg").read_text()
    ElementTree.fromstring(svg)
    assert ">position error (scene units)</text>" in svg
    assert svg.count("<image") == 2  # the training images and the color bar
    pdf = (tmp_path / "out" / "errors.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/CIDFontType2" in pdf  # TrueType, not Type 3
    assert b"/Type3" not in pdf
    for path in (tmp_path / "out").iterdir():
        assert path.stat().st_size < 2e6
    result.save(tmp_path / "out")  # replaces them all
    left = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert left == {".png", ".json", ".csv", ".tum", ".html"}


def test_the_same_figure_gives_the_same_file(tmp_path):
    result = evaluation(tmp_path, circle(3), None, np.ones(3))
    for name in "ab":
        (tmp_path / name).mkdir()
        write_figures(tmp_path / name, result, ("pdf", "svg"))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_another_format_is_one_line(tmp_path):
    with pytest.raises(PoseNetError) as raised:
        save_figure(new_figure(2, 2), tmp_path / "a.jpg")
    assert str(raised.value) == (
        f"a figure must be a .png, .pdf or .svg file, received {tmp_path / 'a.jpg'}"
    )
    assert not list(tmp_path.iterdir())


def test_the_old_image_survives_a_failure(tmp_path, monkeypatch):
    (tmp_path / "trajectory.png").write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(
        PoseNetError, match=r"trajectory.png cannot be written: No space left on device"
    ):
        write_figures(tmp_path, evaluation(tmp_path, circle(3), None, np.ones(3)))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
