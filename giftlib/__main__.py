"""Run the command line: `python -m giftlib`."""

import sys

from giftlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
