"""Image pairs to match: all pairs of few images; sequence neighbors and similar images of many."""

from __future__ import annotations

from pathlib import Path

from posenet.io.image_cache import load_images
from posenet.mapping.global_descriptors import hog_descriptors, nearest_neighbors

# Up to this number of images, all pairs are matched.
MAX_EXHAUSTIVE = 60
# Distances of neighbors in a sequence.
SEQUENCE_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
# Number of similar images that each image is matched with.
NUM_SIMILAR = 12
# Size in pixels (height, width) that images are compared at.
SIZE = (144, 192)


def image_pairs(names: list[str], images: Path) -> list[tuple[str, str]]:
    """Choose the image pairs to match.

    Args:
        names: names of images in temporal order, each sequence in a folder.
        images: the folder that the names are relative to.

    Returns:
        Pairs of names, each once.
    """
    count = len(names)
    if count <= MAX_EXHAUSTIVE:
        return [(names[a], names[b]) for a in range(count) for b in range(a + 1, count)]
    folders = [name.rpartition("/")[0] for name in names]
    pairs = {
        (a, a + step)
        for step in SEQUENCE_STEPS
        for a in range(count - step)
        if folders[a] == folders[a + step]
    }
    loaded = load_images([images / name for name in names], SIZE, "finding similar images")
    descriptors = hog_descriptors(loaded)
    neighbors = loaded.scene_rows[nearest_neighbors(descriptors, descriptors, NUM_SIMILAR + 1)]
    for row, similar in zip(loaded.scene_rows, neighbors, strict=True):
        pairs |= {(min(row, other), max(row, other)) for other in similar if other != row}
    return [(names[a], names[b]) for a, b in sorted(pairs)]
