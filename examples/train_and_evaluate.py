"""Train a network on a scene, evaluate it on the test images and save the report.

python examples/train_and_evaluate.py scenes/kitchen runs/kitchen --minutes 15
"""

import argparse

import posenet


def main() -> None:
    """Parse the command line, train, evaluate and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", help="scene folder")
    parser.add_argument("run", help="run folder to write")
    parser.add_argument("--minutes", type=float, default=15.0, help="training time")
    arguments = parser.parse_args()

    scene = posenet.open_scene(arguments.scene)
    print(scene)
    run = posenet.train(scene, arguments.run, minutes=arguments.minutes)
    result = run.evaluate()
    print(result)
    result.save(f"{arguments.run}/evaluation")


if __name__ == "__main__":
    main()
