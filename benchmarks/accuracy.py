"""Median errors of every recipe on every scene with the same training time.

    python benchmarks/accuracy.py SCENE... --minutes 15 --seeds 0 1 2 --output accuracy

Each training is the command `posenet train`, with its wall time as the budget. The errors are those
of the network alone, except for the recipe "refined". Finished trainings are kept in a folder for
that time, so an interrupted benchmark resumes. Prints the table and writes it to OUTPUT/table.md
with the hardware and the commit. "Nearest image" uses the descriptors of the network of the first
recipe.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

# The first is the default; each of the others changes one thing.
RECIPES = {
    "default": [],
    "refined": ["--refine"],
    "one view": ["--tta-views", "1"],
    "smoothed": ["--smooth"],
    "intrinsics of the files": ["--no-refine-intrinsics"],
    "no synthetic views": ["--no-synthetic-views"],
    "no augmentation": ["--no-augment"],
    "pose head": ["--head", "pose"],
    "pose head, rotation log": ["--head", "pose", "--rotation", "log"],
    "pose head, rotation 6d": ["--head", "pose", "--rotation", "6d"],
    "geometric loss": ["--loss", "geometric"],
    "no pretraining": ["--weights", "none"],
    "googlenet from scratch": ["--backbone", "googlenet"],
    "posenet 2015": ["--backbone", "posenet", "--loss", "posenet", "--no-augment"],
}
# Options of evaluate: such a recipe evaluates the model of the default.
EVALUATED = ("--refine", "--tta-views", "--smooth")


def trained(scene: Path, recipe: str, seed: int, minutes: float, folder: Path) -> dict | None:
    """Return summary.json of a training, which runs unless it exists; None if it failed."""
    options = RECIPES[recipe]
    is_evaluation = bool(options) and options[0] in EVALUATED
    if is_evaluation and trained(scene, "default", seed, minutes, folder) is None:
        return None
    run = (
        folder
        / f"{minutes:g}_minutes"
        / scene.name
        / _plain("default" if is_evaluation else recipe)
        / f"seed{seed}"
    )
    results = run / (_plain(recipe) if is_evaluation else "evaluation")
    if not (results / "summary.json").is_file():
        print(f"{scene.name}, {recipe}, seed {seed}", file=sys.stderr, flush=True)
        if not is_evaluation:
            command = ["train", "--no-evaluate", "--output", str(run)]
            if (run / "config.json").is_file():
                command.append("--resume")
            else:
                command += [str(scene), *options, "--seed", str(seed), "--minutes", str(minutes)]
            _posenet(command)
        # The last of two contradicting flags counts.
        command = ["evaluate", str(run), "--no-refine", "--output", str(results)]
        _posenet([*command, *options] if is_evaluation else command)
    summary = results / "summary.json"
    return json.loads(summary.read_text()) if summary.is_file() else None


def _posenet(arguments: list[str]) -> None:
    """Run a command of posenet; a failure is seen from the missing summary.json."""
    subprocess.run([sys.executable, "-m", "posenet", *arguments], check=False)


def _plain(recipe: str) -> str:
    """Return a folder name."""
    return "".join(letter if letter.isalnum() else "_" for letter in recipe)


def cell(summaries: list[dict]) -> str:
    """Return the median over the seeds, and their range."""
    if not summaries:
        return "failed"
    meters = [each["median_position_error"] for each in summaries]
    degrees = [each["median_rotation_error_deg"] for each in summaries]
    text = f"{statistics.median(meters):.3f} / {statistics.median(degrees):.2f}"
    if len(summaries) > 1:
        text += f" ({min(meters):.3f}-{max(meters):.3f} / {min(degrees):.2f}-{max(degrees):.2f})"
    return text


def table(rows: dict[str, dict[str, str]], scenes: list[Path], minutes: float, seeds: int) -> str:
    """Return a Markdown table with a row per recipe and a column per scene."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    ).stdout.strip()
    lines = [
        f"Median position error (unit of the scene) / rotation error (degrees); {seeds} seeds, "
        f"median and range; {minutes:g} minutes of training each. {processor()}, "
        f"{os.cpu_count()} cores, commit {commit or 'unknown'}.",
        "",
        "| | " + " | ".join(scene.name for scene in scenes) + " |",
        "|---" * (len(scenes) + 1) + "|",
    ]
    return "\n".join(
        lines
        + [
            f"| {name} | " + " | ".join(cells[s.name] for s in scenes) + " |"
            for name, cells in rows.items()
        ]
    )


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Train, evaluate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--output", type=Path, default=Path("accuracy"))
    options = parser.parse_args()
    rows: dict[str, dict[str, str]] = {recipe: {} for recipe in options.recipes}
    rows |= {"default, most certain half": {}} if "default" in options.recipes else {}
    rows |= {"nearest image": {}, "mean training pose": {}}
    for scene in options.scenes:
        for recipe in options.recipes:
            found = [
                trained(scene, recipe, seed, options.minutes, options.output)
                for seed in options.seeds
            ]
            good = [each for each in found if each]
            rows[recipe][scene.name] = cell(good)
            if recipe == "default":
                rows["default, most certain half"][scene.name] = cell(
                    [each["at_coverage"]["50%"] for each in good]
                )
            if recipe == options.recipes[0]:
                for title, key in (
                    ("nearest image", "retrieval"),
                    ("mean training pose", "mean_pose"),
                ):
                    rows[title][scene.name] = cell([each["baselines"][key] for each in good])
            cells = {
                name: {each.name: found.get(each.name, "") for each in options.scenes}
                for name, found in rows.items()
            }
            text = table(cells, options.scenes, options.minutes, len(options.seeds))
            (options.output / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
