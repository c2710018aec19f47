"""The command `view`."""

from __future__ import annotations

import logging
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from posenet.cli.options import EvaluateConfig, Positional
from posenet.cli.scene import find_images
from posenet.errors import PoseNetError

if TYPE_CHECKING:
    from posenet.run import Run

log = logging.getLogger("posenet")


@dataclass(frozen=True)
class ViewConfig:
    """Show a run's evaluation or a scene as a 3-D page in the browser.

    The page is one HTML file: map points, training cameras, true and estimated camera paths colored
    by error, and the images. It needs no server and makes no request. For a run it is
    evaluation/view.html, and the run is evaluated first if that is missing or older than the model.
    For a scene it shows cameras, points, and label issues in red. The page in a packed run is not
    opened, only its path is printed.
    """

    source: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN|SCENE")]
    """Run folder that training wrote, a packed run, or a scene folder."""
    output: Path | None = None
    """HTML file to write for a scene. Default: the name of the scene and _view.html, in the current
    folder."""
    split: str = "auto"
    """For a scene, its test split: auto (the scene's own or its test.txt, otherwise blocks),
    blocks, sequence:NAME, every:8, random:0.25, or a text file that lists the test images."""
    open: bool = True
    """Open the page in the browser."""


def view(config: ViewConfig) -> None:
    """Write the page of a run or a scene, print its path and open it.

    Args:
        config: the options.

    Raises:
        PoseNetError: the folder is neither, or the page cannot be written.
    """
    from posenet.run import CONFIG, open_run
    from posenet.run_files import is_packed

    if is_packed(config.source):
        print(_packed_page(config.source, open_run(config.source)))
        log.info("not opened: the page may run scripts of whoever packed the run")
        return
    if (config.source / CONFIG).is_file():
        option = "output" if config.output is not None else "split"
        if config.output is not None or config.split != "auto":
            raise PoseNetError(f"--{option} requires a scene, received the run {config.source}")
        page = _run_page(open_run(config.source))
    else:
        page = _scene_page(config)
    print(page)
    if config.open and not webbrowser.open(page.resolve().as_uri()):
        log.warning("no browser found: open the file yourself")


def _run_page(run: Run) -> Path:
    """Return the page of the last evaluation; evaluate if there is none of this model."""
    from posenet.evaluation.report import VIEW
    from posenet.run import MODEL

    page = run.folder / "evaluation" / VIEW
    model = run.folder / MODEL
    is_current = page.is_file() and (
        not model.is_file() or page.stat().st_mtime >= model.stat().st_mtime
    )
    if not is_current:
        from posenet.cli.evaluate import evaluate_quietly

        log.info("evaluating %s first", run.folder)
        evaluate_quietly(EvaluateConfig(run.folder))
    return page


def _packed_page(address: Path, run: Run) -> Path:
    """Return the page in a packed run."""
    from posenet.evaluation.report import VIEW

    page = run.folder / "evaluation" / VIEW
    if not page.is_file():
        raise PoseNetError(f"{address} contains no evaluation/{VIEW}")
    return page


def _scene_page(config: ViewConfig) -> Path:
    """Write the page of a scene."""
    from posenet.datasets.registry import open_scene_with_issues, read_scene
    from posenet.viewer.page import write_page
    from posenet.viewer.scene_view import make_scene_view

    output = config.output
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise PoseNetError(f"--output must be an .html file, received {output}")
    raw = read_scene(config.source)
    scene, issues = open_scene_with_issues(
        config.source, need_images=find_images(raw), split=config.split
    )
    target = output or Path(f"{scene.name}_view.html")
    return write_page(target, make_scene_view(scene, raw, issues))
