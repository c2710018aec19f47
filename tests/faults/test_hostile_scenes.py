"""Whatever the files of a scene contain, opening it works or is one line of error.

    POSENET_FUZZ_CASES=100000 python -m pytest tests/faults

tries more variants than the suite does. The variants of a seed are always the same.
"""

import os
import shutil

import numpy as np
import pytest

from posenet.datasets.convert import WRITERS, convert
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.io.images import read_image
from tests.helpers.mutations import mutate
from tests.helpers.scenes import make_scene

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("POSENET_FUZZ_CASES", "4200")) // len(WRITERS)


def use(folder):
    """Open a scene and read its images."""
    scene = open_scene(folder)
    assert np.isfinite(scene.poses.positions).all()
    assert np.isfinite(scene.poses.quaternions_wxyz).all()
    for path in scene.paths[:2]:
        read_image(path)
    for camera in scene.cameras:
        assert camera is None or (np.isfinite(camera.matrix).all() and camera.width > 0)


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_variants_of_every_file_work_or_are_one_line_of_error(form, tmp_path):
    convert(make_scene(tmp_path / "in"), tmp_path / "scene", form)
    folder = tmp_path / "scene"
    use(folder)
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    texts = [name for name in names if not name.endswith((".png", ".jpg"))]
    names = [*texts, *names[:1]] if texts else names
    lines = []
    for seed in range(CASES):
        name = names[seed % len(names)]
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, copy_function=os.link)
        (copy / name).unlink()  # a link to the file of all cases
        (copy / name).write_bytes(mutate(name, (folder / name).read_bytes(), seed))
        try:
            use(copy)
        except PoseNetError as error:
            lines.append(str(error))
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}") from error
    assert len(lines) > 0.1 * CASES
    assert [line for line in lines if "\n" in line] == []
