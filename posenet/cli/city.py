"""The command `scene city`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from posenet.errors import PoseNetError, count

SIZE_FORM = re.compile(r"(\d{1,6})x(\d{1,6})")


@dataclass(frozen=True)
class CityConfig:
    """Generate a simulated city of many different courtyards, to measure what scales to a city.

    Courtyards are 40 m apart on a grid in one world frame. Each has three training walks and a test
    walk, in folders of their own. An interrupted command resumes.
    """

    output: Path
    """Folder to write."""
    images: int = 1000
    """Number of images, training and test images together, at least 4 for each courtyard."""
    courtyards: int | None = None
    """Number of courtyards. Default: one for 400 images, so that a walk has about 100."""
    size: str = "160x120"
    """Width and height of the images in pixels."""
    seed: int = 0
    """Random seed; another seed gives another city."""
    processes: int | None = None
    """Number of parallel processes. The images do not depend on it. Default: the CPU cores."""


def city(config: CityConfig) -> None:
    """Generate a city.

    Args:
        config: the options.

    Raises:
        PoseNetError: an option is wrong, or the city cannot be written.
    """
    from posenet.datasets.courtyard.city import make_city

    size = SIZE_FORM.fullmatch(config.size)
    if not size:
        raise PoseNetError(f"--size must be WIDTHxHEIGHT in pixels, received {config.size!r}")
    if config.processes is not None and config.processes < 1:
        raise PoseNetError(f"--processes must be 1 or more, received {config.processes}")
    made = make_city(
        config.output,
        images=config.images,
        courtyards=config.courtyards,
        size=(int(size[1]), int(size[2])),
        seed=config.seed,
        processes=config.processes,
    )
    test = made.count_test_images()
    print(
        f"written: {config.output} ({count(made.images - test, 'training image')}, "
        f"{count(test, 'test image')}, {count(made.courtyards, 'courtyard')})"
    )
