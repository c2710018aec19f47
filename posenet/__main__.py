"""python -m posenet: the same as the posenet command."""

import sys

from posenet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
