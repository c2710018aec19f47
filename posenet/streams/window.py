"""A window that shows images, by OpenCV."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import cv2
import numpy as np

from posenet.errors import PoseNetError

# Keys that close the window: q and Escape.
CLOSING_KEYS = (ord("q"), 27)
# Seconds that opening a window may take.
TIMEOUT_S = 20
PROBE = "import cv2; cv2.namedWindow('posenet'); cv2.waitKey(1)"


def require_window() -> None:
    """Check that OpenCV can open a window.

    Qt ends the process if it cannot reach the display, so another process tries first.

    Raises:
        PoseNetError: this OpenCV has no windows, or there is no display.
    """
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        raise PoseNetError(
            "--show requires OpenCV with windows, the package opencv-python-headless has none: "
            "write a video with --output instead"
        )
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        raise PoseNetError(
            "--show requires a display, DISPLAY is not set: write a video with --output instead"
        )
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, timeout=TIMEOUT_S, check=False
        )
        works = probe.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        works = False
    if not works:
        raise PoseNetError(
            "--show requires a display, no window can be opened on this one: "
            "write a video with --output instead"
        )


class Window:
    """Shows images. All calls must be from the main thread."""

    def __init__(self, title: str) -> None:
        """Open the window.

        Args:
            title: its title.
        """
        self._title = title
        cv2.namedWindow(title)

    def show(self, image: np.ndarray | None) -> bool:
        """Show an image.

        Args:
            image: RGB values, shape (h, w, 3), uint8; None leaves the last one.

        Returns:
            False if the user closed the window or pressed q or Escape.
        """
        if image is not None:
            cv2.imshow(self._title, image[..., ::-1])
        if cv2.waitKey(1) & 0xFF in CLOSING_KEYS:
            return False
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
