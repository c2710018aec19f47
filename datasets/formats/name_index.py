"""Find which image of a scene a name in another list means: a split, poses, a reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

from posenet.datasets.formats.image_names import is_absolute, match_key, path_suffixes
from posenet.errors import count
from posenet.io.folders import normalize_name


class NameIndex:
    """The names of a scene's images, by the form in which names are compared."""

    def __init__(self, names: Sequence[str]) -> None:
        """Index names.

        Args:
            names: names of images.
        """
        self._exact: dict[str, str] = {}
        self._by_key: dict[str, list[str]] = {}
        self._by_end: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            self._exact.setdefault(normalize_name(name), name)
            self._by_key.setdefault(match_key(name), []).append(name)
            for end in path_suffixes(match_key(name)):
                self._by_end.setdefault(end, []).append(name)

    def find(self, written: str) -> str | None:
        """Return the image that a name means, in any Unicode form and with any image suffix.

        Args:
            written: a name with forward slashes; images/ in front may be missing. An absolute path
                means the longest name of an image that it ends with.

        Returns:
            The name of the image, None if there is none, or if only the suffix decides.
        """
        for end in path_suffixes(written) if is_absolute(written) else [written]:
            for name in (end, f"images/{end}"):
                if found := self._exact.get(normalize_name(name)):
                    return found
                if len(same := self._by_key.get(match_key(name), [])) == 1:
                    return same[0]
        return None

    def find_ending(self, written: str) -> list[str]:
        """Return the images whose names end with the parts of a name; suffixes may differ.

        Args:
            written: a name with forward slashes.

        Returns:
            Their names.
        """
        return self._by_end.get(match_key(written), [])


def describe_moved(written: Sequence[str], found: Sequence[str]) -> str:
    """Return the line about paths of another machine.

    Args:
        written: n such paths, at least one.
        found: the names of the n images that they are read as.

    Returns:
        The line.
    """
    return (
        f"{count(len(written), 'path')} of another machine read as images of the scene that end "
        f"alike, such as {written[0]} as {found[0]}"
    )
