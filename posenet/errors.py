"""The one exception that a user's mistake raises: its message is a single line."""


class PoseNetError(Exception):
    """Something the user gave cannot be used: says what must hold, what was received and where."""


class EmptySplitError(PoseNetError):
    """A scene has no images to train on, or none for the test."""


def first_line(error: BaseException) -> str:
    """Another library's error for a message of ours: its first line, 80 characters at most."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= 80 else text[:77] + "..."
