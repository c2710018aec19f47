"""python evaluate.py RUN|WEIGHTS [SCENE]: `posenet evaluate` or `posenet weights evaluate`."""

import sys

from posenet.cli.evaluate import evaluate_script

if __name__ == "__main__":
    sys.exit(evaluate_script())
