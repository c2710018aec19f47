"""How tests read error messages."""

from __future__ import annotations

import pytest

from posenet.errors import PoseNetError


def refusal(work, *arguments, **options) -> str:
    """The one line with which a user's mistake is refused."""
    with pytest.raises(PoseNetError) as refused:
        work(*arguments, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)
