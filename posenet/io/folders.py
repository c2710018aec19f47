"""List folders without what operating systems and tools leave in them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

# Names, in lower case, of files and folders that Windows, macOS, Linux and network disks make.
# Others start with a dot: .DS_Store, ._IMG_1.jpg, .ipynb_checkpoints, .thumbnails, .Trash-1000.
SYSTEM_NAMES = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "lost+found",
        "$recycle.bin",
        "system volume information",
    }
)


def is_system_name(name: str) -> bool:
    """Return whether a file or folder is hidden, or made by an operating system.

    Args:
        name: its name without the folder.

    Returns:
        True if users do not mean it when they name the folder that contains it.
    """
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def list_folder(folder: Path) -> list[Path]:
    """List the files and folders in a folder, without hidden ones and those of the system.

    Args:
        folder: an existing folder.

    Returns:
        Their paths, sorted.
    """
    return sorted(path for path in folder.iterdir() if not is_system_name(path.name))


def list_below(folder: Path) -> list[Path]:
    """List the files in a folder and its subfolders, by the rule of `list_folder`.

    Links to folders are followed; each folder is listed once.

    Args:
        folder: an existing folder.

    Returns:
        Their paths, sorted within each folder.
    """
    files: list[Path] = []
    listed: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in listed:
            folders.clear()
            continue
        listed.add(real)
        folders[:] = sorted(name for name in folders if not is_system_name(name))
        files += [Path(parent, name) for name in sorted(names) if not is_system_name(name)]
    return files


def normalize_name(name: str) -> str:
    """Return the form in which names are compared: Unicode NFC.

    macOS writes an accented letter as two characters (NFD), other systems as one (NFC).

    Args:
        name: name or path of a file.

    Returns:
        The name in NFC.
    """
    return unicodedata.normalize("NFC", name)
