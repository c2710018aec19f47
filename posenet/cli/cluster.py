"""Commands with a scheduler."""

from __future__ import annotations

import hashlib
import logging
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from posenet.errors import PoseNetError, count

if TYPE_CHECKING:
    from posenet.cli.options import PredictConfig
    from posenet.run import Run

log = logging.getLogger("posenet")

# Where finished tasks are kept in a run folder until all are finished.
UNFINISHED = "predict.unfinished"
# Options that concern all images together, or a stream.
UNSUPPORTED = ("topic", "output_bag", "smooth", "plot")


def tasks_on(scheduler: str | None) -> AbstractContextManager[object]:
    """Return a block whose tasks run on the workers of a scheduler.

    Args:
        scheduler: its address; None for this machine alone.

    Returns:
        The context of the block, which raises PoseNetError if the scheduler is not usable.
    """
    if scheduler is None:
        return nullcontext()
    from posenet.mapping.cluster import connect

    return connect(scheduler)


def predict_on_cluster(config: PredictConfig, run: Run) -> None:
    """Estimate the poses of images on the workers of a scheduler and print one line for each.

    Args:
        config: the options.
        run: the run.

    Raises:
        PoseNetError: an option is not usable, no image can be read, or the scheduler is not usable.
    """
    for option in UNSUPPORTED:
        if getattr(config, option):
            raise PoseNetError(f"--{option.replace('_', '-')} cannot be used with --scheduler")
    if config.runtime == "onnx":
        raise PoseNetError("--runtime onnx cannot be used with --scheduler")
    assert config.scheduler is not None
    from posenet.mapping.cluster import connect

    with connect(config.scheduler) as executor:
        from posenet.cli.predict import print_estimates
        from posenet.cli.startup import start_keras
        from posenet.io.files import fingerprint_files
        from posenet.localization.localizer import LocalizationOptions, Localizer
        from posenet.localization.query_images import image_files
        from posenet.localization.tasks import localize_in_tasks, prepare

        start_keras(config.runtime)
        names = image_files(config.images)
        paths = [path.absolute() for path in names]
        options = LocalizationOptions(tta_views=config.tta_views, refine=config.refine)
        localizer = Localizer(run, refine=config.refine, tta_views=config.tta_views)
        prepare(localizer)
        stamp = f"{fingerprint_files(paths)} {paths} {localizer.fingerprint} {options}"
        checkpoint = run.folder / UNFINISHED / hashlib.sha256(stamp.encode()).hexdigest()[:32]
        checkpoint.mkdir(parents=True, exist_ok=True)
        executor.batch = 1  # each item is a chunk of images
        found = list(localize_in_tasks(run.folder.absolute(), options, paths, checkpoint))
        if not found:
            raise PoseNetError(f"none of {count(len(paths), 'image')} can be read")
        print_estimates(
            [names[image.row] for image in found],
            [image.estimate for image in found],
            [image.retrieved for image in found] if config.show_retrieved else None,
            as_json=config.json,
        )
        shutil.rmtree(run.folder / UNFINISHED, ignore_errors=True)
