"""The page of `posenet live`: the map of a run, on which answers appear."""

from __future__ import annotations

import numpy as np

from posenet.errors import PoseNetError, count
from posenet.live.app import Page
from posenet.localization.localizer import Localizer
from posenet.mapping.landmarks import Landmarks
from posenet.viewer.build import build_surroundings, no_cameras
from posenet.viewer.page import build_page, content_policy
from posenet.viewer.view import CameraSet, MethodResult, View


def make_page(localizer: Localizer) -> Page:
    """Return the page with the map of a run.

    Args:
        localizer: the localizer that answers.

    Returns:
        The page. Without the training images it has no map: answers then appear in an empty space.
    """
    view = make_live_view(localizer)
    return Page(build_page(view).encode(), content_policy(live=True))


def make_live_view(localizer: Localizer) -> View:
    """Return the content of the page: training cameras and points, no query image yet.

    Args:
        localizer: the localizer that answers.

    Returns:
        The content.
    """
    run = localizer.run
    title = f"{run.scene.name}, live"
    empty = no_cameras()
    method = _empty_method("refined" if localizer.refines else "network", empty)
    try:
        training = localizer.gallery.scene
    except PoseNetError:  # logged by the localizer
        center = np.array(run.origin) + run.position_mean
        return View(
            kind="live",
            title=title,
            subtitle="",
            unit=run.unit,
            axes=np.eye(3),
            center=center,
            training=empty,
            queries=empty,
            methods=[method],
            live=True,
        )
    landmarks: Landmarks | None = localizer.refiner.landmarks if localizer.refines else None
    place = build_surroundings(training, landmarks=landmarks)
    return View(
        kind="live",
        title=title,
        subtitle=count(len(training), "training image"),
        unit=run.unit,
        axes=place.axes,
        center=place.center,
        training=place.training,
        queries=empty,
        methods=[method],
        points=place.points,
        notes=place.notes,
        live=True,
    )


def _empty_method(name: str, cameras: CameraSet) -> MethodResult:
    nothing = np.zeros(0)
    return MethodResult(name, "", cameras.poses, np.zeros(0, bool), nothing, nothing)
