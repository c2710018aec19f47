"""The command `live`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from posenet.cli.options import Positional, Refine
from posenet.cli.startup import OncePerMessage

if TYPE_CHECKING:
    from posenet.live.access import Access
    from posenet.localization.localizer import Localizer

log = logging.getLogger("posenet")


@dataclass(frozen=True)
class LiveConfig:
    """Localize images in the browser, or by HTTP requests of other programs.

    Prints the address of a page on this computer. `POST /localize` with the bytes of an image
    answers its pose as JSON. Ctrl-C stops the server.
    """

    run: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote, or a packed run: a .zip file or hf://USER/NAME[@REVISION]."""
    port: int = 8077
    """Port to listen on; 0 for any free one."""
    host: str = "127.0.0.1"
    """Address to listen on. Others than this computer's own need the token that is then part of the
    printed address. The connection is not encrypted."""
    open: bool = True
    """Open the page in the browser, if this computer has a display and no token is needed."""
    refine: Refine = None
    """Refine each pose by local feature matching and PnP, which requires known or measured
    intrinsics of the training images and builds a landmark map on first use. --refine fails if it
    is not possible, --no-refine answers the poses of the network."""


def live(config: LiveConfig) -> None:
    """Serve a run until Ctrl-C.

    Args:
        config: the options.
    """
    from posenet.live.limits import Limits

    limits = Limits()
    # OpenCV reads it when it is imported. Some headers state another size than the decoder finds.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(limits.max_pixels))
    from posenet.cli.startup import start_keras
    from posenet.live.access import choose_access
    from posenet.live.server import listen
    from posenet.run import open_run

    run = open_run(config.run)
    with listen(config.host, config.port) as listener:
        address, port = listener.getsockname()[:2]
        access = choose_access(config.host, address, port)
        log.info("loading %s", run)
        start_keras()
        from posenet.live.app import LiveApp
        from posenet.live.localize import LiveLocalizer
        from posenet.live.page import make_page
        from posenet.live.server import LiveServer
        from posenet.live.worker import Worker
        from posenet.localization.localizer import Localizer

        localizer = Localizer(run, refine=config.refine)
        worker = Worker(LiveLocalizer(localizer, limits.max_tracks))
        log.addFilter(OncePerMessage())
        with tempfile.TemporaryDirectory(
            prefix="posenet-live-", ignore_cleanup_errors=True
        ) as folder:
            page = make_page(localizer)
            app = LiveApp(worker, describe(localizer), page, Path(folder), limits)
            _announce(access, opens=config.open)
            with suppress(KeyboardInterrupt):
                LiveServer(app, access).run(sockets=[listener])
            _end_quietly()
    # Without the teardown of TensorFlow, which takes seconds; its threads cannot be interrupted.
    sys.stdout.flush()
    os._exit(0)


def describe(localizer: Localizer) -> dict[str, Any]:
    """Return the content of `GET /info`.

    Args:
        localizer: the localizer.

    Returns:
        What the server localizes with.
    """
    from posenet import __version__

    run = localizer.run
    camera = run.camera
    names = ("width", "height", "fx", "fy", "cx", "cy", "model")
    return {
        "run": run.folder.resolve().name,
        "scene": run.scene.name,
        "unit": run.unit,
        "camera": camera and {name: getattr(camera, name) for name in names},
        "version": __version__,
        "refines": localizer.refines,
    }


def _announce(access: Access, *, opens: bool) -> None:
    """Print the address of the page, and open it."""
    print(access.url, flush=True)
    log.info("stop with Ctrl-C")
    if opens and access.token is None and _has_display():
        import webbrowser

        webbrowser.open(access.url)


def _end_quietly() -> None:
    """Ignore a second Ctrl-C, and messages about images that are not needed any more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    log.info("stopped")
    log.setLevel(logging.CRITICAL)


def _has_display() -> bool:
    """Return whether a browser opens a window, instead of taking over the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
