"""The one exception that a user's mistake raises: its message is a single line."""


class PoseNetError(Exception):
    """Something the user gave cannot be used: says what must hold, what was received and where."""


class EmptySplitError(PoseNetError):
    """A scene has no pictures to train on, or none for the test."""
