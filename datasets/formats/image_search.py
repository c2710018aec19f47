"""Find the files that the names in a scene's files mean, for the readers of all formats.

A name may have another suffix or Unicode form than its file. Absolute paths are often those of
another machine: such a path means the file below the scene folder with the longest common end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from posenet.datasets.formats.image_files import file_exists, folder_exists
from posenet.datasets.formats.image_names import (
    common_end,
    is_absolute,
    last_part,
    match_key,
    name_below,
)
from posenet.datasets.formats.name_index import describe_moved
from posenet.errors import PoseNetError
from posenet.io.folders import list_below, list_folder, normalize_name
from posenet.io.image_headers import IMAGE_SUFFIXES


def find_images(
    folder: Path, names: Sequence[str], sources: Sequence[str], notes: list[str]
) -> list[str]:
    """Return the names of the files that the names in a scene's files mean.

    Args:
        folder: the scene folder.
        names: n names relative to the folder, or absolute paths, with forward slashes.
        sources: where each name is, "file:line", for messages.
        notes: gets a line about paths of another machine, if there are any.

    Returns:
        n names relative to the folder. Names without a file are unchanged. So are absolute paths
        to other files of this machine, and those that end like no file below the folder.

    Raises:
        PoseNetError: two files end equally like a path, or two paths equally like a file.
    """
    files = _SceneFiles(folder)
    inside = [_name_inside(folder, name) if is_absolute(name) else name for name in names]
    sources_of = {name: at for name, at in zip(inside, sources, strict=True) if is_absolute(name)}
    moved = _find_moved(sources_of, files)
    changed = [name for name in inside if name in moved]
    if changed:
        notes.append(describe_moved(changed, _replace(changed, moved)))
    return [name if is_absolute(name) else files.find(name) for name in _replace(inside, moved)]


class _Match(NamedTuple):
    """A file below the scene folder, and how many parts at the end of its path match."""

    file: str
    parts: int


class _Root(NamedTuple):
    """A folder of another machine, the one below the scene folder, and how long the ends are."""

    old: str
    new: str
    parts: int

    def holds(self, path: str) -> bool:
        """Return whether a path is in the folder of the other machine."""
        return path.startswith(f"{self.old}/")


class _SceneFiles:
    """The image files below a folder. It is listed if an absolute path or a folder is searched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_parent: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str:
        """Return the file of a relative name, in any Unicode form and with any image suffix."""
        if ".." in name.split("/") or file_exists(self.folder / name):
            return name
        files = self._in_folder_of(name).get(match_key(name), [])
        same = [file for file in files if normalize_name(file) == normalize_name(name)]
        return [*same, *files, name][0]

    def best_matches(self, path: str) -> list[_Match]:
        """Return the files with the longest end in common with a path; suffixes may differ.

        Among equally long ends, those with the same suffix have precedence.
        """
        files = self._by_last_part.get(last_part(match_key(path)), [])
        end = normalize_name(last_part(path))
        rated = [
            (common_end(path, file), normalize_name(last_part(file)) == end, file) for file in files
        ]
        best = max((rating[:2] for rating in rated), default=None)
        return [_Match(file, parts) for parts, same, file in rated if (parts, same) == best]

    def _in_folder_of(self, name: str) -> dict[str, list[str]]:
        """Return the names in the folder of a name, or all of them if there is no such folder."""
        parent = name.rpartition("/")[0]
        if parent not in self._by_parent:
            path = self.folder / parent
            self._by_parent[parent] = (
                self._group(list_folder(path), match_key) if folder_exists(path) else self._by_key
            )
        return self._by_parent[parent]

    @cached_property
    def _files(self) -> list[Path]:
        return list_below(self.folder)

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        return self._group(self._files, match_key)

    @cached_property
    def _by_last_part(self) -> dict[str, list[str]]:
        return self._group(self._files, lambda name: last_part(match_key(name)))

    def _group(self, paths: Sequence[Path], key_of: Callable[[str], str]) -> dict[str, list[str]]:
        """Return the names of images by a key, those with more usual suffixes first."""
        rank = {suffix: row for row, suffix in enumerate(IMAGE_SUFFIXES)}
        images = [path for path in paths if path.suffix.lower() in rank]
        groups: dict[str, list[str]] = {}
        for path in sorted(images, key=lambda path: rank[path.suffix.lower()]):
            name = path.relative_to(self.folder).as_posix()
            groups.setdefault(key_of(name), []).append(name)
        return groups


def _name_inside(folder: Path, path: str) -> str:
    """Return the name of an absolute path that is below the folder; others are unchanged."""
    return name_below(folder, path) or name_below(folder.resolve(), path) or path


def _replace(names: Sequence[str], new_names: Mapping[str, str]) -> list[str]:
    return [new_names.get(name, name) for name in names]


def _find_moved(sources: Mapping[str, str], files: _SceneFiles) -> dict[str, str]:
    """Return the new names of paths of another machine, given where each path is written.

    A path that ends like no file gets the name that it would have beside the others, so that it is
    reported as a missing image. So does one that ends equally like several files, if the ends of
    others are longer.
    """
    foreign = [
        path for path in sources if ".." not in path.split("/") and not file_exists(Path(path))
    ]
    best = {path: files.best_matches(path) for path in foreign}
    matches = {path: found[0] for path, found in best.items() if len(found) == 1}
    _drop_rivals(matches, sources)
    moved = {path: match.file for path, match in matches.items()}
    roots = sorted({_split_root(path, match) for path, match in matches.items()})
    for path in foreign:
        if path in moved:
            continue
        parts = best[path][0].parts if len(best[path]) > 1 else 0
        root = next((root for root in roots if root.holds(path) and root.parts > parts), None)
        if root is not None:
            moved[path] = root.new + path.removeprefix(f"{root.old}/")
        elif parts:
            first, second, *_ = best[path]
            raise PoseNetError(
                f"{sources[path]}: a path of another machine must end like one image below the "
                f"scene folder, {path} ends equally like {first.file} and {second.file}"
            )
    return moved


def _drop_rivals(matches: dict[str, _Match], sources: Mapping[str, str]) -> None:
    """Leave only the path that ends most like each file. Raises PoseNetError for equal ones."""
    owners: dict[str, str] = {}
    for path, match in list(matches.items()):
        owner = owners.setdefault(match.file, path)
        if owner == path:
            continue
        if match.parts == matches[owner].parts:
            raise PoseNetError(
                f"{sources[path]}: paths of another machine must end like different images below "
                f"the scene folder, {owner} and {path} end equally like {match.file}"
            )
        loser = path if match.parts < matches[owner].parts else owner
        owners[match.file] = path if loser == owner else owner
        del matches[loser]


def _split_root(path: str, match: _Match) -> _Root:
    """Return the folders that a path and its file have before their common end."""
    old = "/".join(path.split("/")[: -match.parts])
    new = "".join(f"{part}/" for part in match.file.split("/")[: -match.parts])
    return _Root(old, new, match.parts)
