"""Visual localization: train a network on a place, then localize new images in it.

The names below are imported on first use, so that ``import posenet`` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posenet.api import Run as Run
    from posenet.api import load as load
    from posenet.api import train as train
    from posenet.datasets.registry import open_scene as open_scene
    from posenet.datasets.scene import Scene as Scene
    from posenet.errors import PoseNetError as PoseNetError
    from posenet.evaluation.evaluate import Evaluation as Evaluation
    from posenet.geometry.poses import Poses as Poses
    from posenet.localization.estimates import PoseEstimates as PoseEstimates
    from posenet.localization.localizer import Localizer as Localizer
    from posenet.localization.tracking import PoseTracker as PoseTracker
    from posenet.streams.follower import follow as follow

__version__ = "0.1.0"

_MODULES = {
    "open_scene": "posenet.datasets.registry",
    "Scene": "posenet.datasets.scene",
    "train": "posenet.api",
    "load": "posenet.api",
    "Run": "posenet.api",
    "Localizer": "posenet.localization.localizer",
    "PoseEstimates": "posenet.localization.localizer",
    "PoseTracker": "posenet.localization.tracking",
    "follow": "posenet.streams.follower",
    "Evaluation": "posenet.evaluation.evaluate",
    "Poses": "posenet.geometry.poses",
    "PoseNetError": "posenet.errors",
}

__all__ = [
    "Evaluation",
    "Localizer",
    "PoseEstimates",
    "PoseNetError",
    "PoseTracker",
    "Poses",
    "Run",
    "Scene",
    "__version__",
    "follow",
    "load",
    "open_scene",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'posenet' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion in a shell."""
    return __all__
