"""Localize all images of a folder with a trained run; print one line per image.

python examples/localize_images.py runs/kitchen photos
"""

import argparse
from pathlib import Path

import posenet
from posenet.localization.query_images import image_files


def main() -> None:
    """Parse the command line and print camera center, rotation and uncertainty of each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder")
    parser.add_argument("folder", type=Path, help="folder of images")
    parser.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        help="refine poses by PnP (default: if possible)",
    )
    arguments = parser.parse_args()

    localizer = posenet.load(arguments.run).localizer(refine=arguments.refine)
    for path in image_files([arguments.folder]):
        pose = localizer.localize(path)
        position = " ".join(f"{value:.3f}" for value in pose.position)
        quaternion = " ".join(f"{value:.4f}" for value in pose.quaternion_wxyz)
        uncertainty = f"{pose.rotation_spread_deg:.2f} {pose.num_inliers} {pose.position_std:.2g}"
        print(f"{path.name} {position} {quaternion} {uncertainty}")


if __name__ == "__main__":
    main()
