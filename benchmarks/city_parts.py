"""Courtyards of a simulated city as scenes of their own, for the benchmarks beside it."""

from __future__ import annotations

from pathlib import Path

POSES = "poses.csv"


def courtyard_names(city: Path) -> list[str]:
    """Return the names of the courtyards of a city.

    Args:
        city: what `posenet scene city` wrote.

    Returns:
        The folders of the courtyards, in order.
    """
    rows = (city / POSES).read_text().splitlines()[2:]
    return sorted({row.partition("/")[0] for row in rows})


def courtyard_scene(city: Path, name: str, folder: Path) -> Path:
    """Make a scene of one courtyard, in the world frame of the city. Images are linked.

    Args:
        city: what `posenet scene city` wrote.
        name: the courtyard.
        folder: where to make the scene.

    Returns:
        The scene's folder.
    """
    comment, header, *rows = (city / POSES).read_text().splitlines()
    own = [row for row in rows if row.startswith(f"{name}/")]
    scene = folder / f"scene-{name}"
    scene.mkdir(parents=True, exist_ok=True)
    if not (scene / name).exists():
        (scene / name).symlink_to((city / name).resolve())
    (scene / POSES).write_text("\n".join([comment, header, *own]) + "\n")
    return scene
