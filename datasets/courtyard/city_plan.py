"""What a simulated city contains: its walks, their poses and the names of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.generate import NUM_SEQUENCES, TEST_SEQUENCE, walk
from posenet.geometry.poses import Poses

# Raised whenever the same options give other images.
VERSION = 1
# Distance between the centers of neighboring courtyards, meters.
SPACING = 40.0


@dataclass(frozen=True)
class City:
    """What a city contains.

    Attributes:
        images: number of images.
        courtyards: number of courtyards.
        width: width of the images in pixels.
        height: height of the images in pixels.
        seed: seed of all randomness.
        version: `VERSION`.
    """

    images: int
    courtyards: int
    width: int
    height: int
    seed: int
    version: int = VERSION

    def walk_counts(self, courtyard: int) -> list[int]:
        """Return the number of images of each walk through a courtyard.

        Args:
            courtyard: number of the courtyard.

        Returns:
            Four numbers, the last of the test walk.
        """
        share, rest = divmod(self.images, self.courtyards)
        share, rest = divmod(share + (courtyard < rest), NUM_SEQUENCES)
        return [share + (sequence < rest) for sequence in range(NUM_SEQUENCES)]

    def count_test_images(self) -> int:
        """Return the number of test images."""
        numbers = range(self.courtyards)
        return sum(self.walk_counts(number)[TEST_SEQUENCE] for number in numbers)

    def local_walks(self, courtyard: int) -> list[Poses]:
        """Return the poses of each walk in the frame of its courtyard.

        Args:
            courtyard: number of the courtyard.

        Returns:
            world_from_camera poses of each walk, meters.
        """
        start = np.random.default_rng([self.seed, courtyard, 1]).uniform(0, 2 * np.pi)
        return [
            walk(number, images, start) for number, images in enumerate(self.walk_counts(courtyard))
        ]

    def place(self, courtyard: int, poses: Poses) -> Poses:
        """Return poses in the frame of the city.

        Args:
            courtyard: number of the courtyard.
            poses: world_from_camera poses in the frame of the courtyard.

        Returns:
            The poses in the frame of the city: the courtyard is turned about z, and is at its place
            on the grid.
        """
        columns = math.ceil(math.sqrt(self.courtyards))
        row, column = divmod(courtyard, columns)
        angle = np.random.default_rng([self.seed, courtyard, 2]).uniform(0, 2 * np.pi)
        turn = Rotation.from_euler("z", angle)
        center = np.array([column * SPACING, row * SPACING, 0.0])
        return Poses(turn.apply(poses.positions) + center, turn * poses.rotations)

    def folder(self, courtyard: int, sequence: int) -> str:
        """Return the folder of a walk.

        Args:
            courtyard: number of the courtyard.
            sequence: number of the walk, 0 to 3.

        Returns:
            Its path below the folder of the city.
        """
        digits = len(str(self.courtyards))
        return f"court{courtyard + 1:0{digits}d}/seq{sequence + 1}"

    def file_name(self, courtyard: int, sequence: int, row: int) -> str:
        """Return the file name of an image. No other image has it.

        Equal names in several folders could be taken for those of the cameras of a rig.

        Args:
            courtyard: number of the courtyard.
            sequence: number of the walk, 0 to 3.
            row: number of the image in the walk.

        Returns:
            The name, which contains the number of the image in the city.
        """
        share, rest = divmod(self.images, self.courtyards)
        before = courtyard * share + min(courtyard, rest)
        before += sum(self.walk_counts(courtyard)[:sequence])
        digits = max(5, len(str(self.images)))
        return f"frame{before + row + 1:0{digits}d}.jpg"
