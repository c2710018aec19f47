"""Write a landmark map: the points of finished blocks, then the map's arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from posenet.geometry.poses import Poses
from posenet.io.files import atomic_path
from posenet.io.stored_arrays import DAMAGED, open_arrays
from posenet.mapping.landmark_arrays import encode_descriptors, encode_distances, encode_rays
from posenet.mapping.sweep import BLOCK_IMAGES
from posenet.mapping.triangulation import Observations, ObservedBlock

# Arrays with a row per point: their types and columns.
POINT_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "distances": (np.uint16, ()),
    "rays": (np.int16, (2,)),
    "descriptors": (np.uint8, (64,)),
}
# Arrays with a row per image, and their columns.
IMAGE_ARRAYS: dict[str, tuple[int, ...]] = {"pixels": (), "ray_scales": (), "log_distances": (2,)}


class _OpenArray(NamedTuple):
    """A file of an array whose rows are written in any order."""

    file: IO[bytes]
    start: int
    row_bytes: int


def save_block(folder: Path, block: ObservedBlock, poses: Poses) -> None:
    """Save what a block of images observes.

    Args:
        folder: the folder of unfinished work.
        block: the block.
        poses: the poses of all images.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*POINT_ARRAYS, *IMAGE_ARRAYS)}
    for row, observed in zip(block.rows.tolist(), block.observations, strict=True):
        distances = np.linalg.norm(observed.points - poses.positions[row], axis=1)
        codes, log_distances = encode_distances(distances)
        rays, scale = encode_rays(observed.keypoints.rays)
        parts["distances"].append(codes)
        parts["rays"].append(rays)
        parts["descriptors"].append(encode_descriptors(observed.keypoints.descriptors))
        parts["pixels"].append(np.array([observed.keypoints.pixel]))
        parts["ray_scales"].append(np.array([scale]))
        parts["log_distances"].append(np.array([log_distances]))
    counts = np.array([len(observed.points) for observed in block.observations])
    arrays: dict[str, Any] = {name: np.concatenate(values) for name, values in parts.items()}
    with atomic_path(_file(folder, block.number)) as temporary, open(temporary, "wb") as file:
        np.savez(file, counts=counts, rows=block.rows, **arrays)


def save_mapped(
    folder: Path, observe: Callable[[int], Observations], num_mapped: int, poses: Poses
) -> None:
    """Save what the images of a map observe that is extended.

    Args:
        folder: the folder of unfinished work.
        observe: returns what an image of the map observes.
        num_mapped: number of these images, the first of all.
        poses: the poses of all images.
    """
    for start in range(0, num_mapped, BLOCK_IMAGES):
        rows = np.arange(start, min(start + BLOCK_IMAGES, num_mapped))
        # Blocks of the map have negative numbers: their files have other names.
        block = ObservedBlock(
            -1 - start // BLOCK_IMAGES, rows, [observe(row) for row in rows.tolist()]
        )
        save_block(folder, block, poses)


def is_saved(folder: Path, block: int) -> bool:
    """Return whether the points of a block are saved.

    Args:
        folder: the folder of unfinished work.
        block: number of the block.

    Returns:
        False if the file is missing or damaged.
    """
    try:
        with open_arrays(_file(folder, block)) as saved:
            return len(saved["counts"]) == len(saved["rows"])
    except DAMAGED:
        return False


def count_points(folder: Path, num_images: int) -> np.ndarray:
    """Count the points that each image observes.

    Args:
        folder: the folder of unfinished work.
        num_images: number of images n.

    Returns:
        Shape (n,).
    """
    counts = np.zeros(num_images, int)
    for file in _files(folder):
        with open_arrays(file) as saved:
            counts[saved["rows"]] = saved["counts"]
    return counts


def write_arrays(unfinished: Path, target: Path, poses: Poses) -> None:
    """Write the arrays of a map from the points of its blocks, one block in memory at a time.

    Args:
        unfinished: the folder of unfinished work.
        target: the folder of the map.
        poses: the poses of all images.
    """
    total = len(poses)
    starts = np.concatenate([[0], np.cumsum(count_points(unfinished, total))])
    origin = poses.positions.mean(axis=0)
    per_image = {name: np.zeros((total, *columns)) for name, columns in IMAGE_ARRAYS.items()}
    with ExitStack() as stack:
        files = {
            name: _create(stack.enter_context(open(target / f"{name}.npy", "wb")), starts[-1], name)
            for name in POINT_ARRAYS
        }
        for block in _blocks(unfinished):
            for name, array in per_image.items():
                array[block["rows"]] = block[name]
            ends = np.cumsum(block["counts"])[:-1]
            for name, opened in files.items():
                for row, part in zip(block["rows"], np.split(block[name], ends), strict=True):
                    opened.file.seek(opened.start + int(starts[row]) * opened.row_bytes)
                    opened.file.write(part.tobytes())
    per_image |= {
        "starts": starts,
        "origin": origin,
        "positions": poses.positions - origin,
        "quaternions": poses.quaternions_wxyz,
    }
    for name, array in per_image.items():
        np.save(target / f"{name}.npy", array)


def _create(file: IO[bytes], rows: int, name: str) -> _OpenArray:
    """Write the header of an array."""
    dtype, columns = POINT_ARRAYS[name]
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (int(rows), *columns),
    }
    np.lib.format.write_array_header_1_0(file, header)
    return _OpenArray(file, file.tell(), np.dtype(dtype).itemsize * int(np.prod(columns)))


def _blocks(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    for file in _files(folder):
        with open_arrays(file) as saved:
            yield {name: saved[name] for name in saved.files}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("points-*.npz"))


def _file(folder: Path, block: int) -> Path:
    return folder / f"points-{block:06d}.npz"
