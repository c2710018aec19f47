"""The command `pack`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posenet.errors import PoseNetError

log = logging.getLogger("posenet")


@dataclass(frozen=True)
class PackConfig:
    """Pack a run into one file, or upload it to the Hugging Face Hub.

    A packed run contains network, landmark map, poses of the training images, evaluation and a
    model card. It works without the scene. All commands that read a run folder read a packed run.
    Descriptors and map are made first if they are missing.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that training wrote, or a packed run."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.zip|hf://USER/NAME")]
    """File to write, or repository to upload to. A new repository is private. Uploading requires
    the extra `hub`."""
    license: str | None = None
    """License of the training images for the model card, such as cc-by-4.0. Default: not stated."""
    title: str | None = None
    """Title of the model card. Default: the name of the scene."""
    figures: bool = True
    """Include the figures and the 3-D page of the evaluation. worst_images.png, matches.png and
    view.html show images of the scene."""
    public: bool = False
    """Make a new repository public."""
    overwrite: bool = False
    """Replace the file if it exists."""


def pack(config: PackConfig) -> None:
    """Pack a run.

    Args:
        config: the options.

    Raises:
        PoseNetError: the target is neither a .zip file nor a repository, or it cannot be written.
    """
    from posenet.io.hub import import_hub, is_hub_address, parse_hub_address
    from posenet.run import open_run
    from posenet.run_files import ARCHIVE_SUFFIX, is_packed

    is_upload = is_hub_address(config.target)
    if is_upload:
        import_hub(parse_hub_address(config.target))
    elif config.target.suffix.lower() != ARCHIVE_SUFFIX:
        raise PoseNetError(
            f"a run is packed into FILE.zip or hf://USER/NAME, received {config.target}"
        )
    run = open_run(config.run)
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.sharing.card import PackOptions
    from posenet.sharing.pack import pack_run
    from posenet.sharing.upload import upload_run

    if is_packed(config.run) and config.license is None:
        log.warning("the license that %s states is not copied: use --license", config.run)
    options = PackOptions(config.license, config.title, config.figures)
    if is_upload:
        address = parse_hub_address(config.target)
        upload_run(run, address, options, public=config.public)
        log.info("uploaded: %s", address)
    else:
        pack_run(run, config.target, options, overwrite=config.overwrite)
        size = config.target.stat().st_size
        log.info("written: %s, %.1f MB", config.target, size / 1e6)
