"""Colors of the synthetic courtyard, RGB from 0 to 255."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

# RGB, 0 to 255.
Color: TypeAlias = Sequence[float]
Colors: TypeAlias = Sequence[Color] | np.ndarray

# RGB of dark window glass.
GLASS = (58, 70, 84)
# RGB of white paint.
WHITE = (232, 228, 218)
# RGB of dressed stone.
STONE = (176, 170, 158)
# RGB of green leaves.
LEAVES = ((52, 84, 40), (72, 108, 48), (96, 128, 60))


def scale_color(color: Color, factor: float) -> tuple[float, ...]:
    """Return a lighter or darker color.

    Args:
        color: RGB.
        factor: factor of all channels.

    Returns:
        RGB, not limited to 255.
    """
    return tuple(factor * channel for channel in color)
