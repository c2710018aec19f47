"""Paint textures: flat surfaces with stains and grain, as uint8 RGB images.

Positions (x, y) are in meters from the top left, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np

from posenet.datasets.courtyard.colors import LEAVES, Color, Colors
from posenet.datasets.courtyard.noise import cloud_noise

# (x, y) in meters.
Point: TypeAlias = tuple[float, float]

# Texels per meter.
DENSITY = 80
# Height in pixels of a capital in OpenCV's font FONT_HERSHEY_DUPLEX at scale 1.
CAPITAL_HEIGHT = 22
# Bits of subpixel precision of polygons.
SUBPIXEL_BITS = 4
# Width of the joints between bricks, meters.
JOINT = 0.014
# How much damp walls are darker at the ground, gray levels.
DAMPNESS = 26
# Height over which the dampness fades by a factor e, meters.
DAMP_HEIGHT = 0.35


class Surface:
    """A surface of one color, with stains and grain, on which details are painted.

    Attributes:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.
        pixels: the colors without stains and grain, uint8 RGB.
        weather: stains and grain that `to_image` adds, float32.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        width: float,
        height: float,
        color: Color,
        stains: float = 7.0,
        grain: float = 4.0,
    ) -> None:
        """Paint the surface in one color.

        Args:
            rng: source of randomness.
            width: width in meters.
            height: height in meters.
            color: RGB.
            stains: standard deviation of the stains, in gray levels.
            grain: standard deviation of the grain, in gray levels.
        """
        self.rng = rng
        self.width = width
        self.height = height
        rows = int(height * DENSITY)
        columns = int(width * DENSITY)
        self.pixels = np.empty((rows, columns, 3), np.uint8)
        self.pixels[:] = color
        self.weather = stains * cloud_noise(rng, rows, columns, 2.5 * DENSITY)
        self.weather += grain * rng.standard_normal((rows, columns)).astype(np.float32)

    def box(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """Draw a filled rectangle.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            height: height in meters.
            color: RGB.
        """
        corners = np.array([(x, y), (x + width, y + height)])
        low, high = np.round(corners * DENSITY).astype(int)
        cv2.rectangle(self.pixels, low.tolist(), (high - 1).tolist(), color, cv2.FILLED)

    def shape(self, points: Sequence[Point] | np.ndarray, color: Color) -> None:
        """Draw a filled polygon.

        Args:
            points: its corners (x, y), meters.
            color: RGB.
        """
        corners = np.round(np.array(points) * DENSITY * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(self.pixels, [corners], color, cv2.LINE_AA, shift=SUBPIXEL_BITS)

    def disk(self, center: Point, radius: float, color: Color, *, smooth: bool = True) -> None:
        """Draw a filled circle.

        Args:
            center: its center (x, y), meters.
            radius: radius in meters.
            color: RGB.
            smooth: antialias the edge.
        """
        pixel = (int(center[0] * DENSITY), int(center[1] * DENSITY))
        line = cv2.LINE_AA if smooth else cv2.LINE_8
        cv2.circle(self.pixels, pixel, int(radius * DENSITY), color, cv2.FILLED, line)

    def arch(
        self, x: float, y: float, width: float, height: float, color: Color, pointed: float = 1.0
    ) -> None:
        """Draw an opening with a round or pointed top.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            height: height in meters.
            color: RGB.
            pointed: 1 for a round top; larger values stretch it to a point.
        """
        angle = np.linspace(np.pi, 0, 25)
        rise = pointed * width / 2
        top = np.sin(angle) if pointed == 1 else 1 - np.abs(np.cos(angle)) ** 1.6
        curve = np.column_stack([x + width / 2 + np.cos(angle) * width / 2, y + rise - top * rise])
        self.shape([*curve, (x + width, y + height), (x, y + height)], color)

    def text(self, words: str, x: float, y: float, size: float, color: Color) -> None:
        """Draw words.

        Args:
            words: the words to draw.
            x: start of the baseline, meters from the left.
            y: the baseline, meters from the top.
            size: height of capitals, meters.
            color: RGB.
        """
        scale = size * DENSITY / CAPITAL_HEIGHT
        origin = (int(x * DENSITY), int(y * DENSITY))
        cv2.putText(
            self.pixels,
            words,
            origin,
            cv2.FONT_HERSHEY_DUPLEX,
            scale,
            color,
            int(2 + scale),
            cv2.LINE_AA,
        )

    def bricks(
        self, y: float, height: float, size: tuple[float, float], colors: Colors, mortar: Color
    ) -> None:
        """Draw a running bond of bricks, each with its own shade.

        Args:
            y: top side, meters.
            height: height in meters.
            size: length and height of a brick, meters.
            colors: RGB of the bricks.
            mortar: RGB of the joints.
        """
        length, course = size
        self.box(0, y, self.width, height, mortar)
        for row in range(int(np.ceil(height / course))):
            for column in range(-1, int(self.width / length) + 1):
                color = np.array(colors[int(self.rng.integers(len(colors)))])
                color = np.clip(color * self.rng.uniform(0.86, 1.1), 0, 255)
                left = (column + 0.5 * (row % 2)) * length
                top = y + row * course
                bottom = min(top + course - JOINT, y + height)
                self.box(left, top, length - JOINT, bottom - top, color.tolist())

    def leaves(self, center: Point, spread: Point, count: int, colors: Colors = LEAVES) -> None:
        """Draw scattered leaves.

        Args:
            center: mean position (x, y), meters.
            spread: standard deviation (x, y), meters.
            count: number of leaves.
            colors: RGB of the leaves.
        """
        rng = self.rng
        leaves = [
            (
                *rng.normal(center, spread),
                int(rng.integers(len(colors))),
                rng.uniform(0.8, 1.15),
                rng.uniform(0.05, 0.12),
                rng.uniform(0, np.pi),
            )
            for _ in range(count)
        ]
        x, y, color, tone, size, angle = np.array(leaves).reshape(-1, 6).T
        angles = angle[:, None] + np.arange(4) * np.pi / 2
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=2)
        offsets = size[:, None, None] * corners * [[1], [0.5], [1], [0.5]]
        outlines = np.stack([x, y], axis=1)[:, None] + offsets
        tones = np.array(colors)[color.astype(int)] * tone[:, None]
        for outline, rgb in zip(outlines, tones.tolist(), strict=True):
            self.shape(outline, rgb)

    def to_image(self, *, damp: bool = True) -> np.ndarray:
        """Return the surface with its stains and grain.

        Args:
            damp: darken the surface towards the ground.

        Returns:
            RGB image, uint8.
        """
        weather = self.weather
        if damp:
            rows = np.arange(len(self.pixels), dtype=np.float32)[:, None] / DENSITY
            weather = weather - DAMPNESS * np.exp((rows - self.height) / DAMP_HEIGHT)
        weathered = np.clip(self.pixels + weather[:, :, None], 0, 255)
        image: np.ndarray = weathered.astype(np.uint8)
        return image
