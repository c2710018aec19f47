"""Run the posenet command as ``python -m posenet``."""

import sys

from posenet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
