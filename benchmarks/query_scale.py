"""Opening a run and localizing one image with more and more training images.

    python benchmarks/query_scale.py [--run runs/courtyard] [--images 1000 10000 100000]

Adds invented training images to a finished run: copies of its rooms elsewhere, each image with 150
landmarks whose descriptors are those of other images, with noise, and with a global descriptor near
that of a real image. So the real images must be found among them, and queries are answered as by
the run itself. A map has about 800 landmarks an image, which would take 12 GB of disk for 100,000
images; 150 take 2 GB. Each size is measured in a process of its own: opening (the run, its training
images, gallery and map), the first query, the median of the others, and the peak of the memory. The
files that are made once are made before.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.convert import WRITERS
from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.io.files import fingerprint_content
from posenet.io.stored_arrays import BlockArray, map_array, save_arrays
from posenet.localization.retrieval import GALLERY, gallery_stamp
from posenet.mapping.landmarks import (
    INFO,
    LANDMARKS,
    Landmarks,
    _stamps,
    landmarks_folder,
    load_any_landmarks,
)
from posenet.run import MODEL, Run, open_run
from posenet.run_files import MAP_FILES

LANDMARKS_PER_IMAGE = 150
# Distance between copies in multiples of the extent of the cameras, and noise of descriptors.
TILE = 3.0
SIFT_NOISE = 12
GLOBAL_NOISE = 0.5


def main() -> None:
    """Make the runs, and measure each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/courtyard"))
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where to put the runs; default: temporary")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.run, options.queries)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        print("images   open, s   first, s   median, s   peak, MB   refined   same pose")
        for total in options.images:
            folder = Path(temporary) / str(total)
            make_run(open_run(options.run), folder, total)
            command = [sys.executable, __file__, "--run", options.run, "--measure", folder / "run"]
            command += ["--queries", options.queries]
            for _ in range(2):  # the first makes what is made once
                done = subprocess.run(
                    [str(part) for part in command], check=True, stdout=subprocess.PIPE
                )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{total:6d} {found['open']:9.2f} {found['first']:10.2f} {found['median']:11.3f} "
                f"{found['peak']:10.0f} {found['refined']:9d} {found['same']:11d}",
                flush=True,
            )
            shutil.rmtree(folder)


def measure(folder: Path, original: Path, count: int) -> dict[str, float]:
    """Return times in seconds, the peak memory in MB, and how many queries were refined."""
    from posenet.cli.startup import start_keras, start_process

    start_process()
    start_keras()
    from posenet.localization.localizer import Localizer

    queries = open_run(original).open_scene().split("test").paths[:count]
    started = time.perf_counter()
    localizer = Localizer(open_run(folder))
    assert localizer.refines
    _ = localizer.refiner, localizer.uncertainty, localizer.blending
    opened = time.perf_counter()
    times, estimates = [], []
    for path in queries:
        before = time.perf_counter()
        estimates.append(localizer.localize(path))
        times.append(time.perf_counter() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    expected = Localizer(open_run(original)).localize_all(queries)
    distances = [
        np.linalg.norm(estimate.position - expected[row].position)
        for row, estimate in enumerate(estimates)
    ]
    return {
        "open": opened - started,
        "first": times[0],
        "median": float(np.median(times[1:])),
        "peak": peak,
        "refined": sum(estimate.refined for estimate in estimates),
        "same": int((np.array(distances) < 0.01).sum()),
    }


def make_run(original: Run, folder: Path, total: int) -> None:
    """Write a scene with `total` training images, and a run on it, into a folder."""
    real = original.training_scene()
    tiles, rows = divmod_rows(total, len(real))
    scene = enlarge(real, tiles, rows, folder / "scene")
    run = replace(
        original, folder=folder / "run", scene=scene.root, split="own", training_images=scene.names
    )
    run.folder.mkdir()
    run.save()
    shutil.copy(original.folder / MODEL, run.folder)
    if (original.folder / "blending.json").is_file():
        shutil.copy(original.folder / "blending.json", run.folder)
    training = run.training_scene(need_images=False)
    order = {name: row for row, name in enumerate(scene.names)}
    chosen = np.array([order[name] for name in training.names])
    tiles, rows = tiles[chosen], rows[chosen]
    write_gallery(original, run, training, tiles, rows)
    write_map(original, run, training, tiles, rows)


def divmod_rows(total: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the copy that each image belongs to, 0 for the original, and its image there."""
    return np.divmod(np.arange(total), count)


def enlarge(real: Scene, tiles: np.ndarray, rows: np.ndarray, folder: Path) -> Scene:
    """Write a scene of copies of a scene, with links to its images."""
    extent = TILE * float(np.ptp(real.poses.positions, axis=0).max())
    side = int(np.ceil(np.sqrt(tiles.max() + 1)))
    offsets = extent * np.stack([tiles % side, tiles // side, 0 * tiles], axis=1)
    names = [
        f"tile{tile:05d}/{real.names[row].replace('/', '_')}"
        for tile, row in zip(tiles, rows, strict=True)
    ]
    scene = Scene(
        name="scale",
        root=folder,
        names=tuple(names),
        poses=Poses(
            real.poses.positions[rows] + offsets,
            Rotation.from_quat(real.poses.rotations.as_quat()[rows]),
        ),
        cameras=tuple(real.cameras[row] for row in rows),
        splits=np.full(len(rows), "train"),
        sequences=np.array([name.split("/")[0] for name in names]),
        unit=real.unit,
    )
    folder.mkdir(parents=True)
    written = WRITERS["transforms"](scene, folder, [])
    for parent in {(folder / name).parent for name in written}:
        parent.mkdir(parents=True, exist_ok=True)
    images = [str(path.absolute()) for path in real.paths]
    for name, row in zip(written, rows, strict=True):
        os.symlink(images[row], folder / name)
    return replace(scene, names=tuple(written))


def write_gallery(
    original: Run, run: Run, training: Scene, tiles: np.ndarray, rows: np.ndarray
) -> None:
    """Write global descriptors: the real ones, and mixtures of two of them with noise."""
    real = map_array(original.folder / GALLERY, "descriptors").astype(np.float32)
    rng = np.random.default_rng(0)
    values = real[rows]
    copies = np.flatnonzero(tiles)
    values[copies] += real[rng.integers(0, len(real), len(copies))]
    noise = rng.normal(size=(len(copies), real.shape[1])) * values[copies].std()
    values[copies] = np.maximum(values[copies] + GLOBAL_NOISE * noise, 0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    array = BlockArray(values.shape, np.float16, [values])
    stamp = gallery_stamp(fingerprint_content(run.folder / MODEL), training)
    with open(run.folder / GALLERY, "wb") as file:
        save_arrays(
            file, {"stamp": np.array(stamp), "rows": np.arange(len(rows)), "descriptors": array}
        )


def write_map(
    original: Run, run: Run, training: Scene, tiles: np.ndarray, rows: np.ndarray
) -> None:
    """Write a map: the real images with all landmarks, the others with some of theirs."""
    source = landmarks_folder(original.folder)
    real = load_any_landmarks(source)
    assert real is not None
    lengths = np.diff(real.starts)[rows]
    counts = np.where(tiles > 0, np.minimum(lengths, LANDMARKS_PER_IMAGE), lengths)
    starts = np.concatenate([[0], np.cumsum(counts)])
    target = run.folder / LANDMARKS
    target.mkdir()
    old = original.training_scene(need_images=False).poses.positions
    arrays = {"starts": starts, "origin": real.origin, "pixels": np.array(real.pixels)[rows]}
    for name, array in arrays.items():
        np.save(target / f"{name}.npy", array)
    # The arrays of maps before they were packed, which are still read.
    mapped = {
        name: np.lib.format.open_memmap(
            target / f"{name}.npy", mode="w+", dtype=dtype, shape=(int(starts[-1]), columns)
        )
        for name, dtype, columns in (
            ("points", np.float32, 3),
            ("rays", np.float32, 2),
            ("descriptors", np.uint8, 128),
        )
    }
    rng = np.random.default_rng(1)
    for image, row in enumerate(rows):
        part = slice(starts[image], starts[image + 1])
        chosen = real.starts[row] + np.sort(
            rng.choice(int(lengths[image]), int(counts[image]), replace=False)
        )
        mapped["points"][part] = real.points[chosen] + (
            training.poses.positions[image] - old[row]
        ).astype(np.float32)
        mapped["rays"][part] = real.rays[chosen]
        mapped["descriptors"][part] = (
            invented(real, chosen, rng) if tiles[image] else (real.descriptors[chosen])
        )
    for array in mapped.values():
        array.flush()
    for name in MAP_FILES:
        if name == "uncertainty.json" and (source / name).is_file():
            shutil.copy(source / name, target)
    (target / INFO).write_text(json.dumps({"stamp": _stamps(training)[-1]}) + "\n")


def invented(real: Landmarks, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return as many descriptors of another part of the map, with noise."""
    start = int(rng.integers(0, max(1, len(real.descriptors) - 20 * len(chosen))))
    others = real.descriptors[start : start + 20 * len(chosen)]
    picked = others[rng.integers(0, len(others), len(chosen))].astype(int)
    noisy = picked + rng.integers(-SIFT_NOISE, SIFT_NOISE + 1, picked.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
