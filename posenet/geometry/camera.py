"""Camera intrinsics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# COLMAP's camera models that image straight lines as nearly straight lines.
PERSPECTIVE_MODELS = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "FULL_OPENCV",
    "SIMPLE_DIVISION",
    "DIVISION",
)
# Models with OpenCV's tangential distortion, p1 and p2 after k1 and k2.
TANGENTIAL_MODELS = ("OPENCV", "FULL_OPENCV")


@dataclass(frozen=True)
class Camera:
    """The intrinsics of a camera.

    Pixel (0, 0) has its center at (0.5, 0.5), as in COLMAP, so that resizing only multiplies.

    Attributes:
        width: width of the image in pixels.
        height: height of the image in pixels.
        fx: horizontal focal length in pixels.
        fy: vertical focal length in pixels.
        cx: horizontal position of the principal point in pixels.
        cy: vertical position of the principal point in pixels.
        model: COLMAP's name of the camera model, see camera_models.py.
        distortion: the parameters of the model after the principal point. They have no unit and do
            not change with the size of the image.
        source: where the focal length comes from: "file", "EXIF", "assumed" for a typical field of
            view, or "measured" for an estimate from images of known pose.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = "PINHOLE"
    distortion: tuple[float, ...] = ()
    source: str = "file"

    def __post_init__(self) -> None:
        """Convert all numbers to float."""
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "distortion", tuple(map(float, self.distortion)))

    @property
    def has_known_focal_length(self) -> bool:
        """Whether the focal length is known; otherwise it is a typical one."""
        return self.source != "assumed"

    @property
    def is_perspective(self) -> bool:
        """Whether K R K^-1 rotates its images: known focal length, little distortion."""
        return self.has_known_focal_length and self.model in PERSPECTIVE_MODELS

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view in degrees, distortion ignored."""
        return float(np.degrees(2 * np.arctan(self.width / (2 * self.fx))))

    @property
    def has_distortion(self) -> bool:
        """Whether the camera is more than a pinhole."""
        return any(self.distortion) or self.model not in PERSPECTIVE_MODELS

    @property
    def matrix(self) -> np.ndarray:
        """The intrinsic matrix K, shape (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera of the resized image.

        Args:
            width: new width in pixels.
            height: new height in pixels.

        Returns:
            The camera.
        """
        x = width / self.width
        y = height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * x,
            fy=self.fy * y,
            cx=self.cx * x,
            cy=self.cy * y,
        )

    def rotate90(self, quarter_turns: int = 1) -> Camera:
        """Return the camera of the image rotated counter-clockwise, as by `numpy.rot90`.

        Radial distortion stays, tangential distortion of OpenCV's models is rotated. That of rarer
        models stays unchanged.

        Args:
            quarter_turns: number of rotations by 90 degrees.

        Returns:
            The camera.
        """
        camera = self
        for _ in range(quarter_turns % 4):
            distortion = camera.distortion
            if self.model in TANGENTIAL_MODELS:
                k1, k2, p1, p2, *rest = distortion
                distortion = (k1, k2, -p2, p1, *rest)
            camera = replace(
                camera,
                width=camera.height,
                height=camera.width,
                fx=camera.fy,
                fy=camera.fx,
                cx=camera.cy,
                cy=camera.width - camera.cx,
                distortion=distortion,
            )
        return camera
