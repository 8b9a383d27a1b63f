"""Run the command line: `python -m giftlib`."""

import sys

from giftlib.cli import main

sys.exit(main())
