"""Train a scene with the same recipe on each backend of Keras that is installed.

    python benchmarks/backends.py SCENE [--minutes 5] [--backends tensorflow jax torch]

Each training is a process of its own. Prints the errors on the validation images, epochs, images/s
as measured at the start, and the size of the backend's packages.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from posenet.environment import BACKENDS, is_installed

# Packages that only this backend needs.
PACKAGES = {
    "tensorflow": ("tensorflow", "tensorboard", "grpc"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch", "sympy", "networkx"),
}
MEGABYTE = 1e6


def package_size(backend: str) -> float:
    """Return the size of the packages of a backend in MB."""
    total = 0
    for name in PACKAGES[backend]:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            files = Path(spec.origin).parent.rglob("*")
            total += sum(file.stat().st_size for file in files if file.is_file())
    return total / MEGABYTE


def main() -> None:
    """Train and print one line per backend."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    options = parser.parse_args()
    print("backend, position, rotation_deg, epochs, images/s at the start, packages_MB")
    for backend in filter(is_installed, options.backends):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command = [sys.executable, "-m", "posenet", "train", str(options.scene)]
            command += ["--output", str(run), "--backend", backend, "--overwrite"]
            subprocess.run(
                [*command, "--minutes", str(options.minutes), "--no-evaluate"], check=True
            )
            plan = json.loads((run / "config.json").read_text())["plan"]
            with open(run / "history.csv", newline="") as file:
                rows = list(csv.DictReader(file))
            best = min(
                (r for r in rows if r["val_position_error"]),
                default=rows[-1],
                key=lambda r: float(r["val_position_error"]),
            )
            print(
                f"{backend}, {best['val_position_error']}, {best['val_rotation_error_deg']}, "
                f"{len(rows)}, {plan['images_per_second']:.1f}, {package_size(backend):.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
