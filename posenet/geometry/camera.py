"""Camera intrinsics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

PERSPECTIVE_MODELS = (
    "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "SIMPLE_DIVISION", "DIVISION",
)  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """A camera's intrinsics, all in pixels of a width x height image.

    Pixel (0, 0)'s center lies at (0.5, 0.5), as in COLMAP, so that resizing only multiplies.
    lens: COLMAP's name of the lens model, with its parameters in `distortion` (see lenses.py); they do not change
    with the image's size. source: "file", "EXIF", "assumed" for a typical field of view, or "measured"
    by images of known pose (calibration.py).
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    lens: str = "PINHOLE"
    distortion: tuple[float, ...] = ()
    source: str = "file"

    def __post_init__(self):
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "distortion", tuple(map(float, self.distortion)))

    @property
    def has_known_focal_length(self) -> bool:
        """Whether anything tells the focal length; else it is only a typical one."""
        return self.source != "assumed"

    @property
    def is_perspective(self) -> bool:
        """Whether K R K^-1 turns its images: the focal length is known, and the lens draws lines nearly straight."""
        return self.has_known_focal_length and self.lens in PERSPECTIVE_MODELS

    @property
    def has_distortion(self) -> bool:
        """Whether a pinhole alone is not the whole of it."""
        return any(self.distortion) or self.lens not in PERSPECTIVE_MODELS

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) intrinsic matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def resized(self, width: int, height: int) -> Camera:
        """The same camera for its image resized to width x height."""
        x, y = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * x,
            fy=self.fy * y,
            cx=self.cx * x,
            cy=self.cy * y,
        )

    def rotate90(self, count: int = 1) -> Camera:
        """The camera of its image turned counter-clockwise by count right angles.

        A turn leaves the radial parts of a lens, and turns the tangential ones of OpenCV's models; the rarer models'
        are left as they are.
        """
        camera = self
        for _ in range(count % 4):
            lens = camera.distortion
            if self.lens in ("OPENCV", "FULL_OPENCV"):
                lens = (*lens[:2], -lens[3], lens[2], *lens[4:])
            camera = replace(
                camera, width=camera.height, height=camera.width, fx=camera.fy, fy=camera.fx,
                cx=camera.cy, cy=camera.width - camera.cx, distortion=lens,
            )  # fmt: skip
        return camera
