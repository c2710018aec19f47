"""Draw text on images, in the font that matplotlib brings along."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]


def draw_text(
    image: np.ndarray,
    text: str,
    position: tuple[int, int],
    *,
    size: int = 16,
    color: Color = (30, 34, 40),
    bold: bool = False,
    right: bool = False,
) -> None:
    """Draw one line of text.

    Args:
        image: RGB values, shape (h, w, 3), uint8, changed in place.
        text: the text.
        position: x of its left end, and y of its baseline, pixels.
        size: height of the font in pixels.
        color: RGB.
        bold: use the bold face.
        right: x is that of the right end.
    """
    mask, ascent = _mask(text, size, bold)
    x, y = position[0] - (mask.shape[1] if right else 0), position[1] - ascent
    top, left = max(0, -y), max(0, -x)
    part = mask[top : image.shape[0] - y, left : image.shape[1] - x]
    region = image[y + top : y + top + part.shape[0], x + left : x + left + part.shape[1]]
    alpha = part[..., None].astype(np.float32) / 255
    region[:] = np.rint(region + alpha * (np.array(color, np.float32) - region))


def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """Return the width of a text.

    Args:
        text: the text.
        size: height of the font in pixels.
        bold: use the bold face.

    Returns:
        Pixels.
    """
    return int(_font(size, bold).getlength(text)) + 1


@lru_cache(maxsize=512)
def _mask(text: str, size: int, bold: bool) -> tuple[np.ndarray, int]:
    """Return the coverage of each pixel by a text (h, w), and the height of its baseline."""
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, text_width(text, size, bold=bold)), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
    return np.asarray(image), ascent


@lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
