"""Images of a painted plane from any pose, drawn by its homography: a world of known depth."""

import json

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses

CAMERA = Camera(320, 240, 260.0, 260.0, 160.0, 120.0)
PIXELS_PER_METER, HALF = 200.0, 3.0  # the painting spans x and y from -3 to 3 m, at z = 0


def painting(seed=0) -> np.ndarray:
    """(1200, 1200, 3) uint8 blots of many sizes."""
    rng = np.random.default_rng(seed)
    image = np.full((int(2 * HALF * PIXELS_PER_METER),) * 2 + (3,), 128, np.uint8)
    for radius in np.repeat([40, 20, 10, 6], [60, 150, 500, 1500]):
        center = tuple(int(c) for c in rng.integers(0, image.shape[0], 2))
        cv2.circle(
            image, center, int(radius), [int(c) for c in rng.integers(0, 255, 3)], -1, cv2.LINE_AA
        )
    return image


def plane_to_pixels(camera: Camera, position, rotation: Rotation) -> np.ndarray:
    """Return the homography (3, 3) from (x, y, 1) on the plane z = 0 to homogeneous pixels."""
    camera_from_world = rotation.inv().as_matrix()
    columns = np.column_stack(
        [camera_from_world[:, 0], camera_from_world[:, 1], -camera_from_world @ position]
    )
    return camera.matrix @ columns


def image_of_plane(image, camera: Camera, position, rotation: Rotation) -> np.ndarray:
    """What a camera sees of the painting, (height, width, 3) uint8."""
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
    to_plane = np.array(
        [[1 / PIXELS_PER_METER, 0, -HALF], [0, 1 / PIXELS_PER_METER, -HALF], [0, 0, 1]]
    )
    homography = half @ plane_to_pixels(camera, position, rotation) @ to_plane @ np.linalg.inv(half)
    return cv2.warpPerspective(
        image, homography, (camera.width, camera.height), flags=cv2.INTER_AREA
    )


def towards_plane(rng, spread=0.5) -> tuple[np.ndarray, Rotation]:
    """A camera about 2 m before the plane's middle (at negative z), looking at it."""
    position = np.array([0.0, 0, -2]) + rng.uniform(-spread, spread, 3)
    return position, Rotation.from_rotvec(rng.uniform(-0.12, 0.12, 3))


def claim_focal(folder, factor) -> None:
    """Multiply the focal lengths in the transforms files of a scene by a factor."""
    for file in folder.glob("transforms*.json"):
        values = json.loads(file.read_text())
        for each in (values, *values["frames"]):
            each |= {name: factor * each[name] for name in ("fl_x", "fl_y") if name in each}
        file.write_text(json.dumps(values))


def plane_scene(folder, count=10, seed=0, camera=CAMERA, poses_seed=None) -> Scene:
    """A scene of images of the painting, on the disk."""
    rng = np.random.default_rng(seed if poses_seed is None else poses_seed)
    image, poses = painting(seed), [towards_plane(rng) for _ in range(count)]
    names = tuple(f"{row:03d}.png" for row in range(count))
    folder.mkdir(parents=True, exist_ok=True)
    for name, (position, rotation) in zip(names, poses, strict=True):
        cv2.imwrite(
            str(folder / name), image_of_plane(image, camera, position, rotation)[..., ::-1]
        )
    return Scene(
        "plane",
        folder,
        names,
        Poses(np.array([p for p, _ in poses]), Rotation.concatenate([r for _, r in poses])),
        (camera,) * count,
        np.array(["train"] * count),
        np.array(["a"] * count),
    )
