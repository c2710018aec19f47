"""python evaluate.py RUN [SCENE]: the same as `posenet evaluate`."""

import sys

from posenet.cli import main
from posenet.commands import EvaluateConfig

if __name__ == "__main__":
    sys.exit(main(command=EvaluateConfig, program="evaluate.py"))
