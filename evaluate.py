"""python evaluate.py RUN [SCENE]: the same as `posenet evaluate`."""

import sys

from posenet.cli.main import main
from posenet.cli.options import EvaluateConfig

if __name__ == "__main__":
    sys.exit(main(command=EvaluateConfig, program="evaluate.py"))
