"""The model card of a packed run: README.md with front matter as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posenet.errors import count
from posenet.io.hub import is_hub_address
from posenet.io.json_files import parse_json
from posenet.run import Run

# Identifiers of licenses on the Hugging Face Hub that images are often under. Others are named in
# `license_name`.
LICENSES = frozenset(
    {
        "afl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc", "cc-by-2.0", "cc-by-2.5",
        "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
        "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "mit",
        "odbl", "odc-by", "pddl", "unlicense", "wtfpl",
    }
)  # fmt: skip
NOT_STATED = "not stated"
METHODS = {
    "pose_regression": "network alone",
    "retrieval": "retrieval of the most similar training image",
    "mean_pose": "mean training pose",
}
FIGURE = "evaluation/trajectory.png"


@dataclass(frozen=True)
class PackOptions:
    """What the user states for the model card, and what is packed.

    Attributes:
        license: license of the training images; None if it is not stated.
        title: title of the card; None for the name of the scene.
        figures: include the figures of the evaluation, some of which show images.
    """

    license: str | None = None
    title: str | None = None
    figures: bool = True


def format_card(
    run: Run, content: Mapping[str, bytes | Path], address: str, options: PackOptions
) -> str:
    """Format the model card of a packed run.

    Args:
        run: the run.
        content: the files of the packed run by name.
        address: the name of the archive, or hf://user/name.
        options: what the user states.

    Returns:
        The text of README.md: front matter in YAML, then Markdown.
    """
    title = " ".join((options.title or f"posenet: {run.scene.name}").split())
    license_text = " ".join(options.license.split()) if options.license else NOT_STATED
    summary = _read_summary(content.get("evaluation/summary.json"))
    parts = [
        _front_matter(run, title, license_text, summary),
        f"# {title}",
        f"A camera localization model of the scene *{run.scene.name}*, trained with "
        "[posenet](https://pypi.org/project/camera-posenet/). It estimates position and rotation "
        "of the camera for new photos of this place.",
        _format_facts(run, content, license_text),
        *_format_results(summary, run.unit),
        *([f"![Camera positions]({FIGURE})"] if FIGURE in content else []),
        _format_usage(address),
    ]
    return "\n\n".join(parts) + "\n"


def _read_summary(file: bytes | Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    text = file if isinstance(file, bytes) else file.read_bytes()
    try:
        summary = parse_json(text)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) and "method" in summary else None


def _front_matter(run: Run, title: str, license_text: str, summary: dict[str, Any] | None) -> str:
    """Return the front matter. Strings in JSON's notation are valid in YAML."""
    lines = ["---", "library_name: posenet"]
    if license_text.lower() in LICENSES:
        lines.append(f"license: {license_text.lower()}")
    elif license_text == NOT_STATED:
        lines.append("license: unknown")
    else:
        lines += ["license: other", f"license_name: {json.dumps(license_text)}"]
    lines.append("tags:")
    tags = ("posenet", "visual-localization", "camera-pose-estimation", run.config.backbone)
    lines += [f"- {json.dumps(tag)}" for tag in tags]
    if summary and summary.get("median_position_error") is not None:
        lines += [
            "model-index:",
            f"- name: {json.dumps(title)}",
            "  results:",
            "  - task:",
            "      type: visual-localization",
            "    dataset:",
            f"      type: {json.dumps(run.scene.name)}",
            f"      name: {json.dumps(run.scene.name)}",
            "    metrics:",
        ]
        for name, unit in (("position", run.unit), ("rotation", "degrees")):
            key = "median_position_error" if name == "position" else "median_rotation_error_deg"
            lines += [
                f"    - type: {key}",
                f"      name: {json.dumps(f'median {name} error ({unit})')}",
                f"      value: {summary[key]:.6g}",
            ]
    return "\n".join([*lines, "---"])


def _format_facts(run: Run, content: Mapping[str, bytes | Path], license_text: str) -> str:
    """Return the table of facts."""
    height, width = run.crop.size
    total = sum(_size(value) for value in content.values())
    camera = run.camera
    facts = {
        "scene": run.scene.name,
        "unit of positions": run.unit,
        "training images": f"{len(run.training_images)}, "
        f"{len(run.validation_images)} of them for validation",
        "test split": "a list of images" if Path(run.split).is_absolute() else run.split,
        "camera": f"{camera.width} x {camera.height}, {camera.model}" if camera else "several",
        "backbone": run.config.backbone,
        "head": run.head,
        "input": f"{width} x {height} pixels",
        "refinement": "with a landmark map"
        if "landmarks/map.json" in content
        else "none: there is no landmark map",
        "size": f"{total / 1e6:.0f} MB, the model {_size(content['model.keras']) / 1e6:.0f} MB",
        "license of the images": license_text,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {v} |" for name, v in facts.items())])


def _format_results(summary: dict[str, Any] | None, unit: str) -> list[str]:
    """Return the table of median errors beside the baselines."""
    if summary is None:
        return ["It was not evaluated before it was packed."]
    rows = {f"**{summary['method']}**": summary}
    rows |= {
        METHODS[name]: summary["baselines"][name]
        for name in METHODS
        if name in summary.get("baselines", {})
    }
    lines = [
        f"Median errors of {count(summary['images'], 'test image')}:",
        "",
        "| | position | rotation |",
        "|---|---|---|",
    ]
    for name, values in rows.items():
        position = _number(values["median_position_error"], unit)
        rotation = _number(values["median_rotation_error_deg"], "deg")
        lines.append(f"| {name} | {position} | {rotation} |")
    return ["\n".join(lines)]


def _number(value: float | None, unit: str) -> str:
    return "none" if value is None else f"{value:.3g} {unit}"


def _size(value: bytes | Path) -> int:
    return len(value) if isinstance(value, bytes) else value.stat().st_size


def _format_usage(address: str) -> str:
    """Return how the packed run is used."""
    package = "'camera-posenet[hub]'" if is_hub_address(address) else "camera-posenet"
    code = f"import posenet; print(posenet.load('{address}').localizer().localize('photo.jpg'))"
    return (
        "## Use\n\n```bash\n"
        f"pip install {package}\n"
        f"posenet predict {address} photo.jpg\n"
        f'python -c "{code}"\n'
        "```\n\nPoses are world_from_camera: camera center, and rotation from camera axes "
        "(x right, y down, z forward) to world axes as a quaternion wxyz."
    )
