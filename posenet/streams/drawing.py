"""Draw a followed camera: its image and its pose in numbers, beside the map with its path."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import CameraPose
from posenet.streams.follower import FollowedFrame
from posenet.streams.map_view import MapView
from posenet.streams.text import Color, draw_text, text_width

# Width and height of a frame, and where its parts are: left, top, width, height.
SIZE = (1280, 720)
IMAGE_BOX = (24, 72, 540, 405)
MAP_BOX = (580, 64, 684, 644)
# Top of the table of numbers, height of its lines, and its columns.
TABLE_TOP = 548
LINE_HEIGHT = 30
VALUE_X = 164

INK: Color = (30, 34, 40)
MUTED: Color = (112, 120, 132)
RULE: Color = (226, 229, 234)
PANEL: Color = (240, 242, 245)
GREEN: Color = (38, 132, 88)
AMBER: Color = (176, 110, 20)
RED: Color = (196, 52, 62)
ESTIMATE: Color = (209, 73, 91)
TRUTH: Color = (31, 58, 95)
# Length of the frustum in pixels, and the widest field of view that it is drawn with.
FRUSTUM = 40.0
MAX_HFOV_DEG = 100.0
MINUS = "\N{MINUS SIGN}"
# OpenCV draws in 1/16 of a pixel.
SHIFT = 4


class CameraPathDrawing:
    """Draws the images of one path in order."""

    def __init__(self, view: MapView, title: str, unit: str) -> None:
        """Draw what does not move.

        Args:
            view: the map, 684 by 644 pixels.
            title: name of the scene and the stream.
            unit: unit of the positions.
        """
        self.view = view
        self.unit = unit
        self._map = view.image.copy()
        self._last: np.ndarray | None = None
        self._pose: CameraPose | None = None
        self._canvas = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        printable = "".join(letter if letter.isprintable() else " " for letter in title)
        draw_text(self._canvas, printable, (24, 44), size=22, bold=True)
        cv2.line(self._canvas, (24, 58), (SIZE[0] - 24, 58), RULE, 1)

    def advance(self, frame: FollowedFrame, *, breaks: bool = False) -> None:
        """Draw the next piece of the path.

        Args:
            frame: the next image.
            breaks: the path starts again, in another sequence.
        """
        if frame.is_lost or breaks:
            self._last = None
        if frame.is_lost:
            return
        estimate = frame.estimate
        rotation = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
        self._pose = CameraPose(estimate.position, rotation)
        place = self.view.pixels(estimate.position[None])[0]
        color = self.view.color(estimate.position_std)
        start = place if self._last is None else self._last
        cv2.line(self._map, _fixed(start), _fixed(place), color, 3, cv2.LINE_AA, SHIFT)
        self._last = place

    def compose(self, frame: FollowedFrame, truth: CameraPose | None = None) -> np.ndarray:
        """Draw an image to which the path has advanced.

        Args:
            frame: the image.
            truth: its true pose, if it is known.

        Returns:
            RGB values, shape (720, 1280, 3), uint8.
        """
        canvas = self._canvas.copy()
        time = f"frame {frame.number}    {_clock(frame.seconds)}"
        draw_text(canvas, time, (SIZE[0] - 24, 44), size=17, color=MUTED, right=True)
        self._draw_image(canvas, frame)
        left, top, width, height = MAP_BOX
        area = canvas[top : top + height, left : left + width]
        area[:] = self._map
        if truth is not None:
            self._draw_camera(area, truth, frame.hfov_deg, TRUTH)
        if self._pose is not None:
            color = MUTED if frame.is_lost else ESTIMATE
            std = 0.0 if frame.is_lost else frame.estimate.position_std
            self._draw_camera(area, self._pose, frame.hfov_deg, color, std)
        self._draw_numbers(canvas, frame, truth)
        return canvas

    def _draw_image(self, canvas: np.ndarray, frame: FollowedFrame) -> None:
        left, top, width, height = IMAGE_BOX
        canvas[top : top + height, left : left + width] = PANEL
        rows, columns = frame.image.shape[:2]
        scale = min(width / columns, height / rows)
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(frame.image, size, interpolation=shrinks)
        x, y = left + (width - size[0]) // 2, top + (height - size[1]) // 2
        canvas[y : y + size[1], x : x + size[0]] = resized
        if frame.is_lost:
            cv2.rectangle(canvas, (x, y), (x + size[0] - 1, y + size[1] - 1), RED, 4)

    def _draw_camera(
        self,
        area: np.ndarray,
        pose: CameraPose,
        hfov_deg: float,
        color: Color,
        std: float = 0.0,
    ) -> None:
        """Draw a frustum on the map, in a disc of two standard deviations."""
        center = self.view.pixels(pose.position[None])[0]
        ahead = self.view.direction(pose.rotation.apply([0.0, 0, 1]))
        half = np.tan(np.radians(min(hfov_deg, MAX_HFOV_DEG)) / 2)
        across = np.array([-ahead[1], ahead[0]]) * half
        corners = [center, center + FRUSTUM * (ahead + across), center + FRUSTUM * (ahead - across)]
        outline = np.rint(np.array(corners) * 2**SHIFT).astype(np.int32)
        tinted = area.copy()
        cv2.fillPoly(tinted, [outline], color, cv2.LINE_AA, SHIFT)
        radius = 2 * std * self.view.pixels_per_unit if np.isfinite(std) else 0.0
        if 6 < radius < max(area.shape):
            circle = round(radius * 2**SHIFT)
            cv2.circle(tinted, _fixed(center), circle, color, -1, cv2.LINE_AA, SHIFT)
        cv2.addWeighted(tinted, 0.3, area, 0.7, 0, dst=area)
        cv2.polylines(area, [outline], True, color, 2, cv2.LINE_AA, SHIFT)
        cv2.circle(area, _fixed(center), 5 << SHIFT, color, -1, cv2.LINE_AA, SHIFT)

    def _draw_numbers(
        self, canvas: np.ndarray, frame: FollowedFrame, truth: CameraPose | None
    ) -> None:
        """Draw state, position, uncertainty and errors under the image."""
        _draw_state(canvas, *_state(frame))
        estimate = frame.estimate
        lines = {"position": "-", "uncertainty": "-", "inliers": "-"}
        if estimate.valid:
            x, y, z = estimate.position
            text = f"x {x:.2f}   y {y:.2f}   z {z:.2f} {self.unit}"
            lines["position"] = text.replace("-", MINUS)
            if np.isfinite(estimate.position_std):
                distance = format_length(estimate.position_std, self.unit)
                lines["uncertainty"] = f"± {distance},  ± {format_angle(estimate.rotation_std_deg)}"
            if estimate.refined:
                lines["inliers"] = str(estimate.num_inliers)
        if truth is not None:
            lines["error"] = _format_error(estimate.valid, self._pose, truth, self.unit)
        for row, (name, value) in enumerate(lines.items()):
            y = TABLE_TOP + row * LINE_HEIGHT
            draw_text(canvas, name, (24, y), size=16, color=MUTED)
            bold = name == "error"
            draw_text(canvas, value, (VALUE_X, y), size=17, color=INK, bold=bold)


def format_length(value: float, unit: str) -> str:
    """Return a length in a unit in which it is easy to read.

    Args:
        value: the length in scene units.
        unit: name of the scene unit; meters below one become centimeters.

    Returns:
        The length with its unit.
    """
    if unit == "m":
        return f"{value:.2f} m" if value >= 1 else f"{100 * value:.1f} cm"
    return f"{value:.3g} {unit}"


def format_angle(degrees: float) -> str:
    """Return an angle with two digits after the point, or two significant ones if it is small.

    Args:
        degrees: the angle.

    Returns:
        The angle with its unit.
    """
    return f"{degrees:.2f}°" if degrees >= 0.1 else f"{degrees:.2g}°"


def _state(frame: FollowedFrame) -> tuple[str, Color]:
    if frame.is_lost:
        return "lost", RED
    return ("refined pose", GREEN) if frame.estimate.refined else ("network alone", AMBER)


def _draw_state(canvas: np.ndarray, text: str, color: Color) -> None:
    """Draw the state in a colored box with round ends."""
    top, left, radius = 490, 24, 14
    width = text_width(text, 16, bold=True) + 2 * radius
    middle = top + radius
    for x in (left + radius, left + width - radius):
        cv2.circle(canvas, (x, middle), radius, color, -1, cv2.LINE_AA)
    corners = (left + radius, top), (left + width - radius, top + 2 * radius)
    cv2.rectangle(canvas, *corners, color, -1)
    draw_text(canvas, text, (left + radius, top + 20), size=16, color=(255, 255, 255), bold=True)


def _format_error(valid: bool, pose: CameraPose | None, truth: CameraPose, unit: str) -> str:
    if not valid or pose is None:
        return "no estimate"
    distance = float(np.linalg.norm(pose.position - truth.position))
    angle = float(np.degrees((pose.rotation.inv() * truth.rotation).magnitude()))
    return f"{format_length(distance, unit)},  {format_angle(angle)}"


def _clock(seconds: float) -> str:
    """Return minutes, seconds and tenths."""
    tenths = int(10 * seconds + 1e-6)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Return a point in 1/16 of a pixel."""
    x, y = np.rint(np.clip(point, -(2**14), 2**14) * 2**SHIFT).astype(int)
    return int(x), int(y)
