"""Whether the poses of a run are refined."""

from __future__ import annotations

import logging
from collections.abc import Callable

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.mapping.landmarks import can_have_landmarks

log = logging.getLogger("posenet")


def decide_refinement(
    requested: bool | None, training: Callable[[], Scene], load_map: Callable[[], object]
) -> bool:
    """Decide whether poses are refined: as requested, by default if it is possible.

    It is possible if the intrinsics of training images are known or measured and the landmark map
    can be loaded or built. If it is not, one line of the log states the reason.

    Args:
        requested: True to insist, False to leave poses unrefined, None for the default.
        training: opens the training images; called only if the landmark map may be needed.
        load_map: loads or builds the landmark map; called only if the intrinsics are known or
            refinement is requested.

    Returns:
        Whether poses are refined. If True, `load_map` has succeeded.

    Raises:
        PoseNetError: refinement is requested, but not possible.
    """
    if requested is False:
        return False
    if requested:
        load_map()
        return True
    try:
        if not can_have_landmarks(training()):
            log.info("poses are not refined: the intrinsics of the training images are unknown")
            return False
        load_map()
    except PoseNetError as error:
        log.warning("poses are not refined: %s", error)
        return False
    return True
