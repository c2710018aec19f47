"""The people in the synthetic courtyard, as RGBA textures."""

from __future__ import annotations

import cv2
import numpy as np

from posenet.datasets.courtyard.colors import Color
from posenet.datasets.courtyard.textures import Point


def paint_person(rng: np.random.Generator) -> np.ndarray:
    """Paint a person of 1.8 m on a transparent texture of 0.9 x 2 m, feet at the bottom.

    Args:
        rng: source of randomness.

    Returns:
        RGBA image, shape (200, 90, 4), uint8.
    """
    coat = rng.uniform(40, 215, 3)
    trousers = rng.uniform(30, 120, 3)
    hair = rng.uniform(20, 150) * np.array((1, 0.8, 0.6))
    # Most clothes have muted colors.
    coat = 0.55 * coat + 0.35 * coat.mean()
    skin = rng.uniform(0.55, 1.0) * np.array((232, 188, 158))
    figure = np.zeros((400, 180, 4), np.uint8)
    stride = rng.uniform(4, 26)
    swing = rng.uniform(4, 20)

    def limb(start: Point, end: Point, width: int, color: Color | np.ndarray) -> None:
        first = (int(start[0]), int(start[1]))
        last = (int(end[0]), int(end[1]))
        cv2.line(figure, first, last, (*color, 255), width, cv2.LINE_AA)

    for sign, tone in ((-1, 0.8), (1, 1.0)):
        limb((90 + sign * 11, 220), (90 + sign * stride, 385), 25, tone * trousers)
        limb((90 + sign * stride - 4, 390), (90 + sign * stride + 12, 390), 14, (30, 28, 28))
        elbow = (90 + sign * (38 + swing * 0.6), 165)
        wrist = (90 + sign * (36 + swing), 215)
        limb((90 + sign * 34, 108), elbow, 19, 0.85 * tone * coat)
        limb(elbow, wrist, 16, 0.85 * tone * coat)
        hand = (int(wrist[0]), 222)
        cv2.circle(figure, hand, 9, (*skin, 255), cv2.FILLED, cv2.LINE_AA)
    body = np.array(
        [(58, 95), (122, 95), (130, 110), (118, 180), (122, 240), (58, 240), (62, 180), (50, 110)]
    )
    cv2.fillPoly(figure, [body], (*coat, 255), cv2.LINE_AA)
    cv2.line(figure, (90, 98), (90, 238), (*(0.7 * coat), 255), 3)
    limb((90, 70), (90, 92), 20, 0.9 * skin)
    cv2.ellipse(figure, (90, 58), (20, 27), 0, 0, 360, (*skin, 255), cv2.FILLED, cv2.LINE_AA)
    start = 160 - 40 * rng.random()
    end = 380 + 40 * rng.random()
    cv2.ellipse(figure, (90, 48), (22, 22), 0, start, end, (*hair, 255), cv2.FILLED)
    if rng.random() < 0.4:
        limb((55, 130), (48, 200), 26, rng.uniform(30, 160, 3))
    return cv2.resize(figure, (90, 200), interpolation=cv2.INTER_AREA)
