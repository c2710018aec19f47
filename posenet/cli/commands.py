"""The table of all commands. Each is one line in `AnyCommand` and one in `COMMANDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from posenet.cli.animate import AnimateConfig, animate
from posenet.cli.city import CityConfig, city
from posenet.cli.evaluate import evaluate, evaluate_poses
from posenet.cli.export import ExportConfig, export
from posenet.cli.export_map import ExportMapConfig, export_map
from posenet.cli.live import LiveConfig, live
from posenet.cli.options import (
    ClassifyConfig,
    ConvertConfig,
    ConvertWeightsConfig,
    CourtyardConfig,
    EvaluateConfig,
    EvaluatePosesConfig,
    EvaluateWeightsConfig,
    InfoConfig,
    InspectConfig,
    PredictConfig,
    ReconstructConfig,
)
from posenet.cli.pack import PackConfig, pack
from posenet.cli.predict import predict
from posenet.cli.scene import convert, courtyard, info, reconstruct
from posenet.cli.train import train
from posenet.cli.view import ViewConfig, view
from posenet.cli.weights import classify, convert_weights, evaluate_weights, inspect_weights
from posenet.config import TrainConfig


@dataclass(frozen=True)
class WeightsCommand:
    """Inspect, convert or evaluate published weights."""

    command: (
        Annotated[InspectConfig, tyro.conf.subcommand("inspect")]
        | Annotated[ConvertWeightsConfig, tyro.conf.subcommand("convert")]
        | Annotated[EvaluateWeightsConfig, tyro.conf.subcommand("evaluate")]
    )


@dataclass(frozen=True)
class SceneCommand:
    """Summarize, convert, reconstruct or generate scenes."""

    command: (
        Annotated[InfoConfig, tyro.conf.subcommand("info")]
        | Annotated[ConvertConfig, tyro.conf.subcommand("convert")]
        | Annotated[ReconstructConfig, tyro.conf.subcommand("reconstruct")]
        | Annotated[CourtyardConfig, tyro.conf.subcommand("courtyard")]
        | Annotated[CityConfig, tyro.conf.subcommand("city")]
    )


AnyCommand = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[EvaluatePosesConfig, tyro.conf.subcommand("evaluate-poses")]
    | Annotated[PredictConfig, tyro.conf.subcommand("predict")]
    | Annotated[ViewConfig, tyro.conf.subcommand("view")]
    | Annotated[LiveConfig, tyro.conf.subcommand("live")]
    | Annotated[PackConfig, tyro.conf.subcommand("pack")]
    | Annotated[AnimateConfig, tyro.conf.subcommand("animate")]
    | Annotated[ExportConfig, tyro.conf.subcommand("export")]
    | Annotated[ExportMapConfig, tyro.conf.subcommand("export-map")]
    | Annotated[SceneCommand, tyro.conf.subcommand("scene")]
    | Annotated[WeightsCommand, tyro.conf.subcommand("weights")]
    | Annotated[ClassifyConfig, tyro.conf.subcommand("classify")]
)

COMMANDS: dict[type, Callable[[Any], None]] = {
    TrainConfig: train,
    EvaluateConfig: evaluate,
    EvaluatePosesConfig: evaluate_poses,
    PredictConfig: predict,
    ViewConfig: view,
    LiveConfig: live,
    PackConfig: pack,
    AnimateConfig: animate,
    ExportConfig: export,
    ExportMapConfig: export_map,
    InfoConfig: info,
    ConvertConfig: convert,
    ReconstructConfig: reconstruct,
    CourtyardConfig: courtyard,
    CityConfig: city,
    ClassifyConfig: classify,
    InspectConfig: inspect_weights,
    ConvertWeightsConfig: convert_weights,
    EvaluateWeightsConfig: evaluate_weights,
}
