"""Imports go one way, from room to room."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the bottom up. A room may import those on the floors below it; rooms that share a floor do
# not import each other.
FLOORS = (
    ("errors",),
    ("typed_values",),
    ("config", "environment", "geometry"),
    ("io",),
    ("models", "datasets"),
    ("viz", "mapping"),
    ("viewer", "interop"),
    ("run_values",),
    ("run_config", "run_files"),
    ("run",),
    ("training", "localization"),
    ("evaluation", "export", "streams", "live", "sharing"),
    ("api",),
    ("cli",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def source_files() -> list[Path]:
    return sorted([*(ROOT / "posenet").rglob("*.py"), *(ROOT / "datasets").rglob("*.py")])


def room_of(path: Path) -> str:
    """The room that a source file belongs to; the package's own __init__ and __main__ are doors, no
    room.
    """
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "datasets" if parts[0] == "datasets" else parts[1]


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports, those of lazy imports and type checking included."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {module.split(".")[1] for module in modules if module.startswith("posenet.")}


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    for other in imported_rooms(path) - {room, "__version__"}:
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{path}: {room} must not import {other}"


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in source_files()} - {"__init__", "__main__"}
    assert rooms <= set(FLOOR_OF)
    assert all(not set(above) & set(below) for below, above in pairwise(FLOORS))
