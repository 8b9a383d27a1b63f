"""What the command line's options accept; whatever else is given ends it with one line and exit code 2."""

import argparse
import os
from math import nan
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def count(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A time above 0; a whole number of seconds is an int, which shows better."""
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 < value <= 1e9:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, at most 1e9, got {text!r}")
    return int(value) if value.is_integer() else value


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be numbers with commas between them, like 3,4, got {text!r}")
    return [int(part) for part in parts]


def file(text: str) -> Path:
    """A file that is there."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"must be a file, got {text!r}, which is none")
    return Path(text)


def folder(text: str) -> Path:
    """A folder, or a name for a new one."""
    there = next(path for path in (Path(text).absolute(), *Path(text).absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(
            f"must be a folder or the name of a new one, got {text!r}: {there} is no folder to write to"
        )
    return Path(text)
