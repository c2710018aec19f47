"""The command `export-map`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posenet.cli.options import Positional
from posenet.errors import PoseNetError, count

log = logging.getLogger("posenet")

SUFFIXES = (".ply", ".glb", ".rrd")


@dataclass(frozen=True)
class ExportMapConfig:
    """Write the map and the cameras of a run or a scene for a 3-D program.

    The points are those of the run's landmark map, or else of the scene's files, colored by the
    training images. The cameras are the training images and, if the run was evaluated, the true and
    estimated poses of the test images.

    .ply: in the world frame, for CloudCompare, MeshLab or Open3D. .glb: y up, relative to the
    center of the cameras, for Blender, browsers and AR. .rrd: with images and errors over time, for
    rerun (requires the extra `rerun`).
    """

    source: Annotated[Path, Positional, tyro.conf.arg(metavar="RUN|SCENE")]
    """Run folder that training wrote, a packed run, or a scene folder."""
    output: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")]
    """File to write: .ply, .glb or .rrd."""


def export_map(config: ExportMapConfig) -> None:
    """Write the map of a run or a scene and print the file.

    Args:
        config: the options.

    Raises:
        PoseNetError: the source is neither, or the file cannot be written.
    """
    suffix = config.output.suffix.lower()
    if suffix not in SUFFIXES:
        raise PoseNetError(f"FILE must be a .ply, .glb or .rrd file, received {config.output}")
    from posenet.interop.glb import write_glb
    from posenet.interop.ply import write_ply
    from posenet.interop.rrd import require_rerun, write_rrd

    if suffix == ".rrd":
        require_rerun()
    from posenet.evaluation.map_export import collect_map

    collected = collect_map(config.source)
    exported = collected.exported
    if suffix == ".ply":
        write_ply(config.output, exported)
    elif suffix == ".glb":
        write_glb(config.output, exported)
    else:
        write_rrd(config.output, exported, collected.recording())
    points = count(len(exported.positions), "point")
    print(f"written: {config.output}, {points}, {count(exported.num_cameras, 'camera')}")
