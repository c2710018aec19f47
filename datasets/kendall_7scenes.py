"""Kendall's own lists of 7-Scenes: `<scene>_train.txt` with `<scene>_val.txt` or `<scene>_test.txt`.

The Cambridge header and columns, but CAMERA-TO-WORLD quaternions, and names with a leading slash
(`/seq-01/frame-000000.color.png`), which is taken off.
"""

from __future__ import annotations

from pathlib import Path

from posenet.datasets.cambridge import read_lists
from posenet.hygiene import RawScene

NAME = "Kendall's 7-Scenes lists"
LOOKS_FOR = "*_train.txt with *_val.txt or *_test.txt, headed 'Visual Landmark Dataset V1'"


def _lists(folder: Path) -> dict[str, Path]:
    lists = {}
    for split, endings in {"train": ("train",), "test": ("val", "test")}.items():
        for ending in endings:
            for path in sorted(folder.glob(f"*_{ending}.txt")):
                with open(path, "rb") as file:
                    if file.readline().startswith(b"Visual Landmark Dataset"):
                        lists.setdefault(split, path)
    return lists


def recognises(folder: Path) -> bool:
    """Whether such a list is there."""
    return bool(_lists(folder))


def read(folder: Path) -> RawScene:
    """Read the lists. Raises PoseNetError (file:line) for a malformed line."""
    return read_lists(folder, _lists(folder))
