"""Converters of arguments: each says in one line what it accepts."""

import argparse
import json
import os
from ast import literal_eval
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any


def argument(convert: Callable[[str], Any], accepted: str, accepts: Callable[[Any], bool]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        with suppress(ValueError):
            if accepts(value := convert(text)):
                return value
        raise argparse.ArgumentTypeError(f"must be {accepted}, got {text!r}")

    return read


def _is_writable(folder: Path) -> bool:
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def _named(text: str, number: Callable[[str], Any] = float) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError
    for read in (partial(json.loads, parse_float=number), literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, TypeError, MemoryError):
            json.dumps(given := read(value), default=Decimal.__float__)  # a manifest must be able to hold it
            return name, given
    return name, value


setting = argument(partial(_named, number=Decimal), "a setting's name, =, and its value", bool)
parameter = argument(_named, "a parameter's name, =, and its value", lambda named: named[0].isidentifier())
count = argument(int, "a whole number from 1 up", lambda number: number >= 1)
numbers = argument(lambda text: [*map(int, text.split(","))], "numbers with commas between them, like 3,4", bool)
file = argument(Path, "a file", Path.is_file)
new_file = argument(Path, "a file in a folder", lambda path: path.absolute().parent.is_dir() and not path.is_dir())
folder = argument(Path, "a folder, or the name of a new one, that can be written to", _is_writable)
