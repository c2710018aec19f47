"""Training: a scene and settings in, a run folder with the best model out."""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from posenet import callbacks
from posenet.augmentation import NO_AUGMENTATION, Augmentation
from posenet.baselines import mean_pose_errors
from posenet.cache import load_pictures
from posenet.config import SCENE_MINUTES, Head, TrainConfig
from posenet.datasets import open_scene, settled_split
from posenet.depth import scene_depths
from posenet.device import set_up
from posenet.errors import PoseNetError
from posenet.framing import square_cut, whole_frame
from posenet.holdout import holdout_mask
from posenet.images import picture_size
from posenet.losses import GeometricLoss, LearnedWeightsLoss, PoseNetLoss
from posenet.models import TRUNKS, build_network, inference_network, trunk_named
from posenet.models.pretrained import best_trunk, load_into
from posenet.pipeline import Batches, default_batch_size, predict_in_batches
from posenet.poses import Poses, position_errors, rotation_errors_deg
from posenet.progress import Progress
from posenet.run import HISTORY, Run, new_run_folder, open_run
from posenet.scene import Camera, Scene
from posenet.storage import atomic_path
from posenet.trainer import Trainer
from posenet.transfer import train_heads

log = logging.getLogger("posenet")

FARTHEST = 0.5  # that views move, in mean distances of the cameras from their centre


def train(config: TrainConfig) -> Run:
    """Train on the training split of config.scene and write the run folder config.output; returns the run.

    With config.resume the run folder's own settings are used. Raises PoseNetError for what the user can mend,
    and when the loss becomes NaN (the last good model stays).
    """
    started = time.monotonic()
    output = config.output
    if output is None:
        raise PoseNetError("training needs an output folder")
    resumed = None
    if config.resume:
        resumed = open_run(output)
        config = resumed.config
    elif config.scene is None:
        raise PoseNetError("training needs a scene")
    else:
        if config.trunk == "auto":
            config = replace(config, trunk=best_trunk())
        new_run_folder(output, config.overwrite)
    try:
        return _fit(config, started, resumed)
    except PoseNetError:
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()
        raise


def _fit(config: TrainConfig, started: float, resumed: Run | None) -> Run:
    precision = set_up(config.precision, trunk_named(config.trunk).dense)
    keras.utils.set_random_seed(config.seed)
    scene = open_scene(
        (resumed.scene if resumed else config.scene) or Path(),
        strict=config.strict,
        split=resumed.split if resumed else config.split,
    ).split("train")
    run = resumed or _describe(config, scene, precision)
    pictures = load_pictures(scene.paths, run.framing.stored, "training pictures")
    scene = scene.subset(pictures.rows)
    held_out = np.isin(scene.names, run.held_out)
    run.save()
    log.info(
        "%s: %d pictures to train on, %d held out; the network sees %d x %d, %s",
        scene.name, (~held_out).sum(), held_out.sum(), *run.framing.cut[::-1], precision,
    )  # fmt: skip
    state = run.folder / "backup" / "state.npz"
    batches = _batches(config, scene, pictures, run, ~held_out)
    if not state.is_file():
        run = replace(run, head=_head(config, batches))
        run.save()
    trainer = _trainer(config, run, None if resumed and state.is_file() else batches)
    minutes = None if config.epochs else config.minutes or SCENE_MINUTES
    budget = callbacks.Budget(config.epochs, (minutes or 0) * 60, batches.steps, started)
    validation = _validation(trainer, run, scene.subset(held_out), pictures, np.flatnonzero(held_out), budget)
    backup = callbacks.Backup(state, budget, validation, lambda: _save(trainer, run))
    done = backup.restore(trainer) if resumed and state.is_file() else 0
    if budget.progress < 1:
        kept = [validation] if validation else []
        progress = Progress(budget, scene.unit, batches.batch_size)
        history = callbacks.History(run.folder / HISTORY, budget, done)
        schedule = callbacks.Schedule(budget, config.learning_rate or trunk_named(config.trunk).learning_rate)
        trainer.fit(
            batches.stream(done), epochs=config.epochs or 10**6, initial_epoch=done, steps_per_epoch=batches.steps,
            callbacks=[schedule, callbacks.StopOnNaN(), *kept, progress, history, backup], verbose=0, shuffle=False,
        )  # fmt: skip
        gc.collect()  # the batches' thread must end before Python does
    if validation:
        position, degrees = validation.best_errors
        log.info("kept epoch %d: held out %.3f %s %.1f deg", validation.best_epoch, position, scene.unit, degrees)
    else:
        _save(trainer, run)
    return run


def _describe(config: TrainConfig, scene: Scene, precision: str) -> Run:
    """Settle what depends on the scene: framing, the positions' centre and scale, the held-out pictures."""
    sizes = [picture_size(path) for path in scene.paths[:: max(1, len(scene) // 50)]]
    fixed = trunk_named(config.trunk).fixed_size
    framing = (
        square_cut(sizes, config.short_side or 256, fixed[0])
        if fixed
        else whole_frame(sizes, config.short_side or config.default_short_side)
    )
    positions = scene.poses.positions
    centre = positions.mean(axis=0)
    scale = float(np.linalg.norm(positions - centre, axis=1).mean()) or 1.0
    mask = holdout_mask(scene, config.validation)
    if not all(camera and camera.turns_by_homography for camera in scene.cameras):
        log.warning("%s: pictures of unknown focal length or bent lines only roll and shift when augmented", scene.name)
    return Run(
        config.output or Path(), config, scene.root.absolute(), scene.unit, framing, tuple(centre.tolist()), scale,
        tuple(name for name, out in zip(scene.names, mask, strict=True) if out), precision,
        settled_split(scene.root, config.split), camera=_commonest_camera(scene),
    )  # fmt: skip


def _commonest_camera(scene: Scene) -> Camera | None:
    """The camera of most of the pictures whose intrinsics are known."""
    counts = Counter(camera for camera in scene.cameras if camera and camera.source != "assumed")
    return counts.most_common(1)[0][0] if counts else None


def _trainer(config: TrainConfig, run: Run, fresh: Batches | None) -> Trainer:
    """The network with its loss and optimiser; fresh: what to start its heads with, None for a run that goes on."""
    network = build_network(config.trunk, run.framing.cut, run.centre, run.scale, head=run.head)
    kinds = {"learned": LearnedWeightsLoss, "geometric": GeometricLoss}
    loss = kinds[config.loss](run.scale) if config.loss in kinds else PoseNetLoss(config.beta)
    trainer = Trainer(network, loss)
    loaded = load_into(network, config.trunk, config.weights) if fresh else None
    if fresh and loaded:
        log.info("the trunk starts from published weights: %s", loaded)
        if not trunk_named(config.trunk).auxiliary:
            train_heads(trainer, fresh)
    trainer.compile(optimizer=_optimizer(), jit_compile=False)
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _optimizer() -> keras.optimizers.Optimizer:
    """Adam, but Muon (Jordan 2024) for the heads' hidden layers: the position is learned in half as many steps.

    The wide layers and the outputs of the 2015 heads stay with Adam: Muon's matrix products would slow them.
    Now and then a step's gradient is twenty times the usual; with beta_2 = 0.999 Adam took it for a real step, and
    the loss rose for several epochs. With 0.95 it soon counts in the divisor too.
    """
    others = ["_xyz", "_wpqr", "_fc"]
    return keras.optimizers.Muon(
        exclude_layers=others, weight_decay=None, adam_weight_decay=None, adam_lr_ratio=0.5, adam_beta_2=0.95
    )


def _batches(config: TrainConfig, scene: Scene, pictures, run: Run, chosen: np.ndarray) -> Batches:
    augmentation = Augmentation() if config.augment else NO_AUGMENTATION
    rows = np.flatnonzero(chosen)
    scene, pictures = scene.subset(rows), pictures.subset(rows)
    size = config.batch_size or default_batch_size(len(rows), run.framing.cut)
    depths = _depths(scene, run) if config.head != "pose" or (config.augment and config.novel_views) else None
    # where the cameras hardly move, their new views must not stand far beside them either
    move = augmentation.move if config.novel_views else 0.0
    augmentation = replace(augmentation, move=move, farthest=FARTHEST * run.scale)
    return Batches(scene, pictures, run.framing, augmentation, size, config.seed, depths)


def _head(config: TrainConfig, batches: Batches) -> Head:
    """How the network answers: as wanted, or by points where the trunk and the scene allow it."""
    able = trunk_named(config.trunk).maps is not None
    if config.loss == "geometric" and batches.share_with_depth < 0.5:
        raise PoseNetError(
            f"--loss geometric needs the depth of most training pictures, {batches.share_with_depth:.0%} have one"
        )
    if config.head == "points" and not able:
        names = ", ".join(name for name, trunk in TRUNKS.items() if trunk.maps)
        raise PoseNetError(f"--head points needs one of the trunks {names}, received {config.trunk}")
    if config.head != "auto":
        return config.head
    return "points" if able and batches.share_with_depth >= 0.5 else "pose"


def _depths(scene: Scene, run: Run) -> np.ndarray | None:
    """Depth grids of the training pictures, kept in the run folder for when training goes on."""
    kept = run.folder / "backup" / "depths.npy"
    try:
        return np.load(kept, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        pass  # not there, or damaged
    depths = scene_depths(scene, run.framing)
    if depths is not None:
        kept.parent.mkdir(exist_ok=True)
        with atomic_path(kept) as temporary, open(temporary, "wb") as file:
            np.save(file, depths)
    return depths


def _save(trainer: Trainer, run: Run) -> None:
    """Write model.keras: the float32 network of the final head."""
    run.save_model(
        inference_network(trainer.network, run.config.trunk, run.framing.cut, run.centre, run.scale, run.head)
    )


def _validation(trainer: Trainer, run: Run, scene: Scene, pictures, rows: np.ndarray, budget):
    """The callback that measures the held-out pictures; None when there are none."""
    if len(rows) == 0:
        return None
    held_out = pictures.subset(rows)

    def measure() -> tuple[float, float]:
        outputs = predict_in_batches(trainer.final_head, held_out, run.framing)
        estimate = Poses.from_quaternions(outputs["position"], outputs["quaternion"])
        errors = position_errors(estimate, scene.poses), rotation_errors_deg(estimate, scene.poses)
        return float(np.median(errors[0])), float(np.median(errors[1]))

    scales = [max(float(np.median(errors)), 1e-9) for errors in mean_pose_errors(scene.poses, scene.poses)]
    return callbacks.Validation(measure, lambda: _save(trainer, run), (scales[0], scales[1]), budget)
