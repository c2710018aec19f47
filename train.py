"""python train.py [SCENE]: the same as `posenet train`."""

import sys

from posenet.cli.main import main
from posenet.config import TrainConfig

if __name__ == "__main__":
    sys.exit(main(command=TrainConfig, program="train.py"))
