import shutil
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="package")
def packed(plane_epoch, tmp_path_factory):
    """A run on the scene `plane` with its test images' poses, the packed run, and no scene.

    `home` contains everything; `images` are the test images, outside of it.
    """
    from posenet.localization.localizer import Localizer
    from posenet.run import open_run
    from posenet.sharing.card import PackOptions
    from posenet.sharing.pack import pack_run

    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    for name in ("plane", "run"):
        shutil.copytree(plane_epoch[0] / name, home / name)
    config = home / "run" / "config.json"
    config.write_text(config.read_text().replace(str(plane_epoch[0]), str(home)))
    run = open_run(home / "run")
    images = [elsewhere / path.name for path in run.open_scene().split("test").paths]
    for path, source in zip(images, run.open_scene().split("test").paths, strict=True):
        shutil.copy(source, path)
    estimates = Localizer(run, tta_views=1).localize_all(images)
    pack_run(run, elsewhere / "plane.zip", PackOptions())
    (home / "plane").rename(elsewhere / "plane")
    return SimpleNamespace(
        home=home,
        run=run,
        images=images,
        estimates=estimates,
        archive=elsewhere / "plane.zip",
        scene=elsewhere / "plane",
    )
