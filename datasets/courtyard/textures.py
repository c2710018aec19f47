"""Painted surfaces of the synthetic courtyard: uint8 RGB, meters, (x, y) from the top left."""

from __future__ import annotations

import cv2
import numpy as np

# Texels per meter.
DENSITY = 80
GLASS = (58, 70, 84)
WHITE = (232, 228, 218)
STONE = (176, 170, 158)


def clouds_of_noise(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4
) -> np.ndarray:
    """Return smooth noise with mean 0 and standard deviation 1.

    Args:
        rng: source of randomness.
        height: height in pixels.
        width: width in pixels.
        cell: width of the largest features in pixels.
        octaves: number of scales.

    Returns:
        The noise, shape (height, width), float32.
    """
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        size = max(2, int(width * 2**octave / cell)), max(2, int(height * 2**octave / cell))
        coarse = rng.standard_normal((size[1], size[0])).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total / total.std()


class Wall:
    """A surface that is painted in one color, with stains and grain, and then in more detail.

    Attributes:
        width: width in meters.
        height: height in meters.
        pixels: the colors, uint8 RGB.
        weather: stains and grain that `finished` adds.
    """

    def __init__(
        self, rng, width: float, height: float, color, stains: float = 7.0, grain: float = 4.0
    ):
        self.rng, self.width, self.height = rng, width, height
        rows, columns = int(height * DENSITY), int(width * DENSITY)
        self.pixels = np.empty((rows, columns, 3), np.uint8)
        self.pixels[:] = color
        self.weather = stains * clouds_of_noise(rng, rows, columns, 2.5 * DENSITY)
        self.weather += grain * rng.standard_normal((rows, columns)).astype(np.float32)

    def box(self, x: float, y: float, width: float, height: float, color) -> None:
        """Draw a filled rectangle.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            height: meters.
            color: RGB.
        """
        low, high = np.round(np.array([(x, y), (x + width, y + height)]) * DENSITY).astype(int)
        cv2.rectangle(self.pixels, low.tolist(), (high - 1).tolist(), color, cv2.FILLED)

    def shape(self, points, color) -> None:
        """Draw a filled polygon.

        Args:
            points: its corners (x, y), meters.
            color: RGB.
        """
        corners = np.round(np.array(points) * DENSITY * 16).astype(np.int32)
        cv2.fillPoly(self.pixels, [corners], color, cv2.LINE_AA, shift=4)

    def arch(
        self, x: float, y: float, width: float, height: float, color, pointed: float = 1.0
    ) -> None:
        """Draw an opening with a round or pointed top.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            height: meters.
            color: RGB.
            pointed: 1 for a round top; larger values stretch it to a point.
        """
        angle = np.linspace(np.pi, 0, 25)
        rise = pointed * width / 2
        top = np.sin(angle) if pointed == 1 else 1 - np.abs(np.cos(angle)) ** 1.6
        curve = np.column_stack([x + width / 2 + np.cos(angle) * width / 2, y + rise - top * rise])
        self.shape([*curve, (x + width, y + height), (x, y + height)], color)

    def text(self, words: str, x: float, y: float, size: float, color) -> None:
        """Draw words.

        Args:
            words: the words.
            x: start of the baseline, meters.
            y: height of the baseline, meters.
            size: height of capitals, meters.
            color: RGB.
        """
        scale = size * DENSITY / 22
        place = (int(x * DENSITY), int(y * DENSITY))
        cv2.putText(
            self.pixels,
            words,
            place,
            cv2.FONT_HERSHEY_DUPLEX,
            scale,
            color,
            int(2 + scale),
            cv2.LINE_AA,
        )

    def bricks(self, y: float, height: float, size: tuple[float, float], colors, mortar) -> None:
        """Draw a running bond of bricks, each with its own shade.

        Args:
            y: top side, meters.
            height: meters.
            size: length and height of a brick, meters.
            colors: RGB of the bricks.
            mortar: RGB of the joints.
        """
        length, course = size
        self.box(0, y, self.width, height, mortar)
        for row in range(int(np.ceil(height / course))):
            for column in range(-1, int(self.width / length) + 1):
                color = np.array(colors[self.rng.integers(len(colors))]) * self.rng.uniform(
                    0.86, 1.1
                )
                left, top = (column + 0.5 * (row % 2)) * length, y + row * course
                bottom = min(top + course - 0.014, y + height)
                self.box(left, top, length - 0.014, bottom - top, np.clip(color, 0, 255).tolist())

    def window(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        frame: tuple = WHITE,
        panes: tuple[int, int] = (2, 3),
        shutters: tuple | None = None,
    ) -> None:
        """Draw a window with sill, frame, bars and reflections.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            height: meters.
            frame: RGB of the frame.
            panes: number of panes across and down.
            shutters: RGB of shutters at both sides. Default: none.
        """
        if shutters:
            for left in (x - width * 0.52, x + width * 1.02):
                self.box(left, y - 0.03, width * 0.5, height + 0.06, shutters)
                for line in np.arange(y + 0.08, y + height, 0.14):
                    self.box(
                        left + 0.06,
                        line,
                        width * 0.5 - 0.12,
                        0.04,
                        tuple(0.7 * c for c in shutters),
                    )
        self.box(x - 0.1, y - 0.1, width + 0.2, height + 0.2, tuple(0.8 * c for c in frame))
        self.box(x - 0.07, y - 0.07, width + 0.14, height + 0.14, frame)
        self.glass(x, y, width, height)
        for i in range(1, panes[0]):
            self.box(x + i * width / panes[0] - 0.025, y, 0.05, height, frame)
        for i in range(1, panes[1]):
            self.box(x, y + i * height / panes[1] - 0.02, width, 0.04, frame)
        self.box(x - 0.18, y + height + 0.06, width + 0.36, 0.12, tuple(0.92 * c for c in frame))
        self.box(x - 0.18, y + height + 0.18, width + 0.36, 0.05, (70, 64, 60))

    def glass(self, x: float, y: float, width: float, height: float) -> None:
        """Draw dark glass with a curtain or a lamp behind it and a slanting reflection.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            height: meters.
        """
        tone = self.rng.uniform(0.7, 1.4)
        self.box(x, y, width, height, tuple(tone * c for c in GLASS))
        if self.rng.random() < 0.45:
            curtain = tuple(self.rng.uniform(120, 205, 3))
            part = width * self.rng.uniform(0.15, 0.4)
            self.box(x, y, part, height, curtain)
            self.box(x + width - part, y, part, height, curtain)
        slant, start = width * 0.35, x + width * self.rng.uniform(0.1, 0.5)
        shine = tuple(min(255, tone * c + 38) for c in GLASS)
        self.shape(
            [(start, y), (start + 0.2 * width, y), (start + 0.2 * width - slant, y + height)], shine
        )

    def door(self, x: float, y: float, width: float, color, surround=STONE) -> None:
        """Draw a panelled double door down to the ground, with a fanlight and a step.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            color: RGB of the door.
            surround: RGB of its surround.
        """
        height = self.height - y
        self.box(x - 0.22, y - 0.25, width + 0.44, height + 0.25, surround)
        self.box(x - 0.32, y - 0.4, width + 0.64, 0.18, tuple(1.1 * c for c in surround))
        self.box(x, y, width, height, color)
        self.glass(x + 0.06, y + 0.06, width - 0.12, 0.4)
        for left in (x + 0.1, x + width / 2 + 0.06):
            for top in np.linspace(y + 0.6, y + height - 0.85, 3):
                self.box(
                    left,
                    top,
                    width / 2 - 0.16,
                    (height - 1.0) / 3.6,
                    tuple(0.68 * c for c in color),
                )
        self.box(x + width / 2 - 0.012, y + 0.5, 0.024, height - 0.5, (20, 20, 20))
        self.box(x + width / 2 + 0.05, y + 0.5 * height, 0.05, 0.16, (205, 170, 80))
        self.box(x - 0.3, self.height - 0.14, width + 0.6, 0.14, tuple(0.85 * c for c in surround))

    def cornice(self, y: float, color=STONE, teeth: float = 0.0) -> None:
        """Draw a molding across the wall, light above and dark below.

        Args:
            y: top side, meters.
            color: RGB.
            teeth: distance of teeth in meters, 0 for none.
        """
        for offset, height, tone in ((0, 0.1, 1.15), (0.1, 0.14, 1.0), (0.24, 0.05, 0.6)):
            self.box(0, y + offset, self.width, height, tuple(min(255, tone * c) for c in color))
        for x in np.arange(0.1, self.width, teeth) if teeth else ():
            self.box(x, y + 0.27, teeth * 0.5, 0.16, tuple(0.85 * c for c in color))

    def awning(self, x: float, y: float, width: float, colors) -> None:
        """Draw a striped awning with a hanging edge.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: meters.
            colors: RGB of the two stripes.
        """
        count = int(width / 0.28)
        for i in range(count):
            left, step = x + i * width / count, width / count
            self.shape(
                [(left, y), (left + step, y), (left + step, y + 0.6), (left, y + 0.6)],
                colors[i % 2],
            )
            self.box(left, y + 0.6, step, 0.12, tuple(0.82 * c for c in colors[i % 2]))

    def leaves(
        self, center, spread, count: int, colors=((52, 84, 40), (72, 108, 48), (96, 128, 60))
    ) -> None:
        """Draw scattered leaves.

        Args:
            center: mean position (x, y), meters.
            spread: standard deviation (x, y), meters.
            count: number of leaves.
            colors: RGB of the leaves.
        """
        for _ in range(count):
            x, y = self.rng.normal(center, spread)
            color = np.array(colors[self.rng.integers(len(colors))]) * self.rng.uniform(0.8, 1.15)
            size = self.rng.uniform(0.05, 0.12)
            turn = self.rng.uniform(0, np.pi) + np.arange(4) * np.pi / 2
            offsets = (
                size * np.column_stack([np.cos(turn), np.sin(turn)]) * [[1], [0.5], [1], [0.5]]
            )
            self.shape(np.array([x, y]) + offsets, color.tolist())

    def finished(self, damp: bool = True) -> np.ndarray:
        """Return the surface with its stains and grain.

        Args:
            damp: darken it towards the ground.

        Returns:
            RGB image, uint8.
        """
        rows = np.arange(len(self.pixels), dtype=np.float32)[:, None] / DENSITY
        dark = -26 * np.exp((rows - self.height) / 0.35) if damp else 0 * rows
        return np.clip(self.pixels + (self.weather + dark)[:, :, None], 0, 255).astype(np.uint8)


def sky(rng: np.random.Generator) -> np.ndarray:
    """Make a panorama of the sky, from 75 degrees above to 5 degrees below the horizon.

    Args:
        rng: source of randomness.

    Returns:
        RGB image, shape (256, 1024, 3), uint8.
    """
    rise = np.linspace(1, 0, 256)[:, None, None]
    blue = (1 - rise**0.7) * np.array([206.0, 220, 232]) + rise**0.7 * np.array([84.0, 138, 206])
    noise = clouds_of_noise(rng, 256, 1024, 180, 6)
    fade = np.linspace(0, 1, 128)[None]
    noise[:, -128:] = noise[:, -128:] * (1 - fade) + noise[:, :1] * fade
    cover = np.clip(0.35 + 0.55 * noise, 0, 0.95)[:, :, None]
    return (blue * (1 - cover) + cover * (np.array([246.0, 246, 248]) - 10 * rise)).astype(np.uint8)
