"""Render the images of the synthetic courtyard, with the light of each walk, sky and people."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.meshes import Face, Solid, Texture
from posenet.datasets.courtyard.renderer import render
from posenet.datasets.courtyard.world import HALF_X, HALF_Y, World
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses

# Image width, pixels.
WIDTH = 480
# Image height, pixels.
HEIGHT = 360
# Horizontal field of view, degrees.
FIELD_OF_VIEW = 75.0
# Width of the texture of a person relative to its height, 0.9 m and 2 m.
PERSON_ASPECT = 0.45
# Smallest distance of a person from the camera, meters.
MIN_DISTANCE = 1.2
# Distance of people from walls, meters.
MARGIN = 0.6
# Half the side of the free square that a person needs, meters.
FREE = 0.5
# Rotation of the clouds between two walks, degrees.
CLOUD_SHIFT = 67
# Elevation of the first row of the sky, degrees.
SKY_TOP = 75
# Elevations that the sky covers, degrees.
SKY_RANGE = 80


@dataclass(frozen=True)
class Light:
    """The light of one walk and the colors of its camera.

    Attributes:
        azimuth: azimuth of the sun, degrees from x towards y.
        elevation: elevation of the sun, degrees.
        sun: strength of the sun, 0 for diffuse light.
        gain: factor of all colors.
        warmth: relative increase of red and decrease of blue.
    """

    azimuth: float
    elevation: float
    sun: float
    gain: float
    warmth: float


# The light of each walk. That of the test walk, the last, is within the range of the others.
LIGHTS = (
    Light(205, 42, 0.50, 1.04, 0.00),
    Light(260, 52, 0.22, 0.94, -0.05),
    Light(150, 36, 0.60, 1.02, 0.06),
    Light(188, 46, 0.42, 0.98, 0.025),
)


def courtyard_camera(width: int = WIDTH, height: int = HEIGHT) -> Camera:
    """Return the camera of all images.

    Args:
        width: width of the images in pixels.
        height: height of the images in pixels.

    Returns:
        A pinhole camera.
    """
    focal = width / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
    return Camera(width, height, focal, focal, width / 2, height / 2)


def _sun(light: Light) -> np.ndarray:
    """Return the unit vector (3,) towards the sun."""
    azimuth, elevation = np.radians((light.azimuth, light.elevation))
    return np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )


def lit_ground(world: World, light: Light) -> Face:
    """Return the ground with the shadows of solids and houses.

    Args:
        world: the courtyard.
        light: the light.

    Returns:
        The ground, with a darker texture in the shadows.
    """
    sun = _sun(light)
    ground = world.ground
    boxes = [(solid.low[:2], solid.high) for solid in world.solids]
    walls = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)]) * (HALF_X, HALF_Y)
    boxes += [
        (walls[i], np.array([*walls[(i + 1) % 4], height]))
        for i, height in enumerate(world.wall_heights)
    ]
    lightness: np.ndarray = np.full((HEIGHT * 2, WIDTH * 2), 1.0, np.float32)
    scale = np.array([lightness.shape[1] / (2 * HALF_X), -lightness.shape[0] / (2 * HALF_Y)])
    for low, high in boxes:
        base = np.array([(x, y) for x in (low[0], high[0]) for y in (low[1], high[1])])
        shadow = np.concatenate([base, base - sun[:2] / sun[2] * high[2]])
        corners = np.round((shadow - (-HALF_X, HALF_Y)) * scale).astype(np.int32)
        cv2.fillConvexPoly(lightness, cv2.convexHull(corners), 1 - 0.55 * light.sun)
    lightness = cv2.GaussianBlur(lightness, (0, 0), 3)
    height, width = ground.texture.pixels.shape[:2]
    lightness = cv2.resize(lightness, (width, height))[:, :, None]
    pixels = (ground.texture.pixels * lightness).astype(np.uint8)
    return Face(ground.corner, ground.across, ground.down, Texture(pixels))


def photograph(
    world: World,
    ground: Face,
    sequence: int,
    pose: Poses,
    rng: np.random.Generator,
    camera: Camera | None = None,
) -> np.ndarray:
    """Render one image with people, in the light of its walk, with slight noise.

    Args:
        world: the courtyard.
        ground: the ground with shadows, from `lit_ground`.
        sequence: number of the walk, 0 to 3.
        pose: one world_from_camera pose.
        rng: source of randomness.
        camera: the camera. Default: that of `courtyard_camera`.

    Returns:
        RGB image, shape (height, width, 3), uint8.
    """
    camera = camera or courtyard_camera()
    light = LIGHTS[sequence]
    sun = _sun(light)
    position = pose.positions[0]

    def shade(face: Face) -> float:
        return 1 - 0.5 * light.sun + 0.8 * light.sun * max(0.0, float(face.normal @ sun))

    solids = world.solids + _passers_by(world, position, rng)
    backdrop = _sky(world.sky, CLOUD_SHIFT * sequence, pose.rotations[0], camera)
    image = render(
        camera,
        position,
        pose.rotations[0],
        backdrop,
        [ground, *world.walls],
        solids,
        shade,
    )
    gain = light.gain * rng.uniform(0.98, 1.02) * np.array([1 + light.warmth, 1, 1 - light.warmth])
    noise = rng.standard_normal(image.shape, np.float32) * 2
    return np.clip(image * gain.astype(np.float32) + noise + 0.5, 0, 255).astype(np.uint8)


def _passers_by(world: World, position: np.ndarray, rng: np.random.Generator) -> list[Solid]:
    """Return two to seven people on free ground who face the camera."""
    people: list[Solid] = []
    count = rng.integers(2, 8)
    while len(people) < count:
        foot = rng.uniform((-HALF_X + MARGIN, -HALF_Y + MARGIN), (HALF_X - MARGIN, HALF_Y - MARGIN))
        reach = foot - position[:2]
        gaps = [
            (foot + FREE < solid.low[:2]) | (foot - FREE > solid.high[:2])
            for solid in (*world.solids, *people)
        ]
        if np.linalg.norm(reach) > MIN_DISTANCE and all(gap.any() for gap in gaps):
            height = 2 * rng.uniform(0.88, 1.08)
            texture = world.people[rng.choice(len(world.people))]
            people.append(_person_at(foot, reach, height, texture))
    return people


def _person_at(foot: np.ndarray, reach: np.ndarray, height: float, texture: Texture) -> Solid:
    """Return an upright billboard on the ground at (x, y) that faces back along reach (2,)."""
    across = np.array([reach[1], -reach[0], 0]) / np.linalg.norm(reach) * PERSON_ASPECT * height
    bottom = np.array([*foot, 0.0])
    corner = bottom - across / 2 + (0, 0, height)
    # A large tile, so that a person is drawn with one texture level.
    face = Face(corner, across, np.array([0, 0, -height]), texture, tile=10.0)
    half = np.abs(across) / 2
    return Solid([[face]], bottom - half, bottom + half + (0, 0, height))


def _sky(panorama: np.ndarray, shift: float, rotation: Rotation, camera: Camera) -> np.ndarray:
    """Return the sky behind an image, at half its size; `shift` rotates the clouds, degrees."""
    camera = camera.resized(camera.width // 2, camera.height // 2)
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack(
        [(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1
    )
    world = local @ rotation.as_matrix().T
    azimuth = np.degrees(np.arctan2(-world[..., 1], world[..., 0])) + shift
    elevation = np.degrees(np.arctan2(world[..., 2], np.hypot(world[..., 0], world[..., 1])))
    rows, columns = panorama.shape[:2]
    column = (azimuth % 360) / 360 * columns
    row = np.clip((SKY_TOP - elevation) / SKY_RANGE, 0, 1) * (rows - 1)
    return cv2.remap(
        panorama,
        column.astype(np.float32),
        row.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
