"""The command `giftlib`.

Read `parser` first (the commands with their options, and what each does), then `converters` (texts of the shell as
values).
"""

from .parser import main

__all__ = ["main"]
