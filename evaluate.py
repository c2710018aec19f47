"""python evaluate.py RUN [SCENE]: the same as `posenet evaluate`."""

import sys

from posenet.cli import EvaluateConfig, main

if __name__ == "__main__":
    sys.exit(main(command=EvaluateConfig, program="evaluate.py"))
