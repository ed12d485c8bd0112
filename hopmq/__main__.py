"""Run the command line as `python -m hopmq`."""

import sys

from hopmq.cli import main

if __name__ == "__main__":
    sys.exit(main())
