"""Time one image with Keras and with the exported networks, from the start of the program too.

    python benchmarks/export_times.py runs/courtyard photo.jpg --plot docs/export.png

The network is exported to every format that is not there yet. Requires the extra `export`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from posenet.export.registry import FORMATS, get_format
from posenet.viz.figure import ESTIMATE, TRAINING, default_style, new_figure, save_figure

# Each program is started this often; the shortest time counts.
REPEATS = 3


def program_seconds(run: Path, image: Path, runtime: str) -> float:
    """Return the wall time of `posenet predict` for one image."""
    command = [sys.executable, "-m", "posenet", "predict", str(run), str(image)]
    times = []
    for _ in range(REPEATS + 1):  # the first one may export the network or build the map
        start = time.perf_counter()
        subprocess.run([*command, "--runtime", runtime], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def network_milliseconds(run: Path) -> dict[str, float]:
    """Return the time of the network alone in each runtime and in Keras."""
    times = {}
    for name in FORMATS:
        description = run / f"{get_format(name).FILE}.json"
        if not description.is_file():
            command = [sys.executable, "-m", "posenet", "export", str(run), "--to", name]
            subprocess.run([*command, "--overwrite"], check=True, capture_output=True)
        check = json.loads(description.read_text(encoding="utf-8"))["check"]
        times[name] = check["milliseconds"]
        times["Keras"] = min(check["keras_milliseconds"], times.get("Keras", float("inf")))
    return times


def draw(path: Path, programs: dict[str, float], networks: dict[str, float]) -> None:
    """Draw both as bars."""
    with default_style():
        figure = new_figure(9, 2.8)
        for ax, values, title, digits in (
            (figure.add_subplot(1, 2, 1), networks, "network, one image (ms)", 1),
            (figure.add_subplot(1, 2, 2), programs, "posenet predict, one image (s)", 1),
        ):
            names = sorted(values, key=lambda name: -values[name])
            colors = [TRAINING if name in ("Keras", "tensorflow") else ESTIMATE for name in names]
            bars = ax.barh(names, [values[name] for name in names], color=colors)
            ax.bar_label(bars, fmt=f"%.{digits}f", padding=3)
            ax.set_title(title, fontsize=10)
            ax.margins(x=0.12)
            ax.set_xticks([])
            for side in ("top", "right", "bottom"):
                ax.spines[side].set_visible(False)
        save_figure(figure, path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    networks = network_milliseconds(options.run)
    programs = {
        name: program_seconds(options.run, options.image, name) for name in ("tensorflow", "onnx")
    }
    for name, value in networks.items():
        print(f"network, {name}: {value:.1f} ms")
    for name, value in programs.items():
        print(f"posenet predict, {name}: {value:.1f} s")
    if options.plot:
        draw(options.plot, programs, networks)


if __name__ == "__main__":
    main()
