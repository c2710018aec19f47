"""The Python API: train a run, load it, evaluate it, localize images with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posenet.config import TTA_VIEWS, TrainConfig
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.environment import import_keras
from posenet.errors import PoseNetError
from posenet.run import Run as RunFolder

if TYPE_CHECKING:
    import keras

    from posenet.evaluation.evaluate import Evaluation
    from posenet.localization.localizer import Localizer
    from posenet.localization.tracking import PoseTracker

# Keep TensorFlow's start-up messages off the user's screen; it is imported on first use only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class Run(RunFolder):
    """A trained run: evaluate it, or localize images with it."""

    def evaluate(
        self,
        scene: str | Path | None = None,
        *,
        refine: bool | None = None,
        smooth: bool = False,
        tta_views: int = TTA_VIEWS,
        strict: bool = False,
    ) -> Evaluation:
        """Localize the test images and compare with their true poses and with baselines.

        Args:
            scene: folder of the scene, if it is not where it was in training.
            refine: refine each pose by local feature matching and PnP. Default: if the intrinsics
                of the training images are known and the landmark map can be built.
            smooth: smooth each test sequence as a video.
            tta_views: number of test-time augmentation views per image, 1 to 11.
            strict: refuse any label issue in the scene.

        Returns:
            The evaluation. It prints as the report; `save(folder)` writes figures and tables.

        Raises:
            PoseNetError: the scene, its test split or the model cannot be used, or refinement is
                requested but not possible.
        """
        import_keras()
        from posenet.evaluation.evaluate import evaluate_run
        from posenet.localization.localizer import LocalizationOptions

        options = LocalizationOptions(tta_views=tta_views, smooth=smooth, refine=refine)
        return evaluate_run(self, scene, strict=strict, options=options)

    def localizer(self, *, refine: bool | None = None, tta_views: int | None = None) -> Localizer:
        """Return a localizer that loads the model, and the map for refinement, once.

        Args:
            refine: refine each pose by local feature matching and PnP. Default: if the intrinsics
                of the training images are known and the landmark map can be built.
            tta_views: number of test-time augmentation views per image, 1 to 11. Default: 3 with
                refinement, 11 without.

        Returns:
            The localizer; its `localize` takes one image, `localize_all` many.

        Raises:
            PoseNetError: the model cannot be loaded.
        """
        import_keras()
        from posenet.localization.localizer import Localizer

        return Localizer(self, refine=refine, tta_views=tta_views)

    def tracker(self) -> PoseTracker:
        """Return a tracker that refines the poses of a video or stream, image by image.

        Returns:
            The tracker; its `track` takes the next image.

        Raises:
            PoseNetError: the model cannot be loaded.
        """
        import_keras()
        from posenet.localization.tracking import PoseTracker

        return PoseTracker(self.localizer(refine=True))


def load(folder: str | Path) -> Run:
    """Load a run.

    Args:
        folder: the folder that training wrote, or a packed run: a .zip file or
            hf://user/name[@revision].

    Returns:
        The run.

    Raises:
        PoseNetError: `folder` is not a run, or its config.json cannot be read.
    """
    return Run.open(folder)


def train(
    scene: str | Path | Scene,
    output: str | Path | None = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> Run:
    """Train a network on a scene: the same as ``posenet train SCENE --output OUTPUT``.

    Args:
        scene: folder of the scene, or the scene as `open_scene` returned it. With the option `add`,
            the folder of a run that this other scene is added to.
        output: run folder to write. Default: runs/ plus the name of the scene's folder.
        callbacks: Keras callbacks. They run after those of the training, whose `logs` of an epoch
            are loss, position_error (scene units) and rotation_error_deg, and the same errors with
            `val_` in epochs that were validated (each one if `epochs` is given).
            `self.model.network` is the network. If one stops the training, the run can be resumed.
        **options: the fields of `posenet.config.TrainConfig`, which are the options of the
            command: minutes, epochs, backbone, split, seed, resume, overwrite and so on.

    Returns:
        The trained run.

    Raises:
        PoseNetError: the scene cannot be opened, an option is out of range, a callback is not a
            Keras callback, the output folder exists, or training diverged.
        TypeError: there is no such option.
    """
    if isinstance(scene, Scene):
        options.setdefault("split", scene.split_rule)
        root = _reopened_root(scene)
    else:
        root = Path(scene)
    folder = Path(output) if output is not None else None
    if options.get("add") is not None:
        options["add"] = Path(options["add"])
    elif folder is None:
        folder = Path("runs") / root.resolve().name
    config = TrainConfig(scene=root, output=folder, **options)
    import_keras("jax" if config.hosts else config.backend)
    if config.hosts:
        from posenet.training.devices import join_hosts

        join_hosts()
    from posenet.training.train import train as train_run

    return Run.open(train_run(config, callbacks).folder)


def _reopened_root(scene: Scene) -> Path:
    """Return the folder of a scene, after a check that it still contains this very scene."""
    on_disk = open_scene(scene.root, split=scene.split_rule)
    if on_disk.names != scene.names or not np.array_equal(on_disk.splits, scene.splits):
        raise PoseNetError(
            f"train requires a scene as open_scene returned it: {scene.root} contains "
            f"{len(on_disk)} images, received {len(scene)} or another split"
        )
    return scene.root
