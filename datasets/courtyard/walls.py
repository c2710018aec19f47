"""Painting of facades: surfaces with windows, doors, cornices and awnings."""

from __future__ import annotations

import numpy as np

from posenet.datasets.courtyard.colors import GLASS, STONE, WHITE, Color, Colors, scale_color
from posenet.datasets.courtyard.textures import Surface


class Wall(Surface):  # type: ignore[misc]  # mypy does not find the base in datasets/
    """A facade, with the attributes of a surface. Its bottom edge is at the ground."""

    def window(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        frame: Color = WHITE,
        panes: tuple[int, int] = (2, 3),
        shutters: Color | None = None,
    ) -> None:
        """Draw a window with sill, frame, bars and reflections.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            height: height in meters.
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
                        scale_color(shutters, 0.7),
                    )
        self.box(x - 0.1, y - 0.1, width + 0.2, height + 0.2, scale_color(frame, 0.8))
        self.box(x - 0.07, y - 0.07, width + 0.14, height + 0.14, frame)
        self.glass(x, y, width, height)
        for i in range(1, panes[0]):
            self.box(x + i * width / panes[0] - 0.025, y, 0.05, height, frame)
        for i in range(1, panes[1]):
            self.box(x, y + i * height / panes[1] - 0.02, width, 0.04, frame)
        self.box(x - 0.18, y + height + 0.06, width + 0.36, 0.12, scale_color(frame, 0.92))
        self.box(x - 0.18, y + height + 0.18, width + 0.36, 0.05, (70, 64, 60))

    def glass(self, x: float, y: float, width: float, height: float) -> None:
        """Draw dark glass with a curtain or a lamp behind it and a slanting reflection.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            height: height in meters.
        """
        tone = self.rng.uniform(0.7, 1.4)
        self.box(x, y, width, height, scale_color(GLASS, tone))
        if self.rng.random() < 0.45:
            curtain = tuple(self.rng.uniform(120, 205, 3))
            part = width * self.rng.uniform(0.15, 0.4)
            self.box(x, y, part, height, curtain)
            self.box(x + width - part, y, part, height, curtain)
        slant = width * 0.35
        start = x + width * self.rng.uniform(0.1, 0.5)
        shine = tuple(min(255, tone * c + 38) for c in GLASS)
        self.shape(
            [(start, y), (start + 0.2 * width, y), (start + 0.2 * width - slant, y + height)], shine
        )

    def door(self, x: float, y: float, width: float, color: Color, surround: Color = STONE) -> None:
        """Draw a paneled double door down to the ground, with a fanlight and a step.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            color: RGB of the door.
            surround: RGB of its surround.
        """
        height = self.height - y
        self.box(x - 0.22, y - 0.25, width + 0.44, height + 0.25, surround)
        self.box(x - 0.32, y - 0.4, width + 0.64, 0.18, scale_color(surround, 1.1))
        self.box(x, y, width, height, color)
        self.glass(x + 0.06, y + 0.06, width - 0.12, 0.4)
        for left in (x + 0.1, x + width / 2 + 0.06):
            for top in np.linspace(y + 0.6, y + height - 0.85, 3):
                self.box(
                    left,
                    top,
                    width / 2 - 0.16,
                    (height - 1.0) / 3.6,
                    scale_color(color, 0.68),
                )
        self.box(x + width / 2 - 0.012, y + 0.5, 0.024, height - 0.5, (20, 20, 20))
        self.box(x + width / 2 + 0.05, y + 0.5 * height, 0.05, 0.16, (205, 170, 80))
        self.box(x - 0.3, self.height - 0.14, width + 0.6, 0.14, scale_color(surround, 0.85))

    def cornice(self, y: float, color: Color = STONE, teeth: float = 0.0) -> None:
        """Draw a molding across the wall, light above and dark below.

        Args:
            y: top side, meters.
            color: RGB.
            teeth: distance between teeth in meters, 0 for none.
        """
        for offset, height, tone in ((0, 0.1, 1.15), (0.1, 0.14, 1.0), (0.24, 0.05, 0.6)):
            self.box(0, y + offset, self.width, height, tuple(min(255, tone * c) for c in color))
        if not teeth:
            return
        for x in np.arange(0.1, self.width, teeth):
            self.box(x, y + 0.27, teeth * 0.5, 0.16, scale_color(color, 0.85))

    def awning(self, x: float, y: float, width: float, colors: Colors) -> None:
        """Draw a striped awning with a hanging edge.

        Args:
            x: left side, meters.
            y: top side, meters.
            width: width in meters.
            colors: RGB of the two stripes.
        """
        count = int(width / 0.28)
        for i in range(count):
            left = x + i * width / count
            step = width / count
            self.shape(
                [(left, y), (left + step, y), (left + step, y + 0.6), (left, y + 0.6)],
                colors[i % 2],
            )
            self.box(left, y + 0.6, step, 0.12, scale_color(colors[i % 2], 0.82))
