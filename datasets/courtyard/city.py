"""A simulated city: many different courtyards on a grid in one world frame, as a plain table.

A courtyard has three training walks and a test walk, in folders of their own. Images depend only on
the seed and their numbers, so that the number of processes does not matter.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from posenet.datasets.courtyard.city_plan import City
from posenet.datasets.courtyard.generate import JPEG_QUALITY, NUM_SEQUENCES, TEST_SEQUENCE
from posenet.datasets.courtyard.meshes import Face
from posenet.datasets.courtyard.photographs import LIGHTS, courtyard_camera, lit_ground, photograph
from posenet.datasets.courtyard.variation import vary
from posenet.datasets.courtyard.world import World, make_world
from posenet.datasets.formats import csv_table
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.geometry.poses import Poses, concatenate
from posenet.io.files import atomic_directory, exclusive_lock, require_free_space, write_text
from posenet.io.json_files import read_json

log = logging.getLogger("posenet")

# Options of the city, which a resumed command must have too.
STATE_FILE = "city.json"
# Images of a courtyard if the number of courtyards is not given: about 100 in each walk.
IMAGES_PER_COURTYARD = 400
# Size of a JPEG file in bytes: that of its headers, and per pixel. Disks round up to blocks.
HEADER_BYTES = 1000
BYTES_PER_PIXEL = 0.62
BLOCK_BYTES = 4096
# Sizes of images: smallest and largest side in pixels.
MIN_SIDE = 32
MAX_SIDE = 4096


def make_city(
    folder: Path,
    *,
    images: int = 1000,
    courtyards: int | None = None,
    size: tuple[int, int] = (160, 120),
    seed: int = 0,
    processes: int | None = None,
    progress: bool = True,
) -> City:
    """Write a city, or the rest of one whose writing was interrupted.

    The same options give the same files.

    Args:
        folder: the folder to write, new or that of an interrupted call.
        images: number of images, at least 4 for each courtyard.
        courtyards: number of courtyards. Default: one for 400 images.
        size: width and height of the images in pixels.
        seed: seed of all randomness.
        processes: number of processes. Default: that of the CPU cores.
        progress: show the progress on stderr.

    Returns:
        What the city contains.

    Raises:
        PoseNetError: an option is out of its range, the folder contains something else, or the disk
            is too small.
    """
    city = _check_options(images, courtyards, size, seed)
    _prepare(Path(folder), city)
    with exclusive_lock(folder):
        _remove_unfinished(folder)
        missing = [
            number for number in range(city.courtyards) if not _is_written(folder, city, number)
        ]
        remaining = sum(sum(city.walk_counts(number)) for number in missing)
        _check_disk(folder, city, remaining)
        _render_all(folder, city, missing, processes or os.cpu_count() or 1, progress=progress)
        _write_table(folder, city)
    return city


def _check_options(images: int, courtyards: int | None, size: tuple[int, int], seed: int) -> City:
    """Return the city of these options."""
    if courtyards is None:
        courtyards = max(1, round(images / IMAGES_PER_COURTYARD))
    if courtyards < 1 or images < NUM_SEQUENCES * courtyards:
        raise PoseNetError(
            f"a city needs at least 1 courtyard and {NUM_SEQUENCES} images for each, received "
            f"{count(courtyards, 'courtyard')} and {count(images, 'image')}"
        )
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise PoseNetError(
            f"the size of the images must be {MIN_SIDE} to {MAX_SIDE} pixels, received "
            f"{size[0]} x {size[1]}"
        )
    if seed < 0:
        raise PoseNetError(f"the seed must be 0 or more, received {seed}")
    return City(images, courtyards, *size, seed)


def _prepare(folder: Path, city: City) -> None:
    """Make the folder with its options, or check that it has the same ones."""
    state = folder / STATE_FILE
    if state.is_file():
        try:
            found = read_json(state)
        except ValueError:
            found = None
        if found != asdict(city):
            raise PoseNetError(
                f"{folder} is a city with other options ({_describe(found)}), received "
                f"({_describe(asdict(city))}): remove it, or choose another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PoseNetError(f"output folder already exists: {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(state, json.dumps(asdict(city)) + "\n")


def _describe(state: Any) -> str:
    """Return the content of the options' file in a line."""
    if not isinstance(state, dict):
        return "unreadable"
    return ", ".join(f"{name} {value}" for name, value in state.items())


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left."""
    for path in folder.glob("court*/.*.unfinished"):
        shutil.rmtree(path, ignore_errors=True)


def _is_written(folder: Path, city: City, courtyard: int) -> bool:
    return all((folder / city.folder(courtyard, walk)).is_dir() for walk in range(NUM_SEQUENCES))


def _check_disk(folder: Path, city: City, remaining: int) -> None:
    """Log the disk use of the images that are not yet written, and check the space for it."""
    each = HEADER_BYTES + BYTES_PER_PIXEL * city.width * city.height
    size = remaining * math.ceil(each / BLOCK_BYTES) * BLOCK_BYTES
    log.info(
        "%s: %s of %d x %d pixels to write, about %.2f GB",
        folder,
        count(remaining, "image"),
        city.width,
        city.height,
        size / 1e9,
    )
    require_free_space(folder, size)


def _render_all(
    folder: Path, city: City, courtyards: list[int], processes: int, *, progress: bool
) -> None:
    """Render courtyards in parallel processes."""
    processes = min(processes, len(courtyards))
    with tqdm(
        total=sum(sum(city.walk_counts(number)) for number in courtyards),
        desc="city",
        unit="image",
        disable=None if progress else True,
    ) as bar:
        if processes < 2:
            for number in courtyards:
                bar.update(_render_courtyard(folder, city, number))
            return
        # Forked processes could inherit locks of other threads.
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        pool = ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=(stop,))
        try:
            jobs = [pool.submit(_render_courtyard, folder, city, number) for number in courtyards]
            for job in as_completed(jobs):
                bar.update(job.result())
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


_stop: Any = None


class _StopError(Exception):
    """The main process was interrupted."""


def _start_worker(stop: Any) -> None:
    """Prepare a process: the main process alone handles Ctrl-C."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)


def _render_courtyard(folder: Path, city: City, courtyard: int) -> int:
    """Write the walks of a courtyard that are missing. Returns its number of images."""
    world_seed = int(np.random.SeedSequence([city.seed, courtyard]).generate_state(1)[0])
    world = vary(make_world(world_seed), np.random.default_rng([city.seed, courtyard, 0]))
    for number, poses in enumerate(city.local_walks(courtyard)):
        target = folder / city.folder(courtyard, number)
        if target.is_dir():
            continue
        target.parent.mkdir(exist_ok=True)
        with atomic_directory(target) as unfinished:
            ground = lit_ground(world, LIGHTS[number])
            _render_walk(unfinished, city, (world, ground), (courtyard, number), poses)
    return sum(city.walk_counts(courtyard))


def _render_walk(
    folder: Path, city: City, place: tuple[World, Face], number: tuple[int, int], poses: Poses
) -> None:
    """Write the images of a walk."""
    camera = courtyard_camera(city.width, city.height)
    for row in range(len(poses)):
        if _stop is not None and _stop.is_set():
            raise _StopError
        rng = np.random.default_rng([city.seed, *number, 3, row])
        image = photograph(*place, number[1], poses[row], rng, camera)
        encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )[1]
        (folder / city.file_name(*number, row)).write_bytes(encoded.tobytes())


def _write_table(folder: Path, city: City) -> None:
    """Write poses.csv, with which the city is complete."""
    walks, names, splits = [], [], []
    for courtyard in range(city.courtyards):
        for number, poses in enumerate(city.local_walks(courtyard)):
            walks.append(city.place(courtyard, poses))
            names += [
                f"{city.folder(courtyard, number)}/{city.file_name(courtyard, number, row)}"
                for row in range(len(poses))
            ]
            splits += ["test" if number == TEST_SEQUENCE else "train"] * len(poses)
    scene = Scene(
        name=folder.resolve().name,
        root=folder,
        names=tuple(names),
        poses=concatenate(walks),
        cameras=(courtyard_camera(city.width, city.height),) * city.images,
        splits=np.array(splits),
        sequences=np.array([name.rpartition("/")[0] for name in names]),
    )
    csv_table.write(scene, folder, [])
